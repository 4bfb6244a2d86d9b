//! Record keys: `<tenant>/<object>/<entity>`.

use std::str::FromStr;

use crate::{ObjectKind, TenantId};

/// The key of a record on a business topic: tenant, object and the source's key of the entity.
///
/// The tenant stands first so that a record whose value cannot be decoded is still known to be that tenant's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// Whose event it is.
    pub tenant: TenantId,
    /// The canonical object.
    pub object: ObjectKind,
    /// The source's key of the entity, such as an invoice number.
    pub entity: String,
}

/// Why bytes are not a record key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are not UTF-8 or have fewer than three parts.
    #[error("the record key is not of the form `<tenant>/<object>/<entity>`")]
    Form,
    /// The first part is no tenant id.
    #[error(transparent)]
    Tenant(#[from] crate::TenantIdError),
    /// The second part is no canonical object.
    #[error(transparent)]
    Object(#[from] crate::UnknownObject),
    /// The entity is empty, too long, or holds a control character.
    #[error(
        "the entity of a record key must have 1 to {} bytes and no control characters",
        RecordKey::MAX_ENTITY
    )]
    Entity,
}

impl RecordKey {
    /// The longest entity, in bytes.
    pub const MAX_ENTITY: usize = 255;

    /// A key, if `entity` can stand in one.
    pub fn new(tenant: TenantId, object: ObjectKind, entity: &str) -> Result<Self, KeyError> {
        let fits = (1..=Self::MAX_ENTITY).contains(&entity.len()) && !entity.chars().any(char::is_control);
        if fits { Ok(Self { tenant, object, entity: entity.to_owned() }) } else { Err(KeyError::Entity) }
    }

    /// The bytes on the topic.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{}/{}/{}", self.tenant, self.object, self.entity).into_bytes()
    }

    /// Reads a key from the topic.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Form)?;
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or(KeyError::Form);
        let (tenant, object, entity) = (next()?, next()?, next()?);
        Self::new(TenantId::from_str(tenant)?, ObjectKind::from_str(object)?, entity)
    }

    /// The tenant of a key, even where the rest of it is damaged.
    pub fn tenant_of(bytes: &[u8]) -> Option<TenantId> {
        let first = bytes.split(|b| *b == b'/').next()?;
        std::str::from_utf8(first).ok()?.parse().ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_with_slashes_in_the_entity() {
        let key = RecordKey::new("acme".parse().unwrap(), ObjectKind::PurchaseOrder, "2026/PO/1").unwrap();
        assert_eq!(key.to_bytes(), b"acme/purchase_order/2026/PO/1");
        assert_eq!(RecordKey::parse(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn damaged_keys_still_name_the_tenant() {
        assert_eq!(
            RecordKey::parse(b"acme/nothing/1"),
            Err(KeyError::Object(crate::UnknownObject("nothing".into())))
        );
        assert_eq!(RecordKey::parse(b"acme"), Err(KeyError::Form));
        assert_eq!(RecordKey::parse(b"acme/order/\x01"), Err(KeyError::Entity));
        assert_eq!(RecordKey::tenant_of(b"acme/\xff").unwrap().as_str(), "acme");
        assert_eq!(RecordKey::tenant_of(b"\xff/x"), None);
    }
}
