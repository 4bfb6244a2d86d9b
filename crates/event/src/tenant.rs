//! Tenant identifiers.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A tenant's identifier: 1 to 63 characters of `a-z`, `0-9` and `-`, starting and ending with a letter or digit.
///
/// The alphabet is that of a DNS label, so that a tenant id can stand in a topic name, a record key, a file path
/// and a metric label without escaping. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// Why a text is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "tenant id `{0}` is not valid: use 1 to 63 characters of a-z, 0-9 and `-`, starting and ending with a letter or digit"
)]
pub struct TenantIdError(pub String);

impl TenantId {
    /// The longest tenant id, in bytes.
    pub const MAX_LEN: usize = 63;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
        let bytes = text.as_bytes();
        let valid = (1..=Self::MAX_LEN).contains(&bytes.len())
            && bytes.iter().all(|b| inner(*b))
            && edge(bytes.first())
            && edge(bytes.last());
        if valid { Ok(Self(Arc::from(text))) } else { Err(TenantIdError(text.to_owned())) }
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dns_labels_only() {
        for good in ["a", "acme", "acme-eu-1", "0x"] {
            assert_eq!(good.parse::<TenantId>().map(|t| t.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "a-", "Acme", "a_b", "a/b", "a.b", &"a".repeat(64)] {
            assert_eq!(bad.parse::<TenantId>(), Err(TenantIdError(bad.to_owned())), "{bad}");
        }
    }
}
