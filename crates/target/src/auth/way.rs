//! From a definition's `auth` to what carries it out.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;
use secrecy::zeroize::Zeroizing;

use super::{
    assertion::Signed,
    csrf::Csrf,
    failure::Failure,
    login::Login,
    oauth1::Signer,
    phrase::{Fill, Phrase, Secrets},
    session::Session,
    token::{How, Proof, Tokens, basic, sensitive, unknown},
};
use crate::{
    Connector, EndpointError,
    definition::{Auth, DefinitionError, FieldKind},
};

/// The secret of a static token, unless the connector names another one.
pub(crate) const TOKEN: &str = "token";

/// A way of signing in, compiled.
pub(super) enum Way {
    None,
    Header { header: HeaderName, prefix: String, secret: Phrase },
    Basic { username: Phrase, password: Phrase },
    Oauth1 { consumer: (Phrase, Phrase), token: (Phrase, Phrase), realm: Option<Phrase> },
    Tokens(Box<Tokens>),
    Login(Box<Login>),
}

impl Way {
    /// Whether a request of its own comes before.
    pub(super) fn signs_in(&self) -> bool {
        matches!(self, Self::Tokens(_) | Self::Login(_))
    }

    /// Whether the secrets can be used at all; if not, what is wrong.
    pub(super) fn rehearse(&self, fill: Fill<'_>) -> Result<(), String> {
        let tried = match self {
            Self::Tokens(tokens) => tokens.wire(fill, None).map(drop),
            Self::Login(login) => login.ask.wire(fill).map(drop),
            fixed => fixed.fixed(fill, 0).map(drop),
        };
        tried.map_err(|failure| failure.to_string())
    }

    /// What requests are signed with where nobody has to be asked for it.
    pub(super) fn fixed(&self, fill: Fill<'_>, serial: u64) -> Result<Session, Failure> {
        let text = |phrase: &Phrase| phrase.fill(fill).map_err(unknown);
        Ok(match self {
            Self::None | Self::Tokens(_) | Self::Login(_) => Session::of_header(serial, None),
            Self::Header { header, prefix, secret } => {
                let value = Zeroizing::new(format!("{prefix}{}", text(secret)?.as_str()));
                Session::of_header(serial, Some((header.clone(), sensitive(&value)?)))
            }
            Self::Basic { username, password } => {
                let both =
                    Zeroizing::new(format!("{}:{}", text(username)?.as_str(), text(password)?.as_str()));
                Session::of_header(serial, Some((http::header::AUTHORIZATION, basic(&both)?)))
            }
            Self::Oauth1 { consumer, token, realm } => {
                let realm = realm.as_ref().map(text).transpose()?.map(|realm| realm.to_string());
                let pair = |(a, b): &(Phrase, Phrase)| Ok::<_, Failure>((text(a)?, text(b)?));
                let (consumer, token) = (pair(consumer)?, pair(token)?);
                let signer = Signer::new((&consumer.0, &consumer.1), (&token.0, &token.1), realm);
                Session::of_signer(serial, signer)
            }
        })
    }
}

/// The names that an answer to signing in gives, as `{{auth.captured.<name>}}`.
pub(crate) fn captures(auth: &Auth) -> BTreeSet<&str> {
    let names = match auth {
        Auth::Oauth2Client { token, .. }
        | Auth::Oauth2Code { token, .. }
        | Auth::Oauth2JwtGrant { token, .. }
        | Auth::Oauth2ClientAssertion { token, .. } => &token.capture,
        Auth::SessionLogin { capture, .. } => capture,
        Auth::None | Auth::StaticToken { .. } | Auth::Basic { .. } | Auth::Oauth1Hmac { .. } => {
            return BTreeSet::new();
        }
    };
    names.keys().map(String::as_str).collect()
}

/// Where a token or a session is asked for, as the definition says it.
pub(crate) fn address(auth: &Auth) -> Option<&str> {
    match auth {
        Auth::None | Auth::StaticToken { .. } | Auth::Basic { .. } | Auth::Oauth1Hmac { .. } => None,
        Auth::Oauth2Client { token, .. }
        | Auth::Oauth2Code { token, .. }
        | Auth::Oauth2JwtGrant { token, .. }
        | Auth::Oauth2ClientAssertion { token, .. } => Some(&token.url),
        Auth::SessionLogin { request, .. } => request.send.split_once(' ').map(|(_, address)| address.trim()),
    }
}

