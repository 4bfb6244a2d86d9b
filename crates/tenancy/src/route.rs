//! Routes: which events of a tenant go to which connection, and under which policy.

use std::{collections::BTreeSet, sync::Arc};

use event::{EventType, ObjectKind, RouteId, TenantId};

use crate::{
    connection::Connection,
    fields::Fields,
    node::Node,
    policy::{OnUnknown, Posts},
    problem::{Position, Report, code, did_you_mean},
    value,
};

/// Event types of a tenant → a connection, under a policy.
#[derive(Debug)]
pub struct Route {
    /// Its identity in the ledger.
    pub id: RouteId,
    /// The name; unique within the tenant.
    pub name: String,
    /// Whose route it is.
    pub tenant: TenantId,
    /// The event types that take it. Not empty.
    pub on: BTreeSet<EventType>,
    /// Where they go.
    pub connection: Arc<Connection>,
    /// The target's object, by its name in the connector definition; absent means the event's own object.
    pub object: Option<String>,
    /// What to do with an unknown outcome at a target of class neither.
    pub on_unknown: OnUnknown,
    /// What it posts.
    pub posts: Posts,
}

/// A route as its file has it, before its connection is known.
pub(crate) struct RouteFile {
    pub name: String,
    pub on: BTreeSet<EventType>,
    pub to: String,
    pub to_at: Position,
    pub object: Option<String>,
    pub on_unknown: OnUnknown,
    pub posts: Posts,
}

/// Reads `routes/<place>.yaml`.
pub(crate) fn read(report: Report<'_>, node: &Node, place: &str) -> Option<RouteFile> {
    let fields = Fields::open(report, node, &["route", "on", "to", "object", "policy"])?;
    let name = value::name_of_file(&fields, "route", place);
    let on = event_types(&fields);
    let to = fields.text("to");
    let object = match fields.get("object") {
        Some(_) => fields.optional_text("object").map(|(text, _)| Some(text.to_owned())),
        None => Some(None),
    };
    let policy = match fields.get("policy") {
        Some(node) => read_policy(report, node),
        None => Some((OnUnknown::default(), Posts::default())),
    };
    let (to, to_at) = to?;
    let (on_unknown, posts) = policy?;
    Some(RouteFile {
        name: name?.to_owned(),
        on: on?,
        to: to.to_owned(),
        to_at,
        object: object?,
        on_unknown,
        posts,
    })
}

fn read_policy(report: Report<'_>, node: &Node) -> Option<(OnUnknown, Posts)> {
    let fields = Fields::open(report, node, &["on_unknown", "posts"])?;
    let (on_unknown, posts) = (fields.choice("on_unknown"), fields.choice("posts"));
    Some((on_unknown?.unwrap_or_default(), posts?.unwrap_or_default()))
}

/// The event types of `on`: exact names, and `<object>.*` for all of an object's.
fn event_types(fields: &Fields<'_>) -> Option<BTreeSet<EventType>> {
    let mut types = BTreeSet::new();
    let mut all_good = true;
    for node in fields.list("on")? {
        let expanded = fields.as_text("on", node).and_then(|(text, at)| expand(fields.report, text, at));
        all_good &= expanded.is_some();
        types.extend(expanded.into_iter().flatten());
    }
    all_good.then_some(types)
}

fn expand(report: Report<'_>, text: &str, at: Position) -> Option<Vec<EventType>> {
    if let Some(object) = text.strip_suffix(".*") {
        if let Ok(object) = object.parse::<ObjectKind>() {
            return Some(EventType::all().filter(|t| t.object() == object).collect());
        }
        let suggestion = did_you_mean(object, ObjectKind::ALL.map(ObjectKind::name));
        report.add_with(code::BAD_VALUE, at, format!("`{object}` is not a canonical object"), suggestion);
        return None;
    }
    match text.parse() {
        Ok(event_type) => Some(vec![event_type]),
        Err(error) => {
            let known: Vec<_> = EventType::all().map(|t| t.to_string()).collect();
            let suggestion = did_you_mean(text, known.iter().map(String::as_str));
            report.add_with(code::BAD_VALUE, at, error.to_string(), suggestion);
            None
        }
    }
}
