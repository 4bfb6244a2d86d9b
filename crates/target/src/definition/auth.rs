//! The ways of signing in, as they stand in a definition. docs/connector-auth.md has an example of each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Request, When,
    value::{DurationText, duration_ms},
};

/// How a request proves whose it is. Texts say `{{conn.<name>}}` for what the connection gives, secrets among it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By a fixed secret of the connection.
    StaticToken {
        /// The header that carries it.
        header: String,
        /// What stands before it.
        #[serde(default)]
        prefix: String,
        /// The secret. Unless said, the connection's `token`; without one the header is left out.
        secret: Option<String>,
    },
    /// By a user's name and password in each request (RFC 7617).
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// By a token for the client itself (RFC 6749, section 4.4).
    #[serde(rename = "oauth2_client")]
    Oauth2Client {
        /// Who asks for the token.
        client: ClientCredentials,
        /// How the token is asked for and used.
        token: Box<TokenRequest>,
    },
    /// By a refresh token that a person's consent has given us (RFC 6749, section 6). A new one takes its place as often as
    /// the system gives one.
    #[serde(rename = "oauth2_code")]
    Oauth2Code {
        /// Who asks for the token.
        client: ClientCredentials,
        /// The first refresh token: `{{conn.refresh_token}}`.
        refresh_token: String,
        /// How the token is asked for and used.
        token: Box<TokenRequest>,
    },
    /// By a signed assertion in the place of consent (RFC 7523, section 2.1).
    #[serde(rename = "oauth2_jwt_grant")]
    Oauth2JwtGrant {
        /// What is signed.
        assertion: Box<Assertion>,
        /// How the token is asked for and used.
        token: Box<TokenRequest>,
    },
    /// By a token for the client, which proves itself by a signed assertion (RFC 7523, section 2.2).
    #[serde(rename = "oauth2_client_assertion")]
    Oauth2ClientAssertion {
        /// What is signed.
        assertion: Box<Assertion>,
        /// How the token is asked for and used.
        token: Box<TokenRequest>,
    },
    /// By a signature over each request (RFC 5849, with HMAC-SHA256).
    #[serde(rename = "oauth1_hmac")]
    Oauth1Hmac {
        /// Of the application.
        consumer_key: String,
        /// Of the application.
        consumer_secret: String,
        /// Of the account.
        token: String,
        /// Of the account.
        token_secret: String,
        /// What the header calls the account.
        realm: Option<String>,
    },
    /// By a request of the system's own that opens a session.
    SessionLogin {
        /// The request.
        request: Box<Request>,
        /// The statuses that say that it is open.
        #[serde(default = "ok")]
        ok: Vec<u16>,
        /// What is taken from the answer: `{{auth.captured.<name>}}` stands for it.
        #[serde(default)]
        capture: BTreeMap<String, String>,
        /// Whether the answer's cookies go out with every request.
        #[serde(default)]
        cookies: bool,
        /// The header that carries the session.
        session: Option<Box<SessionHeader>>,
        /// When it ends.
        #[serde(default = "on_error_class")]
        expiry: Expiry,
    },
}

/// Who asks for a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The client's id.
    pub id: String,
    /// Its secret; none for a public client.
    pub secret: Option<String>,
    /// Where they stand.
    #[serde(default, rename = "in")]
    pub place: ClientPlace,
}

/// Where a client's credentials stand in the request for a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientPlace {
    /// In a Basic header.
    #[default]
    Basic,
    /// In the form.
    Body,
}

/// How a token is asked for, and what is done with it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Where it is asked for.
    pub url: String,
    /// What is asked for.
    pub scope: Option<String>,
    /// Further fields of the form.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Where the answer has it.
    #[serde(default = "access_token")]
    pub path: String,
    /// The header that carries it.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before it.
    #[serde(default = "bearer")]
    pub prefix: String,
    /// When it ends.
    #[serde(default = "from_field")]
    pub expiry: Expiry,
    /// What else is taken from the answer: `{{auth.captured.<name>}}` stands for it.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

/// What is signed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// How it is signed.
    pub alg: Algorithm,
    /// The private key, as PEM.
    #[serde(default = "private_key")]
    pub key: String,
    /// The key's name.
    pub kid: Option<String>,
    /// Who signs.
    pub iss: String,
    /// On whose behalf.
    pub sub: Option<String>,
    /// For whom; the token's `url` unless said.
    pub aud: Option<String>,
    /// What is asked for, where it stands in the assertion.
    pub scope: Option<String>,
    /// How long it holds.
    #[serde(default = "three_minutes", deserialize_with = "duration_ms", rename = "ttl")]
    #[schemars(with = "DurationText")]
    pub ttl_ms: u64,
}

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
}

/// The header that carries a session.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionHeader {
    /// What it carries: `{{auth.captured.<name>}}` and `{{conn.<name>}}` stand in it.
    pub text: String,
    /// The header.
    #[serde(default = "authorization")]
    pub header: String,
    /// What stands before it.
    #[serde(default)]
    pub prefix: String,
    /// How the text is written.
    #[serde(default)]
    pub encode: SessionEncoding,
}

/// How the text of a session is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEncoding {
    /// As it is.
    #[default]
    None,
    /// In base64.
    Base64,
}

/// When what we signed in with ends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expiry {
    /// The answer says so, in seconds. Where it does not, as `on_error_class`.
    FromField {
        /// Where it stands.
        #[serde(default = "expires_in")]
        path: String,
        /// How long before that it is renewed.
        #[serde(default = "one_minute", deserialize_with = "duration_ms", rename = "margin")]
        #[schemars(with = "DurationText")]
        margin_ms: u64,
    },
    /// After so long.
    Fixed {
        /// How long.
        #[serde(deserialize_with = "duration_ms", rename = "after")]
        #[schemars(with = "DurationText")]
        after_ms: u64,
    },
    /// When an answer says `auth_expired`.
    OnErrorClass {},
}

/// A token against forged requests, with the cookies that belong to it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsrfCookie {
    /// The request that brings it.
    pub fetch: Request,
    /// The header that asks for it, brings it, and carries it.
    #[serde(default = "csrf_header")]
    pub header: String,
    /// What the header says to ask for it.
    #[serde(default = "fetch")]
    pub ask: String,
    /// The answers that say that it does not hold any more, beside a 403 whose header says `Required`.
    pub failed: Option<When>,
}

fn ok() -> Vec<u16> {
    vec![200]
}

fn access_token() -> String {
    "$.access_token".to_owned()
}

fn expires_in() -> String {
    "$.expires_in".to_owned()
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn bearer() -> String {
    "Bearer ".to_owned()
}

fn private_key() -> String {
    "{{conn.private_key}}".to_owned()
}

fn csrf_header() -> String {
    "X-CSRF-Token".to_owned()
}

fn fetch() -> String {
    "Fetch".to_owned()
}

fn three_minutes() -> u64 {
    180_000
}

fn one_minute() -> u64 {
    60_000
}

fn from_field() -> Expiry {
    Expiry::FromField { path: expires_in(), margin_ms: one_minute() }
}

fn on_error_class() -> Expiry {
    Expiry::OnErrorClass {}
}
