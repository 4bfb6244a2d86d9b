//! Signing in: each request carries what shows whose it is.
//!
//! One [`Authenticator`] for each connection. It signs in when the first request needs it, once for all that wait, and again
//! when what it has ends or an answer says `auth_expired` of just that. Nothing of a posting is sent before.

mod answer;
mod assertion;
mod csrf;
mod failure;
mod login;
mod oauth1;
mod phrase;
mod session;
mod store;
mod token;
mod way;

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use self::{
    csrf::{Csrf, CsrfToken},
    phrase::{Choice, Fill},
    token::choices,
    way::Way,
};
pub(crate) use self::{
    failure::Failure,
    session::Session,
    way::{TOKEN, address, captures, check, header},
};
pub use self::{
    phrase::Secrets,
    store::{FileStore, Held, Kept, Stored, TokenStore},
};
use crate::{Client, Connector, EndpointError, call::Wire, compile};

/// For so long after a change to the other secret, an answer that turns that one away too counts for both.
const BOTH_TURNED_AWAY: Duration = Duration::from_secs(30);

/// What a connection signs in with.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Whose connection it is, and its name: what is stored of it is found by them.
    pub of: (&'a str, &'a str),
    /// Where the system answers; absent means where the connector says.
    pub base_url: Option<&'a str>,
    /// What the connector calls `{{conn.<value>}}`.
    pub values: &'a BTreeMap<String, String>,
    /// The same for what is secret.
    pub secrets: &'a Secrets,
    /// Where refresh tokens are kept; without it they are lost with the process.
    pub store: Option<&'a Arc<dyn TokenStore>>,
}

/// Signs in on one connection, and signs its requests.
pub struct Authenticator {
    of: (String, String),
    way: Way,
    csrf: Option<Csrf>,
    known: BTreeMap<String, String>,
    secrets: Secrets,
    store: Option<Arc<dyn TokenStore>>,
    state: RwLock<State>,
    /// Held while one signs in for all.
    gate: Mutex<Gate>,
    csrf_gate: Mutex<Gate>,
}

/// What requests are sent with now.
struct State {
    session: Option<Arc<Session>>,
    csrf: Option<Arc<CsrfToken>>,
    /// Which of two secrets is accepted.
    choice: Choice,
    /// When it was changed for the last time.
    changed: Option<Instant>,
}

#[derive(Default)]
struct Gate {
    /// When the last one failed, and how: those that waited for it need not try for themselves.
    failed: Option<(Instant, Failure)>,
    /// Counts what was had.
    serial: u64,
    /// A refresh token that is not stored yet.
    unsaved: Option<Kept>,
    /// The refresh token, where there is no store.
    kept: Option<Kept>,
}

/// What one request is signed with.
pub(crate) struct Prepared {
    pub(crate) session: Arc<Session>,
    csrf: Option<Arc<CsrfToken>>,
}

impl Authenticator {
    /// Signs in on a connection as `connector` says.
    ///
    /// # Errors
    /// The connector's `auth` does not fit, or the connection lacks what it needs.
    pub fn new(connector: &Connector, access: &Access<'_>) -> Result<Self, EndpointError> {
        compile::check_access(connector, access.values, access.secrets)?;
        let known = compile::known_in_auth(connector, access.base_url, access.values)?;
        let (way, csrf) = way::compile(connector, &known, access.secrets)?;
        let (tenant, name) = access.of;
        let made = Self {
            of: (tenant.to_owned(), name.to_owned()),
            way,
            csrf,
            known,
            secrets: access.secrets.clone(),
            store: access.store.cloned(),
            state: RwLock::new(State { session: None, csrf: None, choice: Choice::Current, changed: None }),
            gate: Mutex::default(),
            csrf_gate: Mutex::default(),
        };
        // Secrets that no header can carry and keys that cannot sign are said now, not when the first posting waits for them.
        for choice in choices(Choice::Current, made.secrets.rotates()) {
            made.way
                .rehearse(made.fill(choice))
                .map_err(|what| EndpointError::Connection { connector: connector.connector.clone(), what })?;
        }
        Ok(made)
    }

