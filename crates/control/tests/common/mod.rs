//! Folders of tenants without a disk.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it")]

pub mod relay;

use std::collections::BTreeMap;

use control::{Desired, Order, Plan, State};
use tenancy::{Offline, TenantSet, revision::Files};

/// A folder of tenants, by their names.
pub type Folder = BTreeMap<String, Files>;

/// The files of tenant `id` in region `eu`: one connection, to `url`, and one route, called `route`.
pub fn tenant(id: &str, url: &str, route: &str) -> (String, Files) {
    let files = [
        (
            "tenant.yaml",
            format!(
                "tenant: {id}\nname: {id}\nregion: eu\napi_keys: [{{id: one, secret: \"env:{}_KEY\"}}]\n",
                id.to_uppercase()
            ),
        ),
        ("connections/erp.yaml", format!("connection: erp\nconnector: sandbox\nbase_url: {url}\n")),
        (&*format!("routes/{route}.yaml"), format!("route: {route}\non: [order.created]\nto: erp\n")),
    ];
    (id.to_owned(), files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
}

/// acme and globex.
pub fn folder() -> Folder {
    let url = "https://erp.example.com";
    Folder::from([tenant("acme", url, "orders"), tenant("globex", url, "orders")])
}

/// Replaces `from` in a file.
pub fn edit(folder: &mut Folder, tenant: &str, file: &str, from: &str, to: &str) {
    let text = folder.get_mut(tenant).unwrap().get_mut(file).unwrap();
    assert!(text.contains(from), "{text}");
    *text = text.replace(from, to);
}

/// What the folder has in region `eu`.
pub fn desired(folder: &Folder) -> Desired {
    Desired::new(&TenantSet::from_folders("tenants", folder, &Offline).unwrap(), folder, "eu")
}

/// An order for the plan as it is.
pub fn order(plan: &Plan, operator: &str, at: i64) -> Order {
    Order { plan: plan.hash(), operator: operator.into(), at, ..Order::default() }
}

/// Carries a plan out without a topic.
pub fn take(state: &mut State, order: &Order, plan: &Plan) {
    for (revision, value) in order.records(plan).unwrap() {
        state.take(&revision.key(), Some(&value)).unwrap();
    }
}
