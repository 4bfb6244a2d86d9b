//! Routes: which events of a tenant go to which connection, and under which policy.

use std::{collections::BTreeSet, sync::Arc};

use event::{EventType, ObjectKind, RouteId, TenantId};

use crate::{
    connection::Connection,
    fields::Fields,
    node::{self, Node},
    policy::{OnUnknown, Posts, Require},
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
    /// What it must guarantee.
    pub require: Option<Require>,
    /// The tenant's own part of the mapping.
    pub mapping: RouteMapping,
    /// Where its file says what.
    pub places: RoutePlaces,
}

/// A tenant's part of a route's mapping: what it does with what the connector's base mapping has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMapping {
    /// The program `mappings/<route>.vrl`.
    pub overlay: Option<Overlay>,
    /// What must hold of each payload.
    pub rules: Vec<PayloadRule>,
    /// What events have under `extensions`, and whether it must be there. Absent: any.
    pub extensions: Option<Vec<(String, bool)>>,
    /// Fields of the target's object that its definition does not know: `cost_center`, `properties.vip`, `Line.Memo`.
    pub fields: Vec<String>,
}

/// A tenant's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Its file, below the folder of the tenants.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Something that must hold of each payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRule {
    /// A VRL expression that is true or false.
    pub must: String,
    /// What whoever gets the dead letter is told.
    pub message: String,
    /// The field that it is about.
    pub field: Option<String>,
    /// Where its file says so.
    pub at: Position,
}

/// Where the file of a route says what; for what is found out later.
#[derive(Clone, Copy, Debug)]
pub struct RoutePlaces {
    /// Its events.
    pub on: Position,
    /// Its connection.
    pub to: Position,
    /// The target's object; that of the events if it is not named.
    pub object: Position,
    /// What it must guarantee; that of the connection if nothing is asked for.
    pub require: Position,
}

/// A route as its file has it, before its connection is known.
pub(crate) struct RouteFile {
    pub name: String,
    pub on: BTreeSet<EventType>,
    pub to: String,
    pub object: Option<String>,
    pub policy: Policy,
    pub mapping: RouteMapping,
    pub places: RoutePlaces,
}

/// What a route does, and what it must guarantee.
#[derive(Clone, Copy, Default)]
pub(crate) struct Policy {
    pub on_unknown: OnUnknown,
    pub posts: Posts,
    pub require: Option<Require>,
    require_at: Option<Position>,
}

/// Reads `routes/<place>.yaml`.
pub(crate) fn read(report: Report<'_>, node: &Node, place: &str) -> Option<RouteFile> {
    let fields = Fields::open(report, node, &["route", "on", "to", "object", "policy", "mapping"])?;
    let name = value::name_of_file(&fields, "route", place);
    let on = event_types(&fields);
    let to = fields.text("to");
    let object = match fields.get("object") {
        Some(_) => fields.optional_text("object").map(|(text, _)| Some(text.to_owned())),
        None => Some(None),
    };
    let policy = match fields.get("policy") {
        Some(node) => read_policy(report, node),
        None => Some(Policy::default()),
    };
    let mapping = match fields.get("mapping") {
        Some(node) => read_mapping(report, node),
        None => Some(RouteMapping::default()),
    };
    let on_at = fields.get("on").map_or(fields.at, |node| node.at);
    let object_at = fields.get("object").map_or(on_at, |node| node.at);
    let ((to, to_at), policy, mapping) = (to?, policy?, mapping?);
    Some(RouteFile {
        name: name?.to_owned(),
        on: on?,
        to: to.to_owned(),
        object: object?,
        policy,
        mapping,
        places: RoutePlaces {
            on: on_at,
            to: to_at,
            object: object_at,
            require: policy.require_at.unwrap_or(to_at),
        },
    })
}

fn read_policy(report: Report<'_>, node: &Node) -> Option<Policy> {
    let fields = Fields::open(report, node, &["on_unknown", "posts", "require"])?;
    let (on_unknown, posts) = (fields.choice("on_unknown"), fields.choice("posts"));
    let require = fields.choice("require");
    Some(Policy {
        on_unknown: on_unknown?.unwrap_or_default(),
        posts: posts?.unwrap_or_default(),
        require: require?,
        require_at: fields.get("require").map(|node| node.at),
    })
}

/// Everything of the mapping but its program, which is a file of its own.
fn read_mapping(report: Report<'_>, node: &Node) -> Option<RouteMapping> {
    let fields = Fields::open(report, node, &["rules", "extensions", "fields"])?;
    let each = |name: &str| if fields.get(name).is_some() { fields.list(name) } else { Some(&[][..]) };
    let rules: Vec<_> = each("rules")?.iter().map(|node| read_rule(report, node)).collect();
    let extensions: Vec<_> = each("extensions")?.iter().map(|node| read_extension(report, node)).collect();
    let extensions: Option<Vec<_>> = extensions.into_iter().collect();
    let more: Option<Vec<_>> = each("fields")?.iter().map(|node| fields.as_text("fields", node)).collect();
    Some(RouteMapping {
        overlay: None,
        fields: more?.into_iter().map(|(text, _)| text.to_owned()).collect(),
        rules: rules.into_iter().collect::<Option<_>>()?,
        extensions: if fields.get("extensions").is_some() { Some(extensions?) } else { None },
    })
}

fn read_rule(report: Report<'_>, node: &Node) -> Option<PayloadRule> {
    let fields = Fields::open(report, node, &["must", "message", "field"])?;
    let (must, message) = (fields.text("must"), fields.text("message"));
    let field = match fields.get("field") {
        Some(_) => fields.optional_text("field").map(|(text, _)| Some(text.to_owned())),
        None => Some(None),
    };
    let ((must, at), (message, _)) = (must?, message?);
    Some(PayloadRule { must: must.to_owned(), message: message.to_owned(), field: field?, at })
}

fn read_extension(report: Report<'_>, node: &Node) -> Option<(String, bool)> {
    let fields = Fields::open(report, node, &["name", "required"])?;
    let name = fields.text("name");
    let required = match fields.get("required").map(|node| (&node.value, node.at)) {
        None => Some(false),
        Some((node::Value::Bool(flag), _)) => Some(*flag),
        Some((_, at)) => {
            report.add(code::WRONG_TYPE, at, "`required` is true or false".to_owned());
            None
        }
    };
    Some((name?.0.to_owned(), required?))
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