/// The header that shows whose a request is.
pub(crate) fn header(auth: &Auth) -> Option<&str> {
    match auth {
        Auth::None => None,
        Auth::StaticToken { header, .. } => Some(header),
        Auth::Basic { .. } | Auth::Oauth1Hmac { .. } => Some("Authorization"),
        Auth::Oauth2Client { token, .. }
        | Auth::Oauth2Code { token, .. }
        | Auth::Oauth2JwtGrant { token, .. }
        | Auth::Oauth2ClientAssertion { token, .. } => Some(&token.header),
        Auth::SessionLogin { session, .. } => session.as_ref().map(|session| session.header.as_str()),
    }
}

/// Whether a connector's `auth` and `csrf` can be carried out, as far as that can be told without its secrets.
pub(crate) fn check(connector: &Connector, known: &BTreeMap<String, String>) -> Result<(), EndpointError> {
    compile(connector, known, Secrets::none()).map(drop)
}

/// Compiles a connector's `auth` and `csrf`. Without a token, a static one is left out.
pub(super) fn compile(
    connector: &Connector,
    known: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<(Way, Option<Csrf>), EndpointError> {
    let wrong = |what: String| -> EndpointError {
        DefinitionError::Auth { name: connector.connector.clone(), what }.into()
    };
    let captured = captures(&connector.auth);
    let before = |name: &str| {
        known.contains_key(name)
            || name.strip_prefix("conn.").is_some_and(|name| {
                name == TOKEN || connector.connection.get(name).is_some_and(|f| f.kind == FieldKind::Secret)
            })
    };
    let after = |name: &str| {
        before(name) || name.strip_prefix("auth.captured.").is_some_and(|name| captured.contains(name))
    };
    let csrf = connector.csrf.as_ref().map(|csrf| Csrf::compile(csrf, &after)).transpose();
    let way = way(&connector.auth, secrets, &before, &after);
    Ok((way.map_err(wrong)?, csrf.map_err(wrong)?))
}

type IsKnown<'a> = &'a dyn Fn(&str) -> bool;

fn way(auth: &Auth, secrets: &Secrets, before: IsKnown<'_>, after: IsKnown<'_>) -> Result<Way, String> {
    let phrase = |text: &str| Phrase::compile(text, before);
    let tokens = |request, how| Ok(Way::Tokens(Box::new(Tokens::compile(request, how, before)?)));
    match auth {
        Auth::None => Ok(Way::None),
        Auth::StaticToken { secret: None, .. } if !secrets.has(TOKEN) => Ok(Way::None),
        Auth::StaticToken { header, prefix, secret } => {
            let name =
                HeaderName::try_from(header.as_str()).map_err(|_| format!("`{header}` is no header name"))?;
            let secret = phrase(secret.as_deref().unwrap_or("{{conn.token}}"))?;
            Ok(Way::Header { header: name, prefix: prefix.clone(), secret })
        }
        Auth::Basic { username, password } => {
            Ok(Way::Basic { username: phrase(username)?, password: phrase(password)? })
        }
        Auth::Oauth1Hmac { consumer_key, consumer_secret, token, token_secret, realm } => Ok(Way::Oauth1 {
            consumer: (phrase(consumer_key)?, phrase(consumer_secret)?),
            token: (phrase(token)?, phrase(token_secret)?),
            realm: realm.as_deref().map(phrase).transpose()?,
        }),
        Auth::Oauth2Client { client, token } => tokens(token, How::Client(Proof::compile(client, before)?)),
        Auth::Oauth2Code { client, refresh_token, token } => {
            tokens(token, How::Refresh(Proof::compile(client, before)?, phrase(refresh_token)?))
        }
        Auth::Oauth2JwtGrant { assertion, token } => {
            tokens(token, How::JwtGrant(Signed::compile(assertion, &token.url, before)?))
        }
        Auth::Oauth2ClientAssertion { assertion, token } => {
            tokens(token, How::ClientAssertion(Signed::compile(assertion, &token.url, before)?))
        }
        Auth::SessionLogin { request, ok, capture, cookies, session, expiry } => {
            let login =
                Login::compile((request, ok), (capture, *cookies), session.as_deref(), expiry, after)?;
            Ok(Way::Login(Box::new(login)))
        }
    }
}
