//! Tenants that change while services run: what is good stays in force, and nobody is let in by a stand-in.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use event::TenantId;
use tenancy::{Given, InForce, Live, Revision, Tenant, TenantSet, revision::Files};

const KEY: &str = "a-key-of-sixteen-or-more";

fn revision(before: Option<&Revision>, tenant: &str, variable: &str) -> Revision {
    let text = format!(
        "tenant: {tenant}\nname: {tenant}\nregion: eu\napi_keys: [{{id: a, secret: \"env:{variable}\"}}]\n"
    );
    let files = Files::from([("tenant.yaml".to_owned(), text)]);
    Revision::after(before, tenant.parse().unwrap(), files, "ann".into(), 1)
}

fn id(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

fn take(live: &mut Live, revision: &Revision) {
    live.take(&revision.key(), Some(&revision.value().unwrap())).unwrap().unwrap();
}

fn build(live: &mut Live, variables: &[(&str, &str)]) -> InForce {
    let fits = |_: &Arc<Tenant>| Ok(());
    live.build(&Given::new(variables.iter().copied()), &fits)
}

fn owner(built: &InForce, key: &str) -> Option<String> {
    built.set.by_api_key(key).map(|tenant| tenant.id.to_string())
}

#[test]
fn the_last_good_revision_stays_where_the_newest_cannot_be_carried_out() {
    let mut live = Live::default();
    let first = revision(None, "zeta", "KEY");
    take(&mut live, &first);
    assert_eq!(owner(&build(&mut live, &[("KEY", KEY)]), KEY).as_deref(), Some("zeta"));
    // A newcomer with another's key, and earlier in the alphabet, does not take it.
    take(&mut live, &revision(None, "acme", "KEY"));
    take(&mut live, &revision(Some(&first), "zeta", "NOT_SET"));
    let built = build(&mut live, &[("KEY", KEY)]);
    assert!(built.troubles.contains_key(&id("zeta")), "{:?}", built.troubles);
    let newer = live.take(b"tenant zeta", Some(br#"{"format":3}"#)).unwrap();
    assert!(newer.is_err());
    let built = build(&mut live, &[("KEY", KEY), ("NOT_SET", "the-next-key-of-zeta")]);
    assert_eq!(owner(&built, "the-next-key-of-zeta").as_deref(), Some("zeta"), "the newest that can be read");
    assert!(built.troubles[&id("zeta")].contains("format 3"), "{:?}", built.troubles);
    assert!(live.take(b"pause tenant zeta", None).is_none(), "it is about something else");
}

#[test]
fn who_was_in_force_stays_with_its_secrets_while_they_cannot_be_read() {
    let mut live = Live::default();
    let zeta = revision(None, "zeta", "ZETA");
    take(&mut live, &zeta);
    let other = "the-key-of-globex-alone";
    take(&mut live, &revision(None, "globex", "GLOBEX"));
    let before = build(&mut live, &[("ZETA", KEY), ("GLOBEX", other)]).open(&TenantSet::default()).set;
    // Its secret is away; meanwhile a newcomer, and one who was there, come with its key.
    take(&mut live, &revision(None, "acme", "KEY"));
    let open = build(&mut live, &[("KEY", KEY), ("GLOBEX", other)]).open(&before);
    assert_eq!(owner(&open, KEY).as_deref(), Some("zeta"));
    assert_eq!(owner(&open, other).as_deref(), Some("globex"));
    assert_eq!(open.set.iter().len(), 2);
    assert!(open.troubles.contains_key(&id("zeta")) && open.troubles[&id("acme")].contains("zeta"));
    let open = build(&mut live, &[("GLOBEX", KEY)]).open(&before);
    assert_eq!(owner(&open, KEY).as_deref(), Some("zeta"));
    assert_eq!(owner(&open, other).as_deref(), Some("globex"), "as it was, too");
    // Once removed it does not come back.
    take(&mut live, &zeta.removal("ann".into(), 2));
    let open = build(&mut live, &[("GLOBEX", other)]).open(&before);
    assert_eq!(owner(&open, KEY), None);
}

#[test]
fn removed_tenants_and_missing_secrets_let_nobody_in() {
    let mut live = Live::default();
    let (acme, globex) = (revision(None, "acme", "ACME"), revision(None, "globex", "GLOBEX"));
    take(&mut live, &acme);
    take(&mut live, &globex);
    take(&mut live, &acme.removal("ann".into(), 2));
    let built = build(&mut live, &[("ACME", KEY)]);
    assert_eq!(built.held.len(), 2, "both are known, so that their events can wait");
    let open = built.open(&TenantSet::default());
    assert_eq!(open.set.iter().len(), 0);
    for key in [KEY, "unresolved:env:ACME", "unresolved:env:GLOBEX"] {
        assert_eq!(owner(&open, key), None);
    }
}

#[test]
fn a_rotated_secret_is_noticed() {
    let mut live = Live::default();
    take(&mut live, &revision(None, "acme", "KEY"));
    take(&mut live, &revision(None, "globex", "GLOBEX"));
    let with = |live: &mut Live, key| build(live, &[("KEY", key), ("GLOBEX", "a-key-of-globex-s")]);
    let print = |built: &InForce, tenant| built.set.tenant(&id(tenant)).unwrap().print;
    let first = with(&mut live, KEY);
    assert_eq!(with(&mut live, KEY).secrets, first.secrets);
    let second = with(&mut live, "another-key-of-acme");
    assert_ne!(second.secrets, first.secrets);
    assert_ne!(print(&second, "acme"), print(&first, "acme"));
    assert_eq!(print(&second, "globex"), print(&first, "globex"), "nothing about it has changed");
    let given = |key| Given::new([("KEY", key), ("GLOBEX", "a-key-of-globex-s")]);
    assert!(!first.watch.has_changed(&given(KEY)));
    assert!(first.watch.has_changed(&given("another-key-of-acme")));
}
