//! One object on one connection: builds requests and reads answers.

use bytes::Bytes;
use delivery::{Answer, Class, OnExisting, OnUnknown, ReadBack};
use event::{ObjectKind, PostingKey};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    classify::{Classifier, json_path},
    definition::{self, Auth, Connector, Consistency, DefinitionError, Lookup, Write},
    path::JsonPath,
};

/// Everything but RFC 3986's unreserved characters is escaped in a reference.
const REFERENCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a system can do against double effects, as configuration says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassChoice {
    /// K: it honours an idempotency key.
    Keyed,
    /// U: it can be written and read by our reference.
    Upsert,
    /// N: neither.
    Neither,
}

/// Why a posting cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The connector's definition does not fit.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The connection's base URL or a header does not fit.
    #[error("connection to `{connector}`: {what}")]
    Connection {
        /// The connector.
        connector: String,
        /// What does not fit.
        what: String,
    },
}

impl EndpointError {
    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Definition(error) => error.code(),
            Self::Connection { .. } => "CFG-0212",
        }
    }
}

#[derive(Debug)]
struct Template {
    method: Method,
    /// Base URL and path up to the reference, and what follows it; no reference if there is only the head.
    head: String,
    tail: Option<String>,
}

#[derive(Debug)]
struct Finder {
    template: Template,
    found: u16,
    absent: u16,
    id: JsonPath,
    copies: Option<JsonPath>,
    document: JsonPath,
}

/// One object of a system, on one connection, under one class.
#[derive(Debug)]
pub struct Endpoint {
    class: Class,
    write: Template,
    ok: Vec<u16>,
    id: Option<JsonPath>,
    finder: Option<Finder>,
    lag_ms: u64,
    on_existing: OnExisting,
    headers: HeaderMap,
    key: Option<HeaderName>,
    event_id: Option<HeaderName>,
    source_version: Option<HeaderName>,
    classifier: Classifier,
}

/// A posting, ready to be sent any number of times, byte for byte the same.
#[derive(Clone, Debug)]
pub struct Posting {
    key: PostingKey,
    source_version: i64,
    uri: Uri,
    lookup: Option<Uri>,
    body: Bytes,
}

