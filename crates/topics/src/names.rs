//! Topic names. Do not change: consumers outside of this project subscribe to them.

use event::{ObjectKind, TenantId};

use crate::TopicsError;

/// Stands in a dead-letter topic's name where the tenant is unknown; hence reserved as a tenant id.
pub const UNATTRIBUTED: &str = "unattributed";

/// The longest region, in bytes. With the longest tenant id every name stays below Kafka's 249.
pub const MAX_REGION: usize = 32;

/// The pooled topic of an object: `cf.<region>.<domain>.<object>.v1`, with `-` for `_`.
///
/// Kafka's metrics fold `.` and `_` together, so a name holds only one of the two.
pub fn object_topic(region: &str, object: ObjectKind) -> String {
    format!("cf.{region}.{}.{}.v1", object.domain(), object.name().replace('_', "-"))
}

/// The dead-letter topic of a tenant, or the one for records whose tenant is unknown.
pub fn dlq(region: &str, tenant: Option<&TenantId>) -> String {
    format!("cf.{region}.dlq.{}.v1", tenant.map_or(UNATTRIBUTED, TenantId::as_str))
}

/// The topic of outcome events.
pub fn outcome(region: &str) -> String {
    format!("cf.{region}.platform.outcome.v1")
}

/// The topic of operators' commands.
pub fn control(region: &str) -> String {
    format!("cf.{region}.platform.control.v1")
}

/// The ledger changelog of an input topic.
pub fn ledger(input: &str) -> String {
    format!("{input}.ledger")
}

/// The registry subject of a topic's values.
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// Whether `region` can stand in a topic name.
///
/// # Errors
/// [`TopicsError::Region`] where it cannot.
pub fn check_region(region: &str) -> Result<(), TopicsError> {
    let bytes = region.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
    let valid = bytes.len() <= MAX_REGION
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && edge(bytes.first())
        && edge(bytes.last());
    if valid { Ok(()) } else { Err(TopicsError::Region(region.to_owned())) }
}

/// Whether `tenant` can have topics of its own.
///
/// # Errors
/// [`TopicsError::ReservedTenant`] for [`UNATTRIBUTED`].
pub fn check_tenant(tenant: &TenantId) -> Result<(), TopicsError> {
    if tenant.as_str() == UNATTRIBUTED {
        return Err(TopicsError::ReservedTenant(tenant.to_string()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_change() {
        let acme: TenantId = "acme".parse().unwrap();
        let invoice = object_topic("eu", ObjectKind::Invoice);
        assert_eq!(invoice, "cf.eu.finance.invoice.v1");
        assert_eq!(object_topic("eu", ObjectKind::PurchaseOrder), "cf.eu.procurement.purchase-order.v1");
        assert_eq!(dlq("eu", Some(&acme)), "cf.eu.dlq.acme.v1");
        assert_eq!(dlq("eu", None), "cf.eu.dlq.unattributed.v1");
        assert_eq!(outcome("eu"), "cf.eu.platform.outcome.v1");
        assert_eq!(control("eu"), "cf.eu.platform.control.v1");
        assert_eq!(ledger(&invoice), "cf.eu.finance.invoice.v1.ledger");
        assert_eq!(subject(&invoice), "cf.eu.finance.invoice.v1-value");
    }

    #[test]
    fn regions_are_dns_labels() {
        for good in ["eu", "eu-west-1", "0"] {
            check_region(good).unwrap();
        }
        for bad in ["", "EU", "eu.west", "-eu", "eu-", "eu_1", &"e".repeat(MAX_REGION + 1)] {
            assert_eq!(check_region(bad).unwrap_err().code(), "TOP-0005", "{bad}");
        }
    }

    #[test]
    fn the_longest_name_fits_kafka() {
        let tenant: TenantId = "t".repeat(TenantId::MAX_LEN).parse().unwrap();
        let region = "r".repeat(MAX_REGION);
        assert!(dlq(&region, Some(&tenant)).len() <= 249);
    }

    #[test]
    fn the_unknown_tenants_name_is_reserved() {
        assert_eq!(check_tenant(&UNATTRIBUTED.parse().unwrap()).unwrap_err().code(), "TOP-0005");
        check_tenant(&"acme".parse().unwrap()).unwrap();
    }
}
