//! Sessions that a request of the system's own opens.

use std::{collections::BTreeMap, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use secrecy::zeroize::Zeroizing;

use super::{
    answer::{Capture, Lifetime, ask},
    failure::Failure,
    phrase::{Fill, Phrase, PhraseJson},
    token::{address, sensitive, unknown},
};
use crate::{
    Client,
    call::Wire,
    definition::{Encode, Expiry, Request, SessionEncoding, SessionHeader},
    template::form,
};

/// A request that signs in or prepares for it, compiled.
pub(super) struct Ask {
    method: Method,
    url: Phrase,
    headers: Vec<(HeaderName, Phrase)>,
    body: Option<PhraseJson>,
    encode: Encode,
}

impl Ask {
    pub(super) fn compile(request: &Request, is_known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let send = &request.send;
        let (method, url) = send.split_once(' ').ok_or_else(|| {
            format!("`{send}` is no request, write for example `POST {{{{base_url}}}}/login`")
        })?;
        if !request.query.is_empty() {
            return Err(format!("`{send}` signs in: write its query into the address"));
        }
        let url = url.trim();
        let based = if url.starts_with('/') { format!("{{{{base_url}}}}{url}") } else { url.to_owned() };
        let header = |(name, text): (&String, &String)| {
            let parsed =
                HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header name"))?;
            Ok((parsed, Phrase::compile(text, is_known)?))
        };
        Ok(Self {
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| format!("`{method}` is no HTTP method"))?,
            url: Phrase::compile(&based, is_known)?,
            headers: request.headers.iter().map(header).collect::<Result<_, String>>()?,
            body: request.body.as_ref().map(|body| PhraseJson::compile(body, is_known)).transpose()?,
            encode: request.encode,
        })
    }

    pub(super) fn wire(&self, fill: Fill<'_>) -> Result<Wire, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let body = match &self.body {
            None => Bytes::new(),
            Some(body) => {
                let kind = match self.encode {
                    Encode::Json => "application/json",
                    Encode::Form => "application/x-www-form-urlencoded",
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                let body = body.fill(fill).map_err(unknown)?;
                match self.encode {
                    Encode::Json => body.to_string().into(),
                    Encode::Form => form(&body).into(),
                }
            }
        };
        for (name, phrase) in &self.headers {
            headers.insert(name.clone(), sensitive(&phrase.fill(fill).map_err(unknown)?)?);
        }
        let uri = address(&self.url.fill(fill).map_err(unknown)?)?;
        Ok(Wire { method: self.method.clone(), uri, headers, body })
    }
}

/// A way of opening sessions, compiled.
pub(super) struct Login {
    pub(super) ask: Ask,
    ok: Vec<u16>,
    capture: Capture,
    cookies: bool,
    session: Option<(HeaderName, SessionHeader, Phrase)>,
    lifetime: Lifetime,
}

/// A session that is open.
pub(super) struct Opened {
    pub(super) captured: BTreeMap<String, String>,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    pub(super) cookies: Vec<String>,
    pub(super) renew_at: Option<Instant>,
}

impl Login {
    pub(super) fn compile(
        (request, ok): (&Request, &[u16]),
        (capture, cookies): (&BTreeMap<String, String>, bool),
        session: Option<&SessionHeader>,
        expiry: &Expiry,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let session = session.map(|session| {
            let name = HeaderName::try_from(session.header.as_str())
                .map_err(|_| format!("`{}` is no header name", session.header))?;
            Ok::<_, String>((name, session.clone(), Phrase::compile(&session.text, is_known)?))
        });
        if session.is_none() && !cookies {
            return Err("a session is carried by `session`, by `cookies: true`, or by both".to_owned());
        }
        Ok(Self {
            ask: Ask::compile(request, is_known)?,
            ok: ok.to_vec(),
            capture: Capture::compile(capture)?,
            cookies,
            session: session.transpose()?,
            lifetime: Lifetime::compile(expiry)?,
        })
    }

    /// Opens a session.
    pub(super) async fn open(&self, client: &Client, fill: Fill<'_>) -> Result<Opened, Failure> {
        let asked = Instant::now();
        let answer = ask(client, self.ask.wire(fill)?).await?;
        if !self.ok.contains(&answer.status) {
            return Err(answer.failure());
        }
        // A system that says no inside of a 200 (JSON-RPC) gives nothing of what is taken from a yes.
        let turned_away = |what: Failure| Failure::denied(format!("{}, but {what}", answer.status));
        let captured = self.capture.take(&answer).map_err(turned_away)?;
        let cookies = if self.cookies { answer.cookies() } else { Vec::new() };
        if self.cookies && cookies.is_empty() {
            return Err(Failure::denied(format!("{}, but no cookie was set", answer.status)));
        }
        let fill = Fill { captured: &captured, ..fill };
        let header = self.session.as_ref().map(|(name, session, phrase)| {
            let text = phrase.fill(fill).map_err(unknown)?;
            let text = match session.encode {
                SessionEncoding::None => text,
                SessionEncoding::Base64 => Zeroizing::new(BASE64_STANDARD.encode(text.as_bytes())),
            };
            let text = Zeroizing::new(format!("{}{}", session.prefix, text.as_str()));
            Ok::<_, Failure>((name.clone(), sensitive(&text)?))
        });
        let header = header.transpose()?;
        Ok(Opened { captured, header, cookies, renew_at: self.lifetime.renew_at(asked, &answer) })
    }
}
