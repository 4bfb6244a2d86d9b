//! Deterministic identifiers.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EventType, TenantId};

/// Namespace of all event ids. Do not change: every id ever derived depends on it.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_20a4_5b0e_4d53_9c55_c0f7_e2f0_11d1);
/// Namespace of all idempotency keys. Do not change: a retry after an upgrade must carry the same key.
const POSTING_NAMESPACE: Uuid = Uuid::from_u128(0x0e6a_3b7c_91d2_4c86_8a1e_7f43_b05d_2c9e);
/// Namespace of all entity ids. Do not change: the ledger finds an entity's last version by it.
const ENTITY_NAMESPACE: Uuid = Uuid::from_u128(0x4d2e_8f15_73b9_4e0d_a6c1_9b2f_08e4_d75a);
/// Namespace of all route ids. Do not change: ledger keys carry them.
const ROUTE_NAMESPACE: Uuid = Uuid::from_u128(0xb1d7_44e0_2f6a_4a0b_b3f5_5a8e_13c9_60d4);

/// The identity of an event. Derived from the source's own facts, so that a resend yields the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventId(pub Uuid);

impl EventId {
    /// UUIDv5 of source, tenant, type, the source's key of the entity, and the source's version of it.
    pub fn derive(
        tenant: &TenantId,
        source: &str,
        event_type: EventType,
        entity: &str,
        version: i64,
    ) -> Self {
        let event_type = event_type.to_string();
        Self(hash(&EVENT_NAMESPACE, &[source, tenant.as_str(), &event_type, entity, &version.to_string()]))
    }

    /// The same for an event whose source gives it neither an identifier nor a version: the version is the instant then,
    /// and what it says (`content`, a digest) tells two events of one instant apart.
    pub fn derive_from_content(
        tenant: &TenantId,
        source: &str,
        event_type: EventType,
        entity: &str,
        version: i64,
        content: &str,
    ) -> Self {
        let (event_type, version) = (event_type.to_string(), version.to_string());
        Self(hash(&EVENT_NAMESPACE, &[source, tenant.as_str(), &event_type, entity, &version, content]))
    }

    /// UUIDv5 of source, tenant and the identifier that the source itself gave to the event
    /// (CloudEvents `source` + `id`, a vendor's webhook event id).
    pub fn from_source_id(tenant: &TenantId, source: &str, id: &str) -> Self {
        Self(hash(&EVENT_NAMESPACE, &[source, tenant.as_str(), id]))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", self.0)
    }
}

/// The identity of an entity across all its events: a hash of its record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityId(pub Uuid);

impl EntityId {
    /// The id of the entity whose events carry this record key.
    pub fn of_record_key(key: &[u8]) -> Self {
        Self(Uuid::new_v5(&ENTITY_NAMESPACE, key))
    }
}

/// The identity of a route: 64 bits of a hash over tenant and route name, stable across restarts and machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteId(pub u64);

impl RouteId {
    /// The id of `tenant`'s route `name`.
    pub fn derive(tenant: &TenantId, name: &str) -> Self {
        Self(hash(&ROUTE_NAMESPACE, &[tenant.as_str(), name]).as_u64_pair().0)
    }
}

/// What the ledger holds one record for: an event, on a route, in a generation
/// (0 for live traffic, one more for each forced replay).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PostingKey {
    /// The event.
    pub event: EventId,
    /// The route it takes.
    pub route: RouteId,
    /// The generation.
    pub generation: u16,
}

impl PostingKey {
    /// The idempotency key that every attempt of this posting carries.
    pub fn idempotency_key(&self) -> Uuid {
        let mut name = [0u8; 26];
        name[..16].copy_from_slice(self.event.0.as_bytes());
        name[16..24].copy_from_slice(&self.route.0.to_be_bytes());
        name[24..].copy_from_slice(&self.generation.to_be_bytes());
        Uuid::new_v5(&POSTING_NAMESPACE, &name)
    }
}

/// UUIDv5 over parts joined by a zero byte, which no part can contain once it passed validation.
fn hash(namespace: &Uuid, parts: &[&str]) -> Uuid {
    Uuid::new_v5(namespace, parts.join("\0").as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Golden values, computed by another UUID implementation: a change would let resent events through as new ones.
    #[test]
    fn ids_do_not_change() {
        let tenant: TenantId = "acme".parse().unwrap();
        let event = EventId::derive(&tenant, "shop", "invoice.posted".parse().unwrap(), "INV-1", 7);
        let said = EventId::derive_from_content(
            &tenant,
            "shop",
            "invoice.posted".parse().unwrap(),
            "INV-1",
            7,
            "c0ffee",
        );
        let named = EventId::from_source_id(&tenant, "stripe", "evt_1");
        let route = RouteId::derive(&tenant, "invoices-to-erp");
        let posting = PostingKey { event, route, generation: 0 };
        assert_eq!(event.to_string(), "f0682c4b-f3ca-51f1-97af-65b2e63d3dcc");
        assert_eq!(said.to_string(), "ab9e476b-ff1e-57e8-b1d6-742ba0037af3");
        assert_eq!(named.to_string(), "5ba6a09d-3588-512e-92bc-2356e250f2f5");
        assert_eq!(route.0, 0x415511ee136c5505);
        assert_eq!(posting.idempotency_key().to_string(), "a53a31e9-790e-5acb-b0e8-2529bdf5e124");
    }
}
