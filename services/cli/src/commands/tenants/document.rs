//! Plans and revisions as JSON, for scripts.

use control::{Kind, State};
use serde_json::{Value, json};
use tenancy::{Change, Revision, What};

use super::{
    difference::{Difference, Said},
    plan::{Told, ToldTenant},
    region::instant,
};

/// A plan; `apply --plan FILE` reads `plan` of it.
pub(super) fn plan(told: &Told) -> Value {
    json!({
        "plan": told.plan.hash(),
        "region": told.region,
        "base": told.plan.base,
        "result": told.plan.result,
        "pending": !told.plan.is_empty(),
        "tenants": told.tenants.iter().map(tenant).collect::<Value>(),
        "unchanged": told.plan.unchanged(),
    })
}

/// What is applied of every tenant, removed ones too, without the files.
pub(super) fn revisions(state: &State) -> Value {
    state.tenants.current().values().map(|revision| self::revision(revision)).collect()
}

/// A revision without its files.
pub(super) fn revision(revision: &Revision) -> Value {
    json!({
        "tenant": revision.tenant.as_str(),
        "revision": revision.revision,
        "hash": revision.hash,
        "connectors": revision.connectors,
        "removed": revision.removed,
        "operator": revision.operator,
        "reason": revision.reason,
        "at": instant(revision.at),
    })
}

fn tenant(told: &ToldTenant) -> Value {
    let plan = &told.plan;
    json!({
        "tenant": plan.tenant.as_str(),
        "change": kind(plan.kind),
        "revision": plan.next_revision(),
        "changes": plan.changes.iter().map(change).collect::<Value>(),
        "guarantees": told.guarantees.iter().map(guarantee).collect::<Value>(),
        "warnings": told.warnings,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Added => "added",
        Kind::Changed => "changed",
        Kind::Removed => "removed",
        Kind::Unchanged => "unchanged",
    }
}

fn change(change: &Change) -> Value {
    let what = match &change.what {
        What::Added => json!({"what": "added"}),
        What::Removed => json!({"what": "removed"}),
        What::Layout => json!({"what": "layout"}),
        What::Field { field, before, after } => {
            json!({"what": "field", "field": field, "before": before, "after": after})
        }
    };
    let mut document = json!({"part": change.part, "text": change.to_string()});
    if let (Value::Object(document), Value::Object(what)) = (&mut document, what) {
        document.extend(what);
    }
    document
}

fn guarantee(difference: &Difference) -> Value {
    let said = |said: &Said| json!({"class": said.class.to_string(), "gives": said.gives, "on_unknown": said.on_unknown});
    json!({
        "route": difference.route,
        "objects": difference.objects.split(", ").collect::<Vec<_>>(),
        "before": difference.before.as_ref().map(said),
        "after": difference.after.as_ref().map(said),
    })
}
