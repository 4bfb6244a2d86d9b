//! Tokens against forged requests, and the cookies that belong to them: had by a request that changes nothing, sent with each
//! that does.

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::COOKIE};

use super::{answer::ask, failure::Failure, login::Ask, phrase::Fill, token::sensitive};
use crate::{
    Client,
    call::Wire,
    definition::{CsrfCookie, When},
};

/// How the token is had, compiled.
pub(super) struct Csrf {
    fetch: Ask,
    header: HeaderName,
    ask: HeaderValue,
    failed: Option<When>,
}

/// A token with its cookies.
pub(crate) struct CsrfToken {
    /// Of which session.
    pub(super) session: u64,
    /// Tells it from the others.
    pub(super) serial: u64,
    token: HeaderValue,
    pub(super) cookies: Vec<String>,
}

impl Csrf {
    pub(super) fn compile(csrf: &CsrfCookie, is_known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let mut failed = csrf.failed.clone();
        if let Some(when) = &mut failed {
            let refuses = !when.status.is_empty() && when.status.iter().all(|s| (400..500).contains(s));
            if !refuses || !when.code.is_empty() || !when.transport.is_empty() {
                return Err("`failed` of `csrf` says a `status` of 4xx, and perhaps a `message`".to_owned());
            }
            when.message.iter_mut().for_each(|text| *text = text.to_lowercase());
        }
        Ok(Self {
            fetch: Ask::compile(&csrf.fetch, is_known)?,
            header: HeaderName::try_from(csrf.header.as_str())
                .map_err(|_| format!("`{}` is no header name", csrf.header))?,
            ask: HeaderValue::try_from(csrf.ask.as_str())
                .map_err(|_| format!("`{}` cannot stand in a header", csrf.ask))?,
            failed,
        })
    }

    /// Asks for a token. `sign` adds what every request of the connection carries.
    pub(super) async fn fetch(
        &self,
        client: &Client,
        fill: Fill<'_>,
        (session, serial): (u64, u64),
        sign: impl FnOnce(&mut Wire) -> Result<(), Failure>,
    ) -> Result<CsrfToken, Failure> {
        let mut wire = self.fetch.wire(fill)?;
        wire.headers.insert(self.header.clone(), self.ask.clone());
        sign(&mut wire)?;
        let answer = ask(client, wire).await?;
        let token = answer.headers.get(&self.header).and_then(|v| v.to_str().ok()).map(str::trim);
        // Some services have nothing at the address, and give the token all the same.
        match token.filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("required")) {
            Some(token) => {
                Ok(CsrfToken { session, serial, token: sensitive(token)?, cookies: answer.cookies() })
            }
            None => match answer.failure() {
                denied @ (Failure::Denied(_) | Failure::Later { .. }) => Err(denied),
                _ => Err(Failure::NoCsrf(format!(
                    "the answer, {}, has no header `{}`",
                    answer.status, self.header
                ))),
            },
        }
    }

    /// Whether a request needs the token.
    pub(super) fn guards(method: &Method) -> bool {
        !method.is_safe()
    }

    pub(super) fn apply(&self, token: &CsrfToken, headers: &mut HeaderMap) {
        headers.insert(self.header.clone(), token.token.clone());
    }

    /// Whether an answer says that the token does not hold any more, and that nothing was done.
    pub(super) fn failed(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
        let required =
            headers.get(&self.header).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"required"));
        let said = |when: &When| {
            let text = String::from_utf8_lossy(body).to_lowercase();
            when.status.contains(&status)
                && (when.message.is_empty() || when.message.iter().any(|m| text.contains(m)))
        };
        status == StatusCode::FORBIDDEN && required || self.failed.as_ref().is_some_and(said)
    }
}

/// Puts cookies into a request, beside those that it has.
pub(super) fn add_cookies(headers: &mut HeaderMap, cookies: &[String]) -> Result<(), Failure> {
    if cookies.is_empty() {
        return Ok(());
    }
    let mut all: Vec<String> = Vec::new();
    if let Some(had) = headers.get(COOKIE).and_then(|had| had.to_str().ok()) {
        all.extend(had.split("; ").map(str::to_owned));
    }
    for cookie in cookies {
        let name = cookie.split('=').next();
        all.retain(|had| had.split('=').next() != name); // the newer one counts
        all.push(cookie.clone());
    }
    headers.insert(COOKIE, sensitive(&all.join("; "))?);
    Ok(())
}
