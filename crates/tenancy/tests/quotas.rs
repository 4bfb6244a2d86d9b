//! Quotas, by a clock that the test moves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use event::TenantId;
use governor::clock::FakeRelativeClock;
use tenancy::{Given, QuotaError, Quotas, TenantSet};

/// Each example tenant may send 2000 events per second, 4000 at once.
fn set() -> TenantSet {
    let names = ["ACME_KEY", "GLOBEX_KEY", "INITECH_KEY", "ACME_STRIPE_SECRET", "GLOBEX_SHOPIFY_SECRET"];
    TenantSet::example(&Given::new(
        names.map(|n| (format!("COUNTERFOIL_{n}"), format!("value-of-{n}-012345"))),
    ))
    .unwrap()
}

fn tenant(id: &str) -> TenantId {
    id.parse().unwrap()
}

#[test]
fn a_quota_refills_and_is_each_tenants_own() {
    let clock = FakeRelativeClock::default();
    let quotas = Quotas::with_clock(&set(), clock.clone());
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    assert_eq!(quotas.check_n(&acme, 4000), Ok(()));
    let Err(QuotaError::Exhausted { retry_after }) = quotas.check_n(&acme, 1000) else {
        panic!("should be used up")
    };
    assert!((499..=501).contains(&retry_after.as_millis()), "{retry_after:?}");
    assert_eq!(quotas.check_n(&globex, 4000), Ok(()), "another tenant's quota is untouched");
    clock.advance(retry_after);
    assert_eq!(quotas.check_n(&acme, 1000), Ok(()));
    assert!(quotas.check_n(&acme, 1).is_err());
    clock.advance(Duration::from_secs(3600));
    assert_eq!(quotas.check_n(&acme, 4000), Ok(()), "full again");
    assert!(quotas.check_n(&acme, 1).is_err(), "and no fuller than the burst");
}

#[test]
fn what_never_fits_says_so() {
    let quotas = Quotas::new(&set());
    let error = quotas.check_n(&tenant("acme"), 4001).unwrap_err();
    assert_eq!(error, QuotaError::BatchTooLarge { batch: 4001, burst: 4000 });
    assert_eq!(error.retry_after(), None);
    assert_eq!(quotas.check_n(&tenant("acme"), 0), Ok(()));
    assert_eq!(quotas.check_n(&tenant("nobody"), 1), Err(QuotaError::UnknownTenant));
}
