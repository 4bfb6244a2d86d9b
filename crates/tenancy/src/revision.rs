//! A tenant's configuration as it stands on the control topic: JSON, keyed by the tenant.

use std::collections::BTreeMap;

use event::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the key of such a record begins with; the tenant's id follows.
const KEY: &str = "tenant ";
/// The form of the record that says nothing of connectors.
const FORMAT: u32 = 1;
/// The form of the one that does: a build that does not know of them must not take it for the other.
const BOUND: u32 = 2;
/// The largest record, in bytes; below what the control topic takes.
pub const MAX_REVISION: usize = 768 * 1024;

/// The files of one tenant's folder, by their paths below it.
pub type Files = BTreeMap<String, String>;

/// Digests of connectors, each over its definition and base mappings, by their names.
pub type Digests = BTreeMap<String, String>;

/// One state of a tenant's configuration. The last one on the topic holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    format: u32,
    /// Whose.
    pub tenant: TenantId,
    /// Counts the changes of this tenant, from 1.
    pub revision: u64,
    /// Of the files, see [`hash_of`].
    pub hash: String,
    /// Whether the tenant is removed. The files stay: its events wait, and must be recognised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its folder. Secrets are references.
    pub files: Files,
    /// The connectors that its routes used, as whoever applied it had them.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub connectors: Digests,
    /// Who applied it.
    pub operator: String,
    /// Why, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// A record under a tenant's key that this build cannot read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableRevision {
    /// The key names no tenant.
    #[error("the key names no tenant")]
    Key,
    /// There is no value. A removed tenant keeps its record.
    #[error("the record is empty")]
    Empty,
    /// Larger than any that is written.
    #[error("the record has {0} bytes, at most {MAX_REVISION} are read")]
    TooLarge(usize),
    /// Not JSON, or not of this form.
    #[error("the record is not a tenant's configuration")]
    Json(#[from] serde_json::Error),
    /// Written by another build.
    #[error("the record has format {0}, this build reads {FORMAT} and {BOUND}")]
    Format(u32),
    /// Key and content differ.
    #[error("the record is about tenant `{0}`, its key says otherwise")]
    Tenant(TenantId),
    /// The files are not those that were applied.
    #[error("the files do not fit the record's hash")]
    Hash,
}

impl Revision {
    /// The next state after `before`.
    pub fn after(before: Option<&Self>, tenant: TenantId, files: Files, operator: String, at: i64) -> Self {
        let revision = before.map_or(1, |before| before.revision + 1);
        let hash = hash_of(&files);
        let connectors = Digests::new();
        Self {
            format: FORMAT,
            tenant,
            revision,
            hash,
            removed: false,
            files,
            connectors,
            operator,
            reason: None,
            at,
        }
    }

    /// The same, looked at with these connectors.
    #[must_use]
    pub fn bound_to(self, connectors: Digests) -> Self {
        let format = if connectors.is_empty() { FORMAT } else { BOUND };
        Self { format, connectors, ..self }
    }

    /// The next state, without the tenant.
    #[must_use]
    pub fn removal(&self, operator: String, at: i64) -> Self {
        let revision = self.revision + 1;
        Self { removed: true, revision, operator, reason: None, at, ..self.clone() }
    }

    /// The record's key.
    pub fn key(&self) -> Vec<u8> {
        key_of(&self.tenant)
    }

