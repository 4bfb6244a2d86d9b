//! Finds the tenant that an API key belongs to.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use event::TenantId;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    problem::{Report, code},
    tenant::ApiKey,
};

/// The longest key that is looked up, in bytes.
const MAX_KEY: usize = 512;

type KeyDigest = [u8; 32];

/// The digests of all API keys.
///
/// Looked up by the first bytes of the digest, then compared in constant time. The time of the look-up depends on
/// the digest only, and nobody can steer the digest of a key towards that of one that he does not know.
#[derive(Clone, Default)]
pub(crate) struct KeyRing {
    by_prefix: HashMap<[u8; 8], Vec<(KeyDigest, TenantId)>>,
}

impl KeyRing {
    /// Adds a tenant's keys; reports names and keys that are used twice.
    pub fn add(&mut self, report: Report<'_>, tenant: &TenantId, keys: &[ApiKey]) {
        let mut ids = BTreeSet::new();
        for key in keys {
            if !ids.insert(&key.id) {
                report.add(code::DUPLICATE, key.at, format!("API key id `{}` is used twice", key.id));
            }
            let digest: KeyDigest = Sha256::digest(key.secret.expose_secret().as_bytes()).into();
            match self.owner(&digest) {
                Some(owner) => {
                    let message =
                        format!("this key is already a key of tenant `{owner}`; a key names one tenant");
                    report.add(code::DUPLICATE, key.at, message);
                }
                None => self.by_prefix.entry(prefix(&digest)).or_default().push((digest, tenant.clone())),
            }
        }
    }

    /// Gives a tenant the keys that it had `before`; whoever else has one of them is named, and has it no longer.
    pub fn give_back(&mut self, tenant: &TenantId, before: &Self) -> BTreeSet<TenantId> {
        let mut others = BTreeSet::new();
        for (prefix, keys) in &before.by_prefix {
            for (digest, _) in keys.iter().filter(|(_, owner)| owner == tenant) {
                let known = self.by_prefix.entry(*prefix).or_default();
                others.extend(known.extract_if(.., |(key, _)| key == digest).map(|(_, owner)| owner));
                known.push((*digest, tenant.clone()));
            }
        }
        others.remove(tenant);
        others
    }

    /// Takes a tenant's keys out.
    pub fn forget(&mut self, tenant: &TenantId) {
        self.by_prefix.values_mut().for_each(|keys| keys.retain(|(_, owner)| owner != tenant));
    }

    /// Whose key `presented` is.
    pub fn find(&self, presented: &str) -> Option<&TenantId> {
        if presented.len() > MAX_KEY {
            return None;
        }
        self.owner(&Sha256::digest(presented.as_bytes()).into())
    }

    fn owner(&self, digest: &KeyDigest) -> Option<&TenantId> {
        let candidates = self.by_prefix.get(&prefix(digest))?;
        candidates.iter().find(|(known, _)| bool::from(known.ct_eq(digest))).map(|(_, tenant)| tenant)
    }
}

fn prefix(digest: &KeyDigest) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.by_prefix.values().map(Vec::len).sum::<usize>())
    }
}