impl Posting {
    /// Hash over everything that the target sees, but for the credentials.
    pub fn hash(&self, endpoint: &Endpoint) -> u64 {
        let mut hash = Sha256::new();
        hash.update(endpoint.write.method.as_str());
        hash.update(self.uri.path());
        hash.update([0]);
        hash.update(&self.body);
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

impl Endpoint {
    /// An endpoint of `connector` for `object` at `base_url`.
    pub fn new(
        connector: &Connector,
        object: ObjectKind,
        base_url: &str,
        class: Option<ClassChoice>,
        on_unknown: OnUnknown,
        token: Option<&str>,
    ) -> Result<Self, EndpointError> {
        let name = connector.connector.as_str();
        let wrong = |what: String| DefinitionError::Value { name: name.to_owned(), what };
        let definition = connector
            .objects
            .get(&object)
            .ok_or_else(|| wrong(format!("it has no object `{object}`, which a route sends to it")))?;
        let base = format!("{}{}", base_url.trim_end_matches('/'), definition.path);
        let finder = definition.lookup.as_ref().map(|l| finder(name, l, &base)).transpose()?;
        let choice = class.unwrap_or(connector.class);
        let write: &Write = match choice {
            ClassChoice::Upsert => definition.upsert.as_ref(),
            ClassChoice::Keyed => definition.keyed.as_ref(),
            ClassChoice::Neither => definition.create.as_ref(),
        }
        .ok_or_else(|| wrong(format!("object `{object}` cannot be written as class {choice:?}")))?;
        let class = match (choice, &connector.key) {
            (ClassChoice::Keyed, Some(key)) => {
                Class::Keyed { window_ms: key.window_ms, readable: finder.is_some() }
            }
            (ClassChoice::Keyed, None) => {
                return Err(wrong("class keyed needs `key`".into()).into());
            }
            (ClassChoice::Upsert, _) if finder.is_none() => {
                return Err(wrong(format!("class upsert needs a `lookup` for `{object}`")).into());
            }
            (ClassChoice::Upsert, _) => Class::Upsert,
            (ClassChoice::Neither, _) => Class::Neither(on_unknown),
        };
        let lag_ms = lag(definition.lookup.as_ref()).map_err(wrong)?;
        let on_existing = match (write.on_existing, class) {
            (Some(definition::OnExisting::Verify), _) => OnExisting::Verify,
            (Some(definition::OnExisting::Overwrite), _) | (None, Class::Upsert) => OnExisting::Overwrite,
            (Some(definition::OnExisting::Skip), _) => OnExisting::Skip,
            (None, _) => OnExisting::Verify,
        };
        let header =
            |text: &str| HeaderName::try_from(text).map_err(|_| wrong(format!("`{text}` is no header name")));
        let keyed = matches!(class, Class::Keyed { .. });
        Ok(Self {
            class,
            write: template(name, &write.request, &base)?,
            ok: write.ok.clone(),
            id: write.id.as_ref().map(|id| json_path(name, id)).transpose()?,
            finder,
            lag_ms,
            on_existing,
            headers: headers(connector, token)?,
            key: connector.key.as_ref().filter(|_| keyed).map(|k| header(&k.name)).transpose()?,
            event_id: connector.event_id.as_ref().map(|h| header(&h.header)).transpose()?,
            source_version: connector.source_version.as_ref().map(|h| header(&h.header)).transpose()?,
            classifier: Classifier::new(name, &connector.errors)?,
        })
    }

    /// What the target can do on this route.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How long a write may take to show in a look-up, milliseconds.
    pub fn lag_ms(&self) -> u64 {
        self.lag_ms
    }

    /// What to do with a document that says something else than the posting.
    pub fn on_existing(&self) -> OnExisting {
        self.on_existing
    }

    /// A posting of `body` for the entity that the source calls `reference`.
    pub fn posting(
        &self,
        key: PostingKey,
        reference: &str,
        source_version: i64,
        body: Bytes,
    ) -> Result<Posting, http::uri::InvalidUri> {
        let uri = self.write.fill(reference)?;
        let lookup = self.finder.as_ref().map(|f| f.template.fill(reference)).transpose()?;
        Ok(Posting { key, source_version, uri, lookup, body })
    }

    /// The request of a posting.
    pub(crate) fn request(&self, posting: &Posting) -> (Method, Uri, HeaderMap, Bytes) {
        let mut headers = self.headers.clone();
        let mut set = |name: &Option<HeaderName>, value: String| {
            if let (Some(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                headers.insert(name.clone(), value);
            }
        };
        set(&self.key, posting.key.idempotency_key().to_string());
        set(&self.event_id, posting.key.event.to_string());
        set(&self.source_version, posting.source_version.to_string());
        (self.write.method.clone(), posting.uri.clone(), headers, posting.body.clone())
    }

    /// The request that looks a posting up; none if the target cannot be read.
    pub(crate) fn lookup(&self, posting: &Posting) -> Option<(Method, Uri, HeaderMap)> {
        let method = self.finder.as_ref()?.template.method.clone();
        Some((method, posting.lookup.clone()?, self.headers.clone()))
    }

    /// What the answer to a posting means.
    pub(crate) fn answered(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
        if !self.ok.contains(&status) {
            return self.classifier.classify(status, headers, body);
        }
        let document = self.id.as_ref().and_then(|id| {
            let json: Value = serde_json::from_slice(body).ok()?;
            id.text(&json)
        });
        Answer::Applied { document: document.map(Into::into) }
    }

    /// What the answer to a look-up means.
    pub(crate) fn seen(&self, posting: &Posting, status: u16, headers: &HeaderMap, body: &[u8]) -> ReadBack {
        let Some(finder) = &self.finder else {
            return ReadBack::Failed(crate::classify::unreachable("the target cannot be read"));
        };
        if status == finder.absent {
            return ReadBack::Absent;
        }
        if status != finder.found {
            return ReadBack::Failed(self.classifier.classify(status, headers, body));
        }
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return ReadBack::Failed(crate::classify::lost("the target's answer to a look-up is not JSON"));
        };
        finder.compare(&json, &posting.body)
    }
}

impl Finder {
    fn compare(&self, seen: &Value, sent: &[u8]) -> ReadBack {
        let document = self.id.text(seen).map(Into::into);
        let copies = self.copies.as_ref().and_then(|c| c.get(seen)).and_then(Value::as_u64);
        if copies.is_some_and(|copies| copies > 1) {
            return ReadBack::Several;
        }
        let sent: Value = serde_json::from_slice(sent).unwrap_or(Value::Null);
        match self.document.get(seen) {
            Some(stands) if contains(stands, &sent) => ReadBack::Matches { document },
            _ => ReadBack::Differs { document },
        }
    }
}

/// Whether everything that was sent stands there; the target may have added fields of its own.
fn contains(stands: &Value, sent: &Value) -> bool {
    match (stands, sent) {
        (Value::Object(stands), Value::Object(sent)) => {
            sent.iter().all(|(name, value)| stands.get(name).map_or(value.is_null(), |s| contains(s, value)))
        }
        (Value::Array(stands), Value::Array(sent)) => {
            stands.len() == sent.len() && stands.iter().zip(sent).all(|(a, b)| contains(a, b))
        }
        (stands, sent) => stands == sent,
    }
}

impl Template {
    fn fill(&self, reference: &str) -> Result<Uri, http::uri::InvalidUri> {
        match &self.tail {
            None => Uri::try_from(self.head.as_str()),
            Some(tail) => {
                let reference = utf8_percent_encode(reference, REFERENCE);
                Uri::try_from(format!("{}{reference}{tail}", self.head))
            }
        }
    }
}

/// Reads `GET {{path}}/by/{{ref}}`; `base` stands for `{{path}}`.
fn template(connector: &str, request: &str, base: &str) -> Result<Template, EndpointError> {
    let wrong = |what: String| EndpointError::Connection { connector: connector.to_owned(), what };
    let (method, path) = request
        .split_once(' ')
        .ok_or_else(|| wrong(format!("`{request}` is no request, write for example `POST {{{{path}}}}`")))?;
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| wrong(format!("`{method}` is no HTTP method")))?;
    let full = path.replace("{{path}}", base);
    let (head, tail) = match full.split_once("{{ref}}") {
        Some((head, tail)) => (head.to_owned(), Some(tail.to_owned())),
        None => (full, None),
    };
    let template = Template { method, head, tail };
    let uri = template.fill("x").map_err(|e| wrong(format!("`{base}` is no URL: {e}")))?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong(format!("`{base}` is no URL, write for example https://erp.example.com")));
    }
    Ok(template)
}

