//! What an answer means: class × outcome, then what the delivery core makes of it.

use std::{collections::BTreeMap, sync::Arc};

use delivery::{Answer, ErrorClass, Reason, Scope};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    definition::{Errors, RuleOutcome, Transport, When, value::parse_duration},
    finder::json_path,
    path::JsonPath,
    signals::{MAX_WAIT_MS, seconds, wait_in},
};

/// The longest message kept of what a target says, in characters.
const MAX_MESSAGE: usize = 500;

/// The error rules of a connector, ready to use.
#[derive(Debug)]
pub(crate) struct Classifier {
    code: Vec<JsonPath>,
    message: Vec<JsonPath>,
    in_ok: Vec<JsonPath>,
    rules: Vec<CompiledRule>,
    /// The headers of an answer that the system gave before, to the same key.
    replayed: BTreeMap<String, String>,
}

#[derive(Debug)]
struct CompiledRule {
    when: When,
    class: ErrorClass,
    outcome: RuleOutcome,
    wait: Option<Wait>,
}

#[derive(Clone, Debug)]
enum Wait {
    Header(String),
    Body(JsonPath),
    Fixed(u64),
}

/// An exchange that brought no answer.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// Nothing was sent: the target is not there.
    Unreachable(String),
    /// Nothing was sent: the connection may not lead there.
    Forbidden(String),
    /// Nothing was sent: there was no time left.
    Unsent(String),
    /// Bytes may have left us.
    Lost(Transport, String),
}

impl Classifier {
    /// `replayed` are the headers of an answer that is stored under the key; none where no key is sent.
    pub(crate) fn new(errors: &Errors, replayed: BTreeMap<String, String>) -> Result<Self, String> {
        let paths = |texts: &[String]| texts.iter().map(|text| json_path(text)).collect::<Result<_, _>>();
        let rule = |rule: &crate::definition::Rule| {
            if !rule.when.transport.is_empty() && rule.outcome != RuleOutcome::Unknown {
                return Err(
                    "a rule for `transport` has the outcome unknown: what left us may have been applied"
                        .to_owned(),
                );
            }
            let when = lowered(&rule.when);
            let wait = rule.wait.as_deref().map(Wait::parse).transpose()?;
            Ok(CompiledRule { when, class: rule.class, outcome: rule.outcome, wait })
        };
        Ok(Self {
            code: paths(&errors.code_path)?,
            message: paths(&errors.message_path)?,
            in_ok: paths(&errors.in_ok)?,
            rules: errors.rules.iter().map(rule).collect::<Result<_, String>>()?,
            replayed,
        })
    }

    /// Whether the body is one of an error, whatever its status.
    pub(crate) fn is_error(&self, body: &Value) -> bool {
        self.in_ok.iter().filter_map(|path| path.get(body)).any(|value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        })
    }

    /// Whether an answer that is ok by its status has to be looked into for an error.
    pub(crate) fn looks_into_ok(&self) -> bool {
        !self.in_ok.is_empty()
    }

    /// What an answer means that the operation does not list as ok.
    pub(crate) fn classify(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
        let (json, code, message) = self.read(body);
        self.judge((status, headers), code, message, json.as_ref())
    }

    /// The same of an answer that a rule lists; none where none does.
    pub(crate) fn ruled(&self, (status, headers): (u16, &HeaderMap), body: &[u8]) -> Option<Answer> {
        let (json, code, message) = self.read(body);
        let listed =
            self.rules.iter().any(|rule| rule.when.matches(status, headers, code.as_deref(), &message));
        listed.then(|| self.judge((status, headers), code, message, json.as_ref()))
    }

    /// Whether an answer is as `when` says, which is [`lowered`].
    pub(crate) fn is(&self, when: &When, (status, headers): (u16, &HeaderMap), body: &[u8]) -> bool {
        let (_, code, message) = self.read(body);
        when.matches(status, headers, code.as_deref(), &message)
    }

    /// An error's body as JSON, its code and its text.
    fn read(&self, body: &[u8]) -> (Option<Value>, Option<String>, String) {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let at = |paths: &[JsonPath]| paths.iter().find_map(|path| path.text(json.as_ref()?));
        let code = at(&self.code);
        let message = at(&self.message).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        (json, code, message)
    }

    /// What an answer to a write means that the operation does not list as ok. One that the system has stored under the key and that
    /// asks for another try, or tells nothing, will be the same for every other try.
    pub(crate) fn classify_write(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
        let answer = self.classify(status, headers, body);
        let stored = !self.replayed.is_empty() && self.replayed.iter().all(|header| says(headers, header));
        match answer {
            Answer::Unknown(reason) | Answer::Again { reason, .. } if stored => Answer::Replayed(reason),
            answer => answer,
        }
    }

    /// The first rule that matches decides.
    fn judge(
        &self,
        (status, headers): (u16, &HeaderMap),
        code: Option<String>,
        message: String,
        json: Option<&Value>,
    ) -> Answer {
        let rule =
            self.rules.iter().find(|rule| rule.when.matches(status, headers, code.as_deref(), &message));
        let (class, outcome, wait) = match rule {
            Some(rule) => (rule.class, rule.outcome, rule.wait.clone()),
            None => unlisted(status),
        };
        let after_ms = wait.and_then(|wait| wait.ms(headers, json));
        let said = match code {
            Some(code) => format!("{code}: {message}"),
            None => message,
        };
        answer(class, outcome, Some(status), &said, after_ms)
    }

    /// What the answer to one item of several means that is not applied. Without paths of its own its code and text stand where they
    /// do in an answer to a single one.
    pub(crate) fn classify_item(
        &self,
        status: u16,
        headers: &HeaderMap,
        item: &Value,
        (code, message): (&[JsonPath], &[JsonPath]),
    ) -> Answer {
        let own = |own: &[JsonPath], others: &[JsonPath]| {
            let paths = if own.is_empty() { others } else { own };
            paths.iter().find_map(|path| path.text(item))
        };
        let code = own(code, &self.code);
        let message = own(message, &self.message).unwrap_or_else(|| item.to_string());
        self.judge((status, headers), code, message, Some(item))
    }

    /// What it means that no answer came.
    pub(crate) fn broken(&self, broken: &Broken) -> Answer {
        match broken {
            Broken::Unreachable(message) => unreachable(message),
            Broken::Forbidden(message) => forbidden(message),
            Broken::Unsent(message) => Answer::Again {
                reason: reason(ErrorClass::Transient, None, message),
                after_ms: None,
                scope: Scope::Lane,
            },
            Broken::Lost(transport, message) => {
                let rule = self.rules.iter().find(|rule| rule.when.transport.contains(transport));
                lost_as(rule.map_or(ErrorClass::Transient, |rule| rule.class), message)
            }
        }
    }
}