    /// What a request with `method` is signed with; `left` is how long it can wait.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        client: &Client,
        method: &Method,
        left: Duration,
    ) -> Result<Prepared, Failure> {
        let asked = Instant::now();
        let session = match self.valid() {
            Some(session) => session,
            None => self.wait_for(client.clone(), asked, left).await?,
        };
        let Some(csrf) = self.csrf.as_ref().filter(|_| Csrf::guards(method)) else {
            return Ok(Prepared { session, csrf: None });
        };
        let left = left.saturating_sub(asked.elapsed());
        let token = tokio::time::timeout(left, self.csrf_token(csrf, client, &session, asked)).await;
        let token = token.unwrap_or_else(|_| Err(Failure::later("there was no time left")));
        match token {
            Ok(token) => Ok(Prepared { session, csrf: Some(token) }),
            Err(Failure::Denied(what)) if self.turned_away(&session, true) => {
                Err(Failure::Later { what, after_ms: Some(0) })
            }
            Err(error) => Err(error),
        }
    }

    /// Signs a request.
    pub(crate) fn sign(&self, with: &Prepared, wire: &mut Wire) -> Result<(), Failure> {
        if let (Some(csrf), Some(token)) = (&self.csrf, &with.csrf) {
            csrf.apply(token, &mut wire.headers);
            csrf::add_cookies(&mut wire.headers, &token.cookies)?;
        }
        with.session.sign(wire)
    }

    /// Whether an answer says that the token against forged requests does not hold any more: nothing was done, and the same
    /// request can be sent with another one.
    pub(crate) fn needs_new_csrf(&self, with: &Prepared, answer: (u16, &HeaderMap, &[u8])) -> bool {
        let (Some(csrf), Some(token)) = (&self.csrf, &with.csrf) else { return false };
        let failed = csrf.failed(answer.0, answer.1, answer.2);
        let mut state = self.state.write();
        if failed && state.csrf.as_ref().is_some_and(|current| current.serial == token.serial) {
            state.csrf = None;
        }
        failed
    }

    /// An answer turned away what a request was signed with; `expired` says that signing in again may help. Says whether the
    /// request can be repeated at once.
    pub(crate) fn turned_away(&self, session: &Arc<Session>, expired: bool) -> bool {
        let mut state = self.state.write();
        let is_current = state.session.as_ref().is_some_and(|current| current.serial == session.serial);
        if !self.way.signs_in() {
            return if is_current { self.change_secret(&mut state) } else { self.secrets.rotates() };
        }
        if is_current && expired {
            (state.session, state.csrf) = (None, None);
        }
        // One that never was accepted would not be the next time either: that is for the backoff.
        expired && session.is_proven()
    }

    /// The system has accepted what a request was signed with.
    pub(crate) fn accepted(&self, session: &Session) {
        session.prove();
    }

    /// The other secret, where there are two.
    fn change_secret(&self, state: &mut State) -> bool {
        (state.session, state.csrf) = (None, None);
        let both = state.changed.is_some_and(|at| at.elapsed() < BOTH_TURNED_AWAY);
        if both || !self.secrets.rotates() {
            state.choice = Choice::Current;
            return false;
        }
        state.choice = state.choice.other();
        state.changed = Some(Instant::now());
        true
    }

    /// What we have, if it holds.
    fn valid(&self) -> Option<Arc<Session>> {
        let state = self.state.read();
        state.session.as_ref().filter(|session| session.holds()).cloned()
    }

    /// Signing in is a task of its own: a request that gives up must not cut it off between a new refresh token and its store.
    async fn wait_for(
        self: &Arc<Self>,
        client: Client,
        asked: Instant,
        left: Duration,
    ) -> Result<Arc<Session>, Failure> {
        let this = Arc::clone(self);
        let signing_in = tokio::spawn(async move { this.renew(&client, asked).await });
        match tokio::time::timeout(left, signing_in).await {
            Ok(Ok(signed_in)) => signed_in,
            Ok(Err(_)) => Err(Failure::later("the task that signs in has ended")),
            Err(_) => Err(Failure::later("there was no time left")),
        }
    }

    async fn renew(&self, client: &Client, asked: Instant) -> Result<Arc<Session>, Failure> {
        let mut gate = self.gate.lock().await;
        if let Some(session) = self.valid() {
            return Ok(session);
        }
        if let Some((_, failure)) = gate.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(failure.clone());
        }
        gate.serial += 1;
        match self.sign_in(client, &mut gate).await {
            Ok(session) => {
                let session = Arc::new(session);
                self.state.write().session = Some(Arc::clone(&session));
                gate.failed = None;
                Ok(session)
            }
            Err(failure) => {
                let (tenant, connection) = &self.of;
                tracing::warn!(%tenant, %connection, code = failure.code(), error = %failure, "could not sign in");
                gate.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// With the secrets that were accepted last, then with the others.
    async fn sign_in(&self, client: &Client, gate: &mut Gate) -> Result<Session, Failure> {
        let first = self.state.read().choice;
        if !self.way.signs_in() {
            return self.way.fixed(self.fill(first), gate.serial);
        }
        let mut denied = None;
        for choice in choices(first, self.secrets.rotates()) {
            match self.open(client, choice, gate).await {
                Ok(session) => {
                    self.state.write().choice = choice;
                    return Ok(session);
                }
                Err(failure @ Failure::Denied(_)) => denied.get_or_insert(failure),
                Err(failure) => return Err(failure),
            };
        }
        self.state.write().choice = Choice::Current;
        Err(denied.unwrap_or_else(|| Failure::denied("there is nothing to sign in with")))
    }

    async fn open(&self, client: &Client, choice: Choice, gate: &mut Gate) -> Result<Session, Failure> {
        match &self.way {
            Way::Login(login) => {
                let opened = login.open(client, self.fill(choice)).await?;
                Ok(Session::of_login(gate.serial, opened))
            }
            Way::Tokens(tokens) if tokens.rotates() => {
                let granted = self.refresh(tokens, client, choice, gate).await?;
                Session::of_token(gate.serial, tokens, granted)
            }
            Way::Tokens(tokens) => {
                let granted = tokens.grant(client, self.fill(choice), None).await?;
                Session::of_token(gate.serial, tokens, granted)
            }
            fixed => fixed.fixed(self.fill(choice), gate.serial),
        }
    }

    fn fill(&self, choice: Choice) -> Fill<'_> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        Fill { known: &self.known, secrets: &self.secrets, choice, captured: &NOTHING }
    }

    /// A token for a refresh token. Nobody else, here or in another process, is at it meanwhile; the one that takes its place
    /// is stored before the token is used.
    async fn refresh(
        &self,
        tokens: &token::Tokens,
        client: &Client,
        choice: Choice,
        gate: &mut Gate,
    ) -> Result<token::Granted, Failure> {
        let not_stored = |error: std::io::Error| Failure::NotStored(error.to_string());
        let mut held = match &self.store {
            Some(store) => Some(store.hold(&self.of.0, &self.of.1).await.map_err(not_stored)?),
            None => None,
        };
        if let (Some(held), Some(unsaved)) = (&mut held, &gate.unsaved) {
            held.keep(unsaved).await.map_err(not_stored)?;
            gate.unsaved = None;
        }
        let kept = match &mut held {
            Some(held) => held.kept().await.map_err(not_stored)?,
            None => gate.kept.clone(),
        };
        let fill = self.fill(choice);
        let (seed, configured) = tokens
            .configured(fill)?
            .ok_or_else(|| Failure::Impossible("there is no refresh token".to_owned()))?;
        let refresh = kept.filter(|kept| kept.seed == seed).map_or(configured, |kept| kept.token);
        let mut granted = tokens.grant(client, fill, Some(&refresh)).await?;
        if let Some(token) = granted.refresh.take() {
            let kept = Kept { seed, token };
            match &mut held {
                Some(held) => {
                    gate.unsaved = Some(kept.clone());
                    held.keep(&kept).await.map_err(not_stored)?;
                    gate.unsaved = None;
                }
                None => gate.kept = Some(kept),
            }
        }
        Ok(granted)
    }

    async fn csrf_token(
        &self,
        csrf: &Csrf,
        client: &Client,
        session: &Arc<Session>,
        asked: Instant,
    ) -> Result<Arc<CsrfToken>, Failure> {
        let current = || self.state.read().csrf.clone().filter(|token| token.session == session.serial);
        if let Some(token) = current() {
            return Ok(token);
        }
        let mut gate = self.csrf_gate.lock().await;
        if let Some(token) = current() {
            return Ok(token);
        }
        if let Some((_, failure)) = gate.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(failure.clone());
        }
        gate.serial += 1;
        let fill = Fill { captured: &session.captured, ..self.fill(self.state.read().choice) };
        let serials = (session.serial, gate.serial);
        match csrf.fetch(client, fill, serials, |wire| session.sign(wire)).await {
            Ok(token) => {
                let token = Arc::new(token);
                self.state.write().csrf = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(failure) => {
                gate.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("of", &self.of).finish_non_exhaustive()
    }
}
