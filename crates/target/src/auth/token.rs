//! Tokens of OAuth 2: four ways of asking, one kind of answer.

use std::{collections::BTreeMap, time::Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use sha2::{Digest as _, Sha256};

use super::{
    answer::{Capture, Lifetime, SignInAnswer, ask},
    assertion::Signed,
    failure::Failure,
    phrase::{Choice, Fill, Phrase},
};
use crate::{
    Client,
    call::Wire,
    definition::{ClientCredentials, ClientPlace, TokenRequest},
    template::RESERVED,
};

const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT_CLIENT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a token is asked for, compiled.
pub(super) struct Tokens {
    url: Phrase,
    how: How,
    scope: Option<Phrase>,
    params: Vec<(String, Phrase)>,
    token: Capture,
    pub(super) header: HeaderName,
    pub(super) prefix: String,
    lifetime: Lifetime,
    capture: Capture,
}

/// What stands for the consent to a token.
pub(super) enum How {
    Client(Proof),
    Refresh(Proof, Phrase),
    JwtGrant(Signed),
    ClientAssertion(Signed),
}

/// How the client proves itself.
pub(super) struct Proof {
    id: Phrase,
    secret: Option<Phrase>,
    place: ClientPlace,
}

/// A token.
pub(super) struct Granted {
    /// The token, and what else is taken from the answer. What is wrong with it comes after `refresh`, which must not be lost
    /// over it.
    pub(super) token: Result<(Zeroizing<String>, BTreeMap<String, String>), Failure>,
    pub(super) renew_at: Option<Instant>,
    /// The refresh token that takes the place of the one that was used.
    pub(super) refresh: Option<SecretString>,
}

/// A form, kept from being left in memory.
#[derive(Default)]
struct Form(Zeroizing<String>);

impl Form {
    fn put(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, RESERVED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, RESERVED));
    }
}

impl Proof {
    pub(super) fn compile(
        client: &ClientCredentials,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let secret = client.secret.as_deref().map(|secret| Phrase::compile(secret, is_known)).transpose()?;
        Ok(Self { id: Phrase::compile(&client.id, is_known)?, secret, place: client.place })
    }

    /// A public client says who it is in the form: there is nothing to prove.
    fn write(&self, fill: Fill<'_>, form: &mut Form, headers: &mut HeaderMap) -> Result<(), Failure> {
        let id = self.id.fill(fill).map_err(unknown)?;
        let Some(secret) = &self.secret else {
            form.put("client_id", &id);
            return Ok(());
        };
        let secret = secret.fill(fill).map_err(unknown)?;
        if self.place == ClientPlace::Body {
            form.put("client_id", &id);
            form.put("client_secret", &secret);
            return Ok(());
        }
        // Section 2.3.1: both are encoded as in a form before they are put together.
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let both = Zeroizing::new(format!("{}:{}", encoded(&id), encoded(&secret)));
        headers.insert(AUTHORIZATION, basic(&both)?);
        Ok(())
    }
}

/// The value of a Basic header for `name:password`.
pub(super) fn basic(both: &str) -> Result<HeaderValue, Failure> {
    let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(both)));
    sensitive(&text)
}

/// A header's value that is not shown.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        Failure::Impossible("a secret or a token has characters that no header can carry".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn unknown(name: String) -> Failure {
    Failure::Impossible(format!("`{name}` is not known"))
}