impl When {
    fn matches(&self, status: u16, headers: &HeaderMap, code: Option<&str>, message: &str) -> bool {
        let contains = |text: &String| message.to_lowercase().contains(text);
        self.transport.is_empty()
            && (self.status.is_empty() || self.status.contains(&status))
            && (self.code.is_empty() || code.is_some_and(|code| self.code.iter().any(|c| is_code(c, code))))
            && (self.message.is_empty() || self.message.iter().any(contains))
            && self.header.iter().all(|header| says(headers, header))
    }
}

/// The same in the letter case that texts are compared in.
pub(crate) fn lowered(when: &When) -> When {
    let mut when = when.clone();
    when.message.iter_mut().for_each(|text| *text = text.to_lowercase());
    when
}

/// Whether an answer has the header, with this value in any case.
fn says(headers: &HeaderMap, (name, value): (&String, &String)) -> bool {
    let said = headers.get(name.as_str()).and_then(|said| said.to_str().ok());
    said.is_some_and(|said| said.trim().eq_ignore_ascii_case(value))
}

/// Whether a code is the one of a rule, or ends as `*50` says: some systems put the kind of an error behind the place of it.
fn is_code(rule: &str, code: &str) -> bool {
    rule.strip_prefix('*').map_or(rule == code, |end| code.ends_with(end))
}

impl Wait {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("header.") {
            return Ok(Self::Header(name.to_owned()));
        }
        if let Some(path) = text.strip_prefix("body.") {
            return json_path(&format!("$.{path}")).map(Self::Body);
        }
        parse_duration(text).map(Self::Fixed).ok_or_else(|| {
            format!(
                "`wait: {text}` is not known, write `header.<Name>`, `body.<path>` or a duration such as 15m"
            )
        })
    }

    /// Milliseconds, capped at an hour.
    fn ms(&self, headers: &HeaderMap, body: Option<&Value>) -> Option<u64> {
        let ms = match self {
            Self::Fixed(ms) => *ms,
            Self::Header(name) => wait_in(headers, name)?,
            Self::Body(path) => seconds(&path.text(body?)?)?,
        };
        Some(ms.min(MAX_WAIT_MS))
    }
}

/// An answer that no rule lists: refused credentials are no event's fault, any other client error is final, and everything
/// else may have been applied.
fn unlisted(status: u16) -> (ErrorClass, RuleOutcome, Option<Wait>) {
    match status {
        401 => (ErrorClass::AuthExpired, RuleOutcome::NotApplied, None),
        403 => (ErrorClass::AuthDenied, RuleOutcome::NotApplied, None),
        408 | 425 => (ErrorClass::Transient, RuleOutcome::Unknown, None),
        429 => {
            let wait = Wait::Header("Retry-After".to_owned());
            (ErrorClass::Throttled, RuleOutcome::NotApplied, Some(wait))
        }
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

/// No request can be made of the posting: nothing was sent, and nothing ever will be.
pub(crate) fn impossible(message: &str) -> Answer {
    Answer::Refused(Reason {
        code: Arc::from("SNK-0018"),
        class: ErrorClass::Validation,
        status: None,
        message: shorten(message),
    })
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
fn forbidden(message: &str) -> Answer {
    let reason = Reason {
        code: Arc::from("SNK-0041"),
        class: ErrorClass::AuthDenied,
        status: None,
        message: shorten(message),
    };
    Answer::Again { reason, after_ms: None, scope: Scope::Connection }
}

/// Bytes may have left us, and no answer came that could be read.
pub(crate) fn lost(message: &str) -> Answer {
    lost_as(ErrorClass::Transient, message)
}

fn lost_as(class: ErrorClass, message: &str) -> Answer {
    Answer::Unknown(Reason { code: Arc::from("SNK-0005"), class, status: None, message: shorten(message) })
}

/// The write was taken as a job, and nobody knows what became of it.
pub(crate) fn unended(class: ErrorClass, status: Option<u16>, message: &str) -> Answer {
    Answer::Unknown(Reason { code: Arc::from("SNK-0065"), class, status, message: shorten(message) })
}

pub(crate) fn shorten(message: &str) -> Arc<str> {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => Arc::from(format!("{}…", &message[..end])),
        None => Arc::from(message),
    }
}