    /// The record's value.
    ///
    /// # Errors
    /// [`UnreadableRevision::TooLarge`]: nobody would read it.
    pub fn value(&self) -> Result<Vec<u8>, UnreadableRevision> {
        let value = serde_json::to_vec(self)?;
        if value.len() > MAX_REVISION { Err(UnreadableRevision::TooLarge(value.len())) } else { Ok(value) }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Where it is not what this build understands.
    pub fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Self, UnreadableRevision> {
        /// Read first: what else there is may differ.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let tenant = tenant_of(key).ok_or(UnreadableRevision::Key)?;
        let value = value.ok_or(UnreadableRevision::Empty)?;
        if value.len() > MAX_REVISION {
            return Err(UnreadableRevision::TooLarge(value.len()));
        }
        let Head { format } = serde_json::from_slice(value)?;
        if ![FORMAT, BOUND].contains(&format) {
            return Err(UnreadableRevision::Format(format));
        }
        let revision: Self = serde_json::from_slice(value)?;
        if revision.tenant != tenant {
            return Err(UnreadableRevision::Tenant(revision.tenant));
        }
        if revision.hash == hash_of(&revision.files) { Ok(revision) } else { Err(UnreadableRevision::Hash) }
    }
}

/// The key of a tenant's records.
pub fn key_of(tenant: &TenantId) -> Vec<u8> {
    format!("{KEY}{tenant}").into_bytes()
}

/// Whose configuration a record of the control topic is; none if it is about something else.
pub fn tenant_of(key: &[u8]) -> Option<TenantId> {
    std::str::from_utf8(key).ok()?.strip_prefix(KEY)?.parse().ok()
}

/// SHA-256 over names and texts, each with its length.
pub fn hash_of(files: &Files) -> String {
    let mut hash = Sha256::new();
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn acme() -> Revision {
        let files = Files::from([("tenant.yaml".to_owned(), "tenant: acme\n".to_owned())]);
        Revision::after(None, "acme".parse().unwrap(), files, "ann".into(), 7)
    }

    /// Whoever changes it changes what is stored.
    #[test]
    fn the_form_on_the_topic_does_not_change() {
        let value = String::from_utf8(acme().value().unwrap()).unwrap();
        assert_eq!(
            value,
            r#"{"format":1,"tenant":"acme","revision":1,"hash":"#.to_owned()
                + r#""2b7e80d050d35af423daf6d1a86c82f18701d8cd2b358d3adfacabe5b84c9404","#
                + r#""files":{"tenant.yaml":"tenant: acme\n"},"operator":"ann","at":7}"#
        );
        assert_eq!(Revision::parse(b"tenant acme", Some(value.as_bytes())).unwrap(), acme());
    }

    /// So does whoever changes this.
    #[test]
    fn the_form_with_connectors_does_not_change() {
        let bound = acme().bound_to(Digests::from([("sandbox".to_owned(), "00ff".to_owned())]));
        let value = String::from_utf8(bound.value().unwrap()).unwrap();
        assert_eq!(
            value,
            r#"{"format":2,"tenant":"acme","revision":1,"hash":"#.to_owned()
                + r#""2b7e80d050d35af423daf6d1a86c82f18701d8cd2b358d3adfacabe5b84c9404","#
                + r#""files":{"tenant.yaml":"tenant: acme\n"},"connectors":{"sandbox":"00ff"},"#
                + r#""operator":"ann","at":7}"#
        );
        assert_eq!(Revision::parse(b"tenant acme", Some(value.as_bytes())).unwrap(), bound);
        assert_eq!(bound.removal("bob".into(), 8).connectors, bound.connectors);
    }

    #[test]
    fn what_this_build_does_not_understand_is_refused() {
        let value = String::from_utf8(acme().value().unwrap()).unwrap();
        let parse =
            |key: &str, value: &str| Revision::parse(key.as_bytes(), Some(value.as_bytes())).unwrap_err();
        let newer = value.replace(r#""format":1"#, r#""format":3,"more":true"#);
        assert!(matches!(parse("tenant acme", &newer), UnreadableRevision::Format(3)));
        assert!(matches!(parse("tenant globex", &value), UnreadableRevision::Tenant(_)));
        assert!(matches!(
            parse("tenant acme", &value.replace("acme\\n", "evil\\n")),
            UnreadableRevision::Hash
        ));
        assert!(matches!(parse("pause tenant acme", &value), UnreadableRevision::Key));
        assert!(matches!(Revision::parse(b"tenant acme", None), Err(UnreadableRevision::Empty)));
        let large = "x".repeat(MAX_REVISION + 1);
        assert!(matches!(parse("tenant acme", &large), UnreadableRevision::TooLarge(_)));
    }

    #[test]
    fn revisions_are_counted_and_a_removal_keeps_the_files() {
        let first = acme();
        let second = Revision::after(Some(&first), first.tenant.clone(), Files::new(), "bob".into(), 8);
        assert_eq!(second.revision, 2);
        let removal = first.removal("bob".into(), 9);
        assert_eq!((removal.revision, removal.removed, &removal.files), (2, true, &first.files));
        assert_eq!(Revision::parse(&removal.key(), Some(&removal.value().unwrap())).unwrap(), removal);
    }
}
