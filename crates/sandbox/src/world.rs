//! All accounts.

use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::RwLock;

use crate::{
    SettingsError,
    account::Account,
    refusal::Refusal,
    report::Summary,
    settings::{Change, Settings},
};

const MAX_ACCOUNTS: usize = 1_000;
const MAX_NAME: usize = 64;

/// The sandbox ERP. Cheap to clone; clones share their accounts.
#[derive(Clone, Default)]
pub struct Sandbox {
    accounts: Arc<RwLock<AHashMap<Box<str>, Arc<Account>>>>,
}

impl Sandbox {
    /// A sandbox without accounts. An account comes into being when it is first used or configured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes an account's settings, as `PUT /admin/accounts/{account}` does.
    ///
    /// # Errors
    /// If the account's name is not one, or a value is out of its range.
    pub fn configure(&self, account: &str, change: Change) -> Result<Settings, SettingsError> {
        let configured = self.account(account).and_then(|account| account.change(change));
        configured.map_err(|refusal| SettingsError { message: refusal.to_string() })
    }

    /// What the oracle found so far, as `GET /admin/summary` does.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for account in self.all() {
            let found = account.summary();
            summary.totals.add(&found.totals);
            summary.accounts.insert(account.name.to_string(), found);
        }
        summary
    }

    /// Every account, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.accounts.read().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) fn existing(&self, name: &str) -> Result<Arc<Account>, Refusal> {
        self.accounts.read().get(name).cloned().ok_or(Refusal::NotFound("account"))
    }

    /// The account, created if it is new.
    pub(crate) fn account(&self, name: &str) -> Result<Arc<Account>, Refusal> {
        if let Some(account) = self.accounts.read().get(name) {
            return Ok(Arc::clone(account));
        }
        let mut accounts = self.accounts.write();
        if let Some(account) = accounts.get(name) {
            return Ok(Arc::clone(account));
        }
        if !is_name(name) {
            return Err(Refusal::BadAccount);
        }
        if accounts.len() >= MAX_ACCOUNTS {
            return Err(Refusal::TooManyAccounts(MAX_ACCOUNTS));
        }
        let account = Arc::new(Account::new(name));
        accounts.insert(name.into(), Arc::clone(&account));
        Ok(account)
    }

    /// Forgets an account, its settings included. What is still pending there is applied to nothing.
    pub(crate) fn reset(&self, name: &str) -> Result<(), Refusal> {
        self.accounts.write().remove(name).map(drop).ok_or(Refusal::NotFound("account"))
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    starts && rest && name.len() <= MAX_NAME && name != "admin"
}