/// A lag stands with `consistency: eventual` and only there.
fn lag(lookup: Option<&Lookup>) -> Result<u64, String> {
    match lookup.map(|l| (l.consistency, l.lag_ms)) {
        None | Some((Consistency::Strong, 0)) => Ok(0),
        Some((Consistency::Eventual, lag)) if lag > 0 => Ok(lag),
        Some((Consistency::Eventual, _)) => {
            Err("a lookup with `consistency: eventual` needs `lag`, for example 5s".into())
        }
        Some((Consistency::Strong, _)) => Err("a lookup with `lag` needs `consistency: eventual`".into()),
    }
}

fn finder(connector: &str, lookup: &Lookup, base: &str) -> Result<Finder, EndpointError> {
    Ok(Finder {
        template: template(connector, &lookup.request, base)?,
        found: lookup.found,
        absent: lookup.absent,
        id: json_path(connector, &lookup.id)?,
        copies: lookup.copies.as_ref().map(|c| json_path(connector, c)).transpose()?,
        document: json_path(connector, &lookup.document)?,
    })
}

fn headers(connector: &Connector, token: Option<&str>) -> Result<HeaderMap, EndpointError> {
    let wrong = |what: String| EndpointError::Connection { connector: connector.connector.clone(), what };
    let mut headers = HeaderMap::new();
    for (name, value) in &connector.headers {
        let name = HeaderName::try_from(name).map_err(|_| wrong(format!("`{name}` is no header name")))?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| wrong(format!("the value of header `{name}` cannot be sent")))?;
        headers.insert(name, value);
    }
    if let (Auth::StaticToken { header, prefix }, Some(token)) = (&connector.auth, token) {
        let name =
            HeaderName::try_from(header).map_err(|_| wrong(format!("`{header}` is no header name")))?;
        let mut value = HeaderValue::try_from(format!("{prefix}{token}"))
            .map_err(|_| wrong("the token has characters that no header can carry".into()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
