//! Tenants whose configuration cannot be put in force, each said once.

use std::collections::BTreeMap;

use event::TenantId;
use tracing::{info, warn};

/// Which tenants are in trouble, and why.
#[derive(Debug)]
pub struct Troubles {
    code: &'static str,
    known: BTreeMap<TenantId, String>,
}

impl Troubles {
    /// Nobody is. `code` is the code of the service that says so.
    pub fn new(code: &'static str) -> Self {
        Self { code, known: BTreeMap::new() }
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// These are now, and nobody else. Logs what has changed of it, and returns how many they are.
    pub fn are(&mut self, troubles: BTreeMap<TenantId, String>) -> usize {
        let code = self.code;
        for (tenant, why) in &troubles {
            if self.known.get(tenant) != Some(why) {
                warn!(code, %tenant, why, "a tenant's configuration cannot be put in force here");
            }
        }
        for tenant in self.known.keys().filter(|tenant| !troubles.contains_key(*tenant)) {
            info!(%tenant, "the tenant's configuration is in force");
        }
        self.known = troubles;
        self.known.len()
    }
}
