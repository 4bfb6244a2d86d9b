//! What an answer means: class × outcome, then what the delivery core makes of it.

use std::sync::Arc;

use delivery::{Answer, ErrorClass, Reason, Scope};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    definition::{DefinitionError, Errors, Rule, RuleOutcome},
    path::JsonPath,
};

/// The longest message kept of what a target says, in characters.
const MAX_MESSAGE: usize = 500;

/// The error rules of a connector, ready to use.
#[derive(Debug)]
pub(crate) struct Classifier {
    code: Option<JsonPath>,
    message: Option<JsonPath>,
    rules: Vec<Rule>,
}

impl Classifier {
    pub(crate) fn new(connector: &str, errors: &Errors) -> Result<Self, DefinitionError> {
        let path = |text: &Option<String>| text.as_ref().map(|text| json_path(connector, text)).transpose();
        for rule in &errors.rules {
            if let Some(wait) = &rule.wait
                && !wait.starts_with("header.")
            {
                let what = format!("`wait: {wait}` is not known, write `header.<Name>`");
                return Err(DefinitionError::Value { name: connector.to_owned(), what });
            }
        }
        Ok(Self {
            code: path(&errors.code_path)?,
            message: path(&errors.message_path)?,
            rules: errors.rules.clone(),
        })
    }

    /// What an answer means that the operation does not list as ok.
    pub(crate) fn classify(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let at = |path: &Option<JsonPath>| path.as_ref()?.text(json.as_ref()?);
        let code = at(&self.code);
        let message = at(&self.message).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let matches = |rule: &&Rule| {
            let named = |code: &String| rule.when.code.contains(code);
            (rule.when.status.is_empty() || rule.when.status.contains(&status))
                && (rule.when.code.is_empty() || code.as_ref().is_some_and(named))
        };
        let (class, outcome, wait) = match self.rules.iter().find(matches) {
            Some(rule) => (rule.class, rule.outcome, rule.wait.as_deref()),
            None => unlisted(status),
        };
        let after_ms = wait.and_then(|name| retry_after(headers, name.strip_prefix("header.")?));
        let said = match code {
            Some(code) => format!("{code}: {message}"),
            None => message,
        };
        answer(class, outcome, Some(status), &said, after_ms)
    }
}

pub(crate) fn json_path(connector: &str, text: &str) -> Result<JsonPath, DefinitionError> {
    JsonPath::parse(text).ok_or_else(|| DefinitionError::Value {
        name: connector.to_owned(),
        what: format!("`{text}` is no path, write for example $.error.code"),
    })
}

/// An answer that no rule lists: refused credentials are no event's fault, any other client error is final, and everything
/// else may have been applied.
fn unlisted(status: u16) -> (ErrorClass, RuleOutcome, Option<&'static str>) {
    match status {
        401 => (ErrorClass::AuthExpired, RuleOutcome::NotApplied, None),
        403 => (ErrorClass::AuthDenied, RuleOutcome::NotApplied, None),
        408 | 425 => (ErrorClass::Transient, RuleOutcome::Unknown, None),
        429 => (ErrorClass::Throttled, RuleOutcome::NotApplied, Some("header.Retry-After")),
        400..=499 => (ErrorClass::Unsupported, RuleOutcome::NotApplied, None),
        _ => (ErrorClass::Transient, RuleOutcome::Unknown, None),
    }
}

fn answer(
    class: ErrorClass,
    outcome: RuleOutcome,
    status: Option<u16>,
    message: &str,
    after_ms: Option<u64>,
) -> Answer {
    use ErrorClass as E;
    let reason = reason(class, status, message);
    match (outcome, class) {
        (RuleOutcome::Applied, _) => Answer::Applied { document: None },
        (RuleOutcome::Unknown, _) => Answer::Unknown(reason),
        (RuleOutcome::NotApplied, E::Throttled | E::QuotaExhausted | E::AuthExpired | E::AuthDenied) => {
            Answer::Again { reason, after_ms, scope: Scope::Connection }
        }
        (RuleOutcome::NotApplied, E::LockContention | E::Transient | E::InFlight | E::MissingReference) => {
            Answer::Again { reason, after_ms, scope: Scope::Lane }
        }
        (RuleOutcome::NotApplied, _) => Answer::Refused(reason),
    }
}

/// A reason with the stable code of its class; docs/errors has a page for each.
pub(crate) fn reason(class: ErrorClass, status: Option<u16>, message: &str) -> Reason {
    let code = match class {
        ErrorClass::Throttled | ErrorClass::QuotaExhausted => "SNK-0002",
        ErrorClass::AuthExpired | ErrorClass::AuthDenied => "SNK-0006",
        ErrorClass::Transient | ErrorClass::LockContention | ErrorClass::InFlight => "SNK-0004",
        ErrorClass::MissingReference => "SNK-0007",
        ErrorClass::KeyReuseMismatch => "SNK-0008",
        _ => "SNK-0001",
    };
    Reason { code: Arc::from(code), class, status, message: shorten(message) }
}

/// The target could not be reached: nothing was sent.
pub(crate) fn unreachable(message: &str) -> Answer {
    let reason = Reason {
        code: Arc::from("SNK-0003"),
        class: ErrorClass::Transient,
        status: None,
        message: shorten(message),
    };
    Answer::Again { reason, after_ms: None, scope: Scope::Connection }
}

/// The connection may not lead where it does: nothing was sent. It waits, since its configuration can change.
pub(crate) fn forbidden(message: &str) -> Answer {
    let reason = Reason {
        code: Arc::from("SNK-0041"),
        class: ErrorClass::AuthDenied,
        status: None,
        message: shorten(message),
    };
    Answer::Again { reason, after_ms: None, scope: Scope::Connection }
}

/// Bytes may have left us, and no answer came.
pub(crate) fn lost(message: &str) -> Answer {
    Answer::Unknown(Reason {
        code: Arc::from("SNK-0005"),
        class: ErrorClass::Transient,
        status: None,
        message: shorten(message),
    })
}

fn shorten(message: &str) -> Arc<str> {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => Arc::from(format!("{}…", &message[..end])),
        None => Arc::from(message),
    }
}

/// `Retry-After` in seconds, capped at an hour; the date form is not used by any system we know.
fn retry_after(headers: &HeaderMap, name: &str) -> Option<u64> {
    let seconds: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| (seconds.min(3_600.0) * 1_000.0) as u64)
}
