//! What a connection gives its connector to sign in with, and to make addresses of.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::{
    fields::Fields,
    node::{Node, Value},
    problem::{Position, Report, code},
    secret::{self, SecretSource},
    value,
};

/// The most values, and the most secrets, of one connection.
const MAX_GIVEN: usize = 64;
/// The longest value, in bytes.
const MAX_VALUE: usize = 4096;
/// The shortest `token`, in characters.
const MIN_TOKEN: usize = 8;
/// What another system gave us can be short; nothing at all is a mistake.
const MIN_SECRET: usize = 1;
/// The current secret, and the one that it takes the place of.
const MAX_OVERLAP: usize = 2;

/// What a connection gives.
#[derive(Default)]
pub(crate) struct Access {
    pub values: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Vec<SecretString>>,
    pub given_at: BTreeMap<String, Position>,
}

/// Reads `values`, `secrets` and `token`, which is short for `secrets: {token: …}`.
pub(crate) fn read(report: Report<'_>, fields: &Fields<'_>, source: &dyn SecretSource) -> Option<Access> {
    let mut access = Access::default();
    let mut complete = true;
    for (name, at, node) in entries(report, fields, "values")? {
        access.given_at.insert(name.clone(), *at);
        match read_value(report, name, node, source) {
            Some(value) => drop(access.values.insert(name.clone(), value)),
            None => complete = false,
        }
    }
    for (name, at, node) in entries(report, fields, "secrets")? {
        if let Some(other) = access.given_at.insert(name.clone(), *at) {
            let message = format!("`{name}` is under `values` too, in line {}", other.line);
            report.add(code::DUPLICATE, *at, message);
            complete = false;
        }
        match read_secret(report, fields, name, node, source) {
            Some(secrets) => drop(access.secrets.insert(name.clone(), secrets)),
            None => complete = false,
        }
    }
    complete &= read_token(report, fields, source, &mut access);
    complete.then_some(access)
}

fn read_token(
    report: Report<'_>,
    fields: &Fields<'_>,
    source: &dyn SecretSource,
    access: &mut Access,
) -> bool {
    let Some(node) = fields.get("token") else { return true };
    let token = fields
        .as_text("token", node)
        .and_then(|(text, at)| secret::resolve(report, text, at, MIN_TOKEN, source));
    let Some(token) = token else { return false };
    if access.given_at.insert("token".to_owned(), node.at).is_some() {
        let message = "`token` is short for `secrets: {token: …}`, which is given too".to_owned();
        report.add(code::DUPLICATE, node.at, message);
        return false;
    }
    access.secrets.insert("token".to_owned(), vec![token]);
    true
}

type Entries<'a> = &'a [(String, Position, Node)];

fn entries<'a>(report: Report<'_>, fields: &Fields<'a>, field: &str) -> Option<Entries<'a>> {
    let Some(node) = fields.get(field) else { return Some(&[]) };
    let Value::Map(entries) = &node.value else {
        let message = format!("`{field}` must be a mapping, found {}", node.value.kind());
        report.add(code::WRONG_TYPE, node.at, message);
        return None;
    };
    if entries.len() > MAX_GIVEN {
        let message = format!("`{field}` may hold at most {MAX_GIVEN}, not {}", entries.len());
        report.add(code::BAD_VALUE, node.at, message);
        return None;
    }
    Some(entries)
}

/// A text, in which `${NAME}` stands for a variable, or a whole number.
fn read_value(report: Report<'_>, name: &str, node: &Node, source: &dyn SecretSource) -> Option<String> {
    let value = match &node.value {
        Value::Text(text) => value::expand(report, text, node.at, source)?,
        Value::Integer(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => {
            let message = format!("`{name}` must be a text or a whole number, found {}", other.kind());
            report.add(code::WRONG_TYPE, node.at, message);
            return None;
        }
    };
    if value.len() > MAX_VALUE || value.contains(char::is_control) {
        let message = format!("`{name}` is longer than {MAX_VALUE} bytes, or has control characters");
        report.add(code::BAD_VALUE, node.at, message);
        return None;
    }
    Some(value)
}

/// One reference, or two while a secret is rotated: the new one first.
fn read_secret(
    report: Report<'_>,
    fields: &Fields<'_>,
    name: &str,
    node: &Node,
    source: &dyn SecretSource,
) -> Option<Vec<SecretString>> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if nodes.is_empty() || nodes.len() > MAX_OVERLAP {
        let message =
            format!("`{name}` is one reference, or two while the secret is rotated, the new one first");
        report.add(code::BAD_VALUE, node.at, message);
        return None;
    }
    let resolve = |node| {
        let (text, at) = fields.as_text(name, node)?;
        secret::resolve(report, text, at, MIN_SECRET, source)
    };
    // Resolve each of them before giving up, so that each wrong one is reported.
    let secrets: Vec<_> = nodes.iter().map(resolve).collect();
    secrets.into_iter().collect()
}
