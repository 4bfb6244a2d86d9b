//! What we have when we are signed in.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::zeroize::Zeroizing;

use super::{
    csrf::add_cookies,
    failure::Failure,
    login::Opened,
    oauth1::Signer,
    token::{Granted, Tokens, sensitive},
};
use crate::call::Wire;

/// What requests are signed with, until it ends or is turned away.
pub(crate) struct Session {
    /// Tells it from those before and after.
    pub(super) serial: u64,
    /// What the system said when we signed in.
    pub(crate) captured: BTreeMap<String, String>,
    header: Option<(HeaderName, HeaderValue)>,
    cookies: Vec<String>,
    signer: Option<Signer>,
    renew_at: Option<Instant>,
    proven: AtomicBool,
}

impl Session {
    fn bare(serial: u64) -> Self {
        Self {
            serial,
            captured: BTreeMap::new(),
            header: None,
            cookies: Vec::new(),
            signer: None,
            renew_at: None,
            proven: AtomicBool::new(false),
        }
    }

    /// One of a header that stays the same, or of none.
    pub(super) fn of_header(serial: u64, header: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { header, ..Self::bare(serial) }
    }

    /// One that signs each request.
    pub(super) fn of_signer(serial: u64, signer: Signer) -> Self {
        Self { signer: Some(signer), ..Self::bare(serial) }
    }

    pub(super) fn of_login(serial: u64, opened: Opened) -> Self {
        let Opened { captured, header, cookies, renew_at } = opened;
        Self { captured, header, cookies, renew_at, ..Self::bare(serial) }
    }

    pub(super) fn of_token(serial: u64, tokens: &Tokens, granted: Granted) -> Result<Self, Failure> {
        let (token, captured) = granted.token?;
        let text = Zeroizing::new(format!("{}{}", tokens.prefix, token.as_str()));
        let header = Some((tokens.header.clone(), sensitive(&text)?));
        Ok(Self { captured, header, renew_at: granted.renew_at, ..Self::bare(serial) })
    }

    pub(super) fn holds(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }

    /// Whether the system has accepted it before.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    pub(super) fn sign(&self, wire: &mut Wire) -> Result<(), Failure> {
        if let Some((name, value)) = &self.header {
            wire.headers.insert(name.clone(), value.clone());
        }
        add_cookies(&mut wire.headers, &self.cookies)?;
        if let Some(signer) = &self.signer {
            let header = signer.header(wire).map_err(Failure::Impossible)?;
            wire.headers.insert(AUTHORIZATION, header);
        }
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("serial", &self.serial).finish_non_exhaustive()
    }
}