impl Tokens {
    pub(super) fn compile(
        request: &TokenRequest,
        how: How,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Self, String> {
        let phrase = |text: &str| Phrase::compile(text, is_known);
        let param = |(name, text): (&String, &String)| Ok((name.clone(), phrase(text)?));
        let header = HeaderName::try_from(request.header.as_str())
            .map_err(|_| format!("`{}` is no header name", request.header))?;
        Ok(Self {
            url: phrase(&request.url)?,
            how,
            scope: request.scope.as_deref().map(phrase).transpose()?,
            params: request.params.iter().map(param).collect::<Result<_, String>>()?,
            token: Capture::one(&request.path, "token")?,
            header,
            prefix: request.prefix.clone(),
            lifetime: Lifetime::compile(&request.expiry)?,
            capture: Capture::compile(&request.capture)?,
        })
    }

    /// Whether each token may come with a new refresh token.
    pub(super) fn rotates(&self) -> bool {
        matches!(self.how, How::Refresh(..))
    }

    /// The refresh token as it is configured, and what tells it from another one.
    pub(super) fn configured(&self, fill: Fill<'_>) -> Result<Option<(String, SecretString)>, Failure> {
        let How::Refresh(_, phrase) = &self.how else { return Ok(None) };
        let token = phrase.fill(fill).map_err(unknown)?;
        let seed = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some((seed, SecretString::from(token.as_str()))))
    }

    /// Asks for a token. `refresh` is the refresh token, where one is used.
    pub(super) async fn grant(
        &self,
        client: &Client,
        fill: Fill<'_>,
        refresh: Option<&SecretString>,
    ) -> Result<Granted, Failure> {
        let asked = Instant::now();
        let wire = self.wire(fill, refresh)?;
        let answer = ask(client, wire).await?;
        if answer.status != 200 {
            return Err(answer.failure());
        }
        Ok(self.granted(asked, &answer))
    }

    fn granted(&self, asked: Instant, answer: &SignInAnswer) -> Granted {
        let json = answer.json().unwrap_or_default();
        let refresh = json["refresh_token"].as_str().filter(|_| self.rotates()).map(SecretString::from);
        let token = || {
            let token = self.token.take(answer)?.remove("token").unwrap_or_default();
            Ok((Zeroizing::new(token), self.capture.take(answer)?))
        };
        Granted { token: token(), renew_at: self.lifetime.renew_at(asked, answer), refresh }
    }

    pub(super) fn wire(&self, fill: Fill<'_>, refresh: Option<&SecretString>) -> Result<Wire, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut form = Form::default();
        let signed = |signed: &Signed| signed.sign(fill).map_err(Failure::Impossible);
        match &self.how {
            How::Client(proof) => {
                form.put("grant_type", "client_credentials");
                proof.write(fill, &mut form, &mut headers)?;
            }
            How::Refresh(proof, _) => {
                form.put("grant_type", "refresh_token");
                form.put("refresh_token", refresh.map(|token| token.expose_secret()).unwrap_or_default());
                proof.write(fill, &mut form, &mut headers)?;
            }
            How::JwtGrant(assertion) => {
                form.put("grant_type", JWT_GRANT);
                form.put("assertion", &signed(assertion)?);
            }
            How::ClientAssertion(assertion) => {
                form.put("grant_type", "client_credentials");
                form.put("client_assertion_type", JWT_CLIENT);
                form.put("client_assertion", &signed(assertion)?);
            }
        }
        if let Some(scope) = &self.scope {
            form.put("scope", &scope.fill(fill).map_err(unknown)?);
        }
        for (name, phrase) in &self.params {
            form.put(name, &phrase.fill(fill).map_err(unknown)?);
        }
        let uri = address(&self.url.fill(fill).map_err(unknown)?)?;
        Ok(Wire { method: Method::POST, uri, headers, body: Bytes::copy_from_slice(form.0.as_bytes()) })
    }
}

/// An address that can be sent to.
pub(super) fn address(text: &str) -> Result<Uri, Failure> {
    let uri = Uri::try_from(text).ok();
    let uri = uri.filter(|u| u.host().is_some() && matches!(u.scheme_str(), Some("http" | "https")));
    uri.ok_or_else(|| Failure::Impossible(format!("`{text}` is no address")))
}

/// The two ways in which secrets can be taken, or the one.
pub(super) fn choices(first: Choice, rotates: bool) -> impl Iterator<Item = Choice> {
    std::iter::once(first).chain(rotates.then(|| first.other()))
}
