//! One request of a definition, compiled.

use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::{
    definition::{Encode, Query, Request},
    template::{Body, Json, Missing, Name, RESERVED, Scope, Text},
};

/// A request that cannot be made of a posting: what is missing or cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Impossible(pub(crate) String);

/// What goes over the wire.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone, Debug)]
enum Parameter {
    Texts(Vec<Text>),
    Json(Json),
    Base64url(Json),
}

/// One request, compiled for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    url: Text,
    query: Vec<(String, Parameter)>,
    headers: Vec<(HeaderName, Text)>,
    body: Body,
    /// What the body is, where it is not what the connector's headers say.
    content_type: Option<HeaderValue>,
}

impl Call {
    /// Compiles `request`. `path` takes the place of `{{path}}`; `known` are the connection's values. `writes` says that
    /// the payload is the body unless another one is given.
    pub(crate) fn compile(
        request: &Request,
        path: &str,
        known: &BTreeMap<String, String>,
        writes: bool,
    ) -> Result<Self, String> {
        let send = &request.send;
        let (method, address) = send
            .split_once(' ')
            .ok_or_else(|| format!("`{send}` is no request, write for example `POST {{{{path}}}}`"))?;
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no HTTP method"))?;
        let address = address.trim().replace("{{path}}", path);
        let url = Text::compile(&address, known, true)?;
        check_url(&url, &address)?;
        let whole = Value::from("{{payload}}");
        let body = request.body.as_ref().or_else(|| writes.then_some(&whole));
        let parameter = |(name, query): (&String, &Query)| Ok((name.clone(), parameter(query, known)?));
        let header = |(name, value): (&String, &String)| {
            let parsed =
                HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header name"))?;
            Ok((parsed, Text::compile(value, known, false)?))
        };
        Ok(Self {
            method,
            url,
            query: request.query.iter().map(parameter).collect::<Result<_, String>>()?,
            headers: request.headers.iter().map(header).collect::<Result<_, String>>()?,
            body: Body::compile(body, request.encode, known)?,
            content_type: (request.encode == Encode::Form)
                .then(|| HeaderValue::from_static("application/x-www-form-urlencoded")),
        })
    }

    /// The same with a body of another type.
    pub(crate) fn of_type(&self, content_type: HeaderValue) -> Self {
        let mut call = Self { content_type: Some(content_type), ..self.clone() };
        call.headers.retain(|(name, _)| name != http::header::CONTENT_TYPE);
        call
    }

    /// Whether the payload has to be parsed for it.
    pub(crate) fn needs_payload(&self) -> bool {
        self.body.needs_payload() || self.has(&is_of_payload)
    }

    /// Whether one of its placeholders outside of a whole payload is among those that `which` picks.
    pub(crate) fn has(&self, which: &dyn Fn(&Name) -> bool) -> bool {
        let parameter = |(_, parameter): &(String, Parameter)| match parameter {
            Parameter::Texts(texts) => texts.iter().any(|text| text.has(which)),
            Parameter::Json(json) | Parameter::Base64url(json) => json.has(which),
        };
        self.url.has(which)
            || self.query.iter().any(parameter)
            || self.headers.iter().any(|(_, text)| text.has(which))
            || self.body.has(which)
    }

    /// Where it takes something out of the payload, as JSON Pointers.
    pub(crate) fn payload_paths(&self) -> Vec<String> {
        let found = RefCell::new(Vec::new());
        self.has(&|name| {
            if let Name::Payload(path) = name {
                found.borrow_mut().push(path.to_string());
            }
            false // and on to the next one
        });
        found.into_inner().into_iter().filter(|path| !path.is_empty()).collect()
    }

    /// Whether the payload, or a part of it, goes out with it.
    pub(crate) fn sends_payload(&self) -> bool {
        matches!(self.body, Body::Payload) || self.needs_payload()
    }

