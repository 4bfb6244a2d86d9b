//! Plans: what they say, when they are stale, and what they refuse. Nothing but decisions; no brokers.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{Folder, desired, edit, folder, order, take, tenant};
use contract::{Command, Subject, Verb};
use control::{Danger, Kind, Plan, Refusal, State};

fn kinds(plan: &Plan) -> Vec<(&str, Kind)> {
    plan.tenants.iter().map(|tenant| (tenant.tenant.as_str(), tenant.kind)).collect()
}

/// A definition or a mapping that has changed is a change of whoever uses it, and of the plan that was read before.
#[test]
fn a_changed_connector_makes_a_plan_stale_and_is_applied() {
    let mut folder = folder();
    edit(&mut folder, "globex", "connections/erp.yaml", "connector: sandbox", "connector: depot");
    let with = |sandbox: &str| {
        let digests = [("sandbox", sandbox), ("depot", "d1"), ("nobodys", "n1")];
        desired(&folder).with(digests.map(|(name, digest)| (name.to_owned(), digest.to_owned())).into())
    };
    let mut state = State::default();
    let first = Plan::new(&state, &with("s1"));
    let read = order(&first, "ann", 7);
    let changed = Plan::new(&state, &with("s2"));
    assert_eq!(read.check(&changed).unwrap_err().code(), "CFG-0130");
    take(&mut state, &read, &first);
    let bound = |state: &State, tenant: &str| state.tenants.current()[tenant].connectors.clone();
    assert_eq!(bound(&state, "acme"), [("sandbox".to_owned(), "s1".to_owned())].into());
    assert_eq!(bound(&state, "globex"), [("depot".to_owned(), "d1".to_owned())].into());
    assert!(Plan::new(&state, &with("s1")).is_empty());

    let second = Plan::new(&state, &with("s2"));
    assert_eq!(kinds(&second), [("acme", Kind::Changed), ("globex", Kind::Unchanged)]);
    let said: Vec<String> = second.tenants[0].changes.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["connector sandbox: definition and mappings: s1 → s2"]);
    take(&mut state, &order(&second, "bob", 8), &second);
    assert_eq!(bound(&state, "acme"), [("sandbox".to_owned(), "s2".to_owned())].into());
    assert_eq!(state.tenants.current()["acme"].revision, 2);
}

/// A state to which the folder was applied.
fn applied(folder: &Folder) -> State {
    let mut state = State::default();
    let plan = Plan::new(&state, &desired(folder));
    take(&mut state, &order(&plan, "ann", 7), &plan);
    state
}

fn dangers(state: &State, folder: &Folder) -> Vec<Danger> {
    let plan = Plan::new(state, &desired(folder));
    plan.pending().flat_map(|tenant| tenant.dangers(&state.pauses)).collect()
}

#[test]
fn what_is_applied_is_no_difference_any_more() {
    let mut folder = folder();
    let first = Plan::new(&State::default(), &desired(&folder));
    assert_eq!(kinds(&first), [("acme", Kind::Added), ("globex", Kind::Added)]);
    let mut state = applied(&folder);
    let second = Plan::new(&state, &desired(&folder));
    assert!(second.is_empty() && second.hash() != first.hash());

    edit(&mut folder, "acme", "connections/erp.yaml", "erp.example.com", "erp2.example.com");
    let third = Plan::new(&state, &desired(&folder));
    assert_eq!(kinds(&third), [("acme", Kind::Changed), ("globex", Kind::Unchanged)]);
    let said: Vec<String> = third.tenants[0].changes.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["connection erp: base_url: https://erp.example.com → https://erp2.example.com"]);
    take(&mut state, &order(&third, "bob", 8), &third);
    let acme = &state.tenants.current()["acme"];
    assert_eq!((acme.revision, acme.operator.as_str(), acme.at), (2, "bob", 8));
    assert_eq!(state.tenants.current()["globex"].revision, 1, "nothing of it has changed");
}

#[test]
fn a_plan_is_stale_once_the_topic_or_the_folder_has_changed() {
    let mut state = applied(&folder());
    let mut ours = folder();
    edit(&mut ours, "acme", "tenant.yaml", "name: acme", "name: Acme");
    let read = Plan::new(&state, &desired(&ours));
    let order_of_read = order(&read, "ann", 9);
    assert!(order_of_read.check(&read).is_ok());

    let mut more = ours.clone();
    edit(&mut more, "globex", "tenant.yaml", "name: globex", "name: Globex");
    let edited = Plan::new(&state, &desired(&more));
    let refused = order_of_read.records(&edited).unwrap_err();
    assert!(matches!(&refused, Refusal::Stale { now, .. } if *now == edited.hash()), "{refused}");

    // Somebody applies and takes it back: the files are as they were, and still it is another state.
    let mut theirs = folder();
    edit(&mut theirs, "globex", "tenant.yaml", "name: globex", "name: Globex");
    for folder in [theirs, folder()] {
        let plan = Plan::new(&state, &desired(&folder));
        take(&mut state, &order(&plan, "bob", 10), &plan);
    }
    let refused = order_of_read.records(&Plan::new(&state, &desired(&ours))).unwrap_err();
    assert_eq!(refused.code(), "CFG-0130");
}

#[test]
fn nobody_is_removed_by_an_incomplete_checkout() {
    let all = folder();
    let mut state = applied(&all);
    let mut folder = all.clone();
    folder.remove("globex");
    let plan = Plan::new(&state, &desired(&folder));
    assert_eq!(kinds(&plan), [("acme", Kind::Unchanged), ("globex", Kind::Removed)]);
    let mut order = order(&plan, "ann", 8);
    assert!(matches!(order.check(&plan), Err(Refusal::RemovalNotNamed(t)) if t[0].as_str() == "globex"));
    order.remove = BTreeSet::from(["globex".parse().unwrap(), "acme".parse().unwrap()]);
    assert!(matches!(order.check(&plan), Err(Refusal::NoRemoval(t)) if t[0].as_str() == "acme"));
    order.remove = BTreeSet::from(["globex".parse().unwrap()]);
    order.reason = Some("contract ended".into());
    assert_eq!(dangers(&state, &folder), [Danger::Removed]);
    take(&mut state, &order, &plan);

    let globex = state.tenants.current()["globex"].clone();
    assert!(globex.removed && globex.revision == 2 && globex.files == all["globex"], "{globex:?}");
    assert_eq!(globex.reason.as_deref(), Some("contract ended"));
    assert!(Plan::new(&state, &desired(&folder)).is_empty(), "it is gone already");
    assert_eq!(kinds(&Plan::new(&state, &desired(&all)))[1], ("globex", Kind::Added), "it may come back");
}

#[test]
fn only_tenants_of_the_region_count() {
    let mut folder = folder();
    edit(&mut folder, "globex", "tenant.yaml", "region: eu", "region: us");
    assert_eq!(kinds(&Plan::new(&State::default(), &desired(&folder))), [("acme", Kind::Added)]);
}

#[test]
fn another_placement_is_refused_unless_somebody_vouches_for_it() {
    let mut folder = folder();
    let state = applied(&folder);
    edit(&mut folder, "acme", "tenant.yaml", "name: acme\n", "name: acme\nshards: 8\n");
    let plan = Plan::new(&state, &desired(&folder));
    assert_eq!(dangers(&state, &folder), [Danger::Shards { before: 4, after: 8 }]);
    let mut order = order(&plan, "ann", 8);
    assert_eq!(order.check(&plan).unwrap_err().code(), "CFG-0136");
    order.shards = BTreeSet::from(["acme".parse().unwrap()]);
    assert!(order.check(&plan).is_ok());
}

/// Its events may still come once more.
#[test]
fn not_even_by_removing_a_tenant_and_adding_it_again() {
    let all = folder();
    let mut state = applied(&all);
    let mut without = all.clone();
    without.remove("acme");
    let plan = Plan::new(&state, &desired(&without));
    let mut removal = order(&plan, "ann", 8);
    removal.remove = BTreeSet::from(["acme".parse().unwrap()]);
    take(&mut state, &removal, &plan);
    let mut again = all;
    edit(&mut again, "acme", "tenant.yaml", "name: acme\n", "name: acme\nshards: 8\n");
    let plan = Plan::new(&state, &desired(&again));
    assert_eq!(order(&plan, "ann", 9).check(&plan).unwrap_err().code(), "CFG-0136");
}

#[test]
fn what_the_files_do_not_show_is_said() {
    let mut state = applied(&folder());
    let mut folder = folder();
    folder.extend([tenant("acme", "https://erp2.example.com", "purchases")]);
    let renamed = Danger::Renamed { before: "orders".into(), after: "purchases".into() };
    let moved = Danger::Moved { connection: "erp".into() };
    assert_eq!(dangers(&state, &folder), [renamed.clone(), moved]);

    let subject = Subject { tenant: "acme".into(), connection: Some("erp".into()), route: None };
    let pause =
        Command { command: Verb::Pause, subject, operator: "ann".into(), reason: "moves".into(), at: 9 };
    state.take(&pause.key(), Some(&pause.value().unwrap())).unwrap();
    assert_eq!(dangers(&state, &folder), [renamed], "a connection at rest may move");
    let acme = folder.get_mut("acme").unwrap();
    acme.remove("routes/purchases.yaml");
    assert_eq!(dangers(&state, &folder), [Danger::Gone { route: "orders".into() }]);

    let acme = folder.get_mut("acme").unwrap();
    acme.insert("connections/crm.yaml".into(), acme["connections/erp.yaml"].replace(": erp", ": crm"));
    acme.insert("routes/orders.yaml".into(), "route: orders\non: [order.created]\nto: crm\n".into());
    let rerouted = Danger::Rerouted { route: "orders".into(), before: "erp".into(), after: "crm".into() };
    assert_eq!(dangers(&state, &folder), [rerouted]);

    let acme = folder.get_mut("acme").unwrap();
    acme.insert(
        "routes/orders.yaml".into(),
        "route: orders\non: [order.created]\nto: erp\nobject: invoice\n".into(),
    );
    let (before, after) = ("erp, object the event's own".into(), "erp, object invoice".into());
    assert_eq!(dangers(&state, &folder), [Danger::Rerouted { route: "orders".into(), before, after }]);
}

#[test]
fn a_folder_that_no_record_holds_is_refused_as_a_whole() {
    let mut folder = folder();
    let large = "# x\n".repeat(200_000);
    folder.get_mut("globex").unwrap().insert("mappings/orders.vrl".into(), large);
    let plan = Plan::new(&State::default(), &desired(&folder));
    let refused = order(&plan, "ann", 8).records(&plan).unwrap_err();
    assert!(matches!(&refused, Refusal::TooLarge { tenant, .. } if tenant.as_str() == "globex"));
    assert_eq!(refused.code(), "CFG-0133");
}