    /// Adds the idempotency key to the query.
    pub(crate) fn add_key(&mut self, name: &str) {
        self.query.push((name.to_owned(), Parameter::Texts(vec![Text::key()])));
    }

    /// Whether its address is known as soon as the posting is.
    pub(crate) fn has_plain_address(&self) -> bool {
        self.query.is_empty() && !self.url.has(|name| !matches!(name, Name::Reference))
    }

    /// Whether its body is anything but the payload as it is.
    pub(crate) fn has_body_of_its_own(&self) -> bool {
        !matches!(self.body, Body::Payload)
    }

    /// The address.
    pub(crate) fn uri(&self, scope: &Scope<'_>) -> Result<Uri, Impossible> {
        let mut text = self.url.render(scope)?;
        let mut pairs = Vec::new();
        for (name, parameter) in &self.query {
            parameter.render(scope, |value| {
                pairs.push(format!("{name}={}", utf8_percent_encode(&value, RESERVED)));
            })?;
        }
        if !pairs.is_empty() {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(&pairs.join("&"));
        }
        Uri::try_from(text).map_err(|error| Impossible(format!("no address can be made of it: {error}")))
    }

    /// The request; `headers` are those of every request of the connection, `uri` its address if it is known.
    pub(crate) fn wire(
        &self,
        scope: &Scope<'_>,
        uri: Option<&Uri>,
        headers: &HeaderMap,
        raw: &Bytes,
    ) -> Result<Wire, Impossible> {
        let uri = match uri {
            Some(uri) => uri.clone(),
            None => self.uri(scope)?,
        };
        let mut headers = headers.clone();
        if let Some(content_type) = &self.content_type {
            headers.insert(http::header::CONTENT_TYPE, content_type.clone());
        }
        for (name, text) in &self.headers {
            let value = text.render(scope)?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| Impossible(format!("the value of header `{name}` cannot be sent")))?;
            headers.insert(name.clone(), value);
        }
        Ok(Wire { method: self.method.clone(), uri, headers, body: self.body.render(scope, raw)? })
    }
}

impl Parameter {
    fn render(&self, scope: &Scope<'_>, mut each: impl FnMut(String)) -> Result<(), Missing> {
        match self {
            Self::Texts(texts) => texts.iter().try_for_each(|text| {
                each(text.render(scope)?);
                Ok(())
            })?,
            Self::Json(json) => each(json.render(scope)?.to_string()),
            Self::Base64url(json) => {
                each(BASE64_URL_SAFE.encode(json.render(scope)?.to_string()));
            }
        }
        Ok(())
    }
}

impl From<Missing> for Impossible {
    fn from(missing: Missing) -> Self {
        Self(format!("`{}` is not known, which a request needs", missing.0))
    }
}

fn parameter(query: &Query, known: &BTreeMap<String, String>) -> Result<Parameter, String> {
    let text = |text: &String| Text::compile(text, known, false);
    Ok(match query {
        Query::Text(one) => Parameter::Texts(vec![text(one)?]),
        Query::Texts(many) => Parameter::Texts(many.iter().map(text).collect::<Result<_, _>>()?),
        Query::Json { json } => Parameter::Json(Json::compile(json, known)?),
        Query::Base64url { base64url } => Parameter::Base64url(Json::compile(base64url, known)?),
    })
}

/// Whether a name stands for the payload, or for a part of it.
pub(crate) fn is_of_payload(name: &Name) -> bool {
    matches!(name, Name::Payload(_) | Name::Each(_) | Name::Items)
}

/// An address is one whatever its placeholders stand for. One that begins with what the system says at sign-in is
/// checked when it is known.
fn check_url(url: &Text, address: &str) -> Result<(), String> {
    if address.starts_with("{{auth.captured.") {
        return Ok(());
    }
    let sample = url.sample();
    let uri = Uri::try_from(sample).map_err(|error| format!("`{address}` is no URL: {error}"))?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(format!("`{address}` is no URL, write for example https://erp.example.com"));
    }
    Ok(())
}
