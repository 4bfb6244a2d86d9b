//! What differs between two states of a tenant's configuration, in words.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use crate::{
    node::{self, Node, Value},
    problem::Report,
    revision::Files,
};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The tenant itself, `connection erp`, `route orders`, or a file.
    pub part: String,
    /// What is different about it.
    pub what: What,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// A field says something else; none where it is not there.
    Field {
        /// Its path: `limits.concurrency`, `webhook.secrets[0]`.
        field: String,
        /// What it said.
        before: Option<String>,
        /// What it says.
        after: Option<String>,
    },
    /// Only comments, order or layout differ.
    Layout,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, what } = self;
        match what {
            What::Added => write!(f, "{part}: added"),
            What::Removed => write!(f, "{part}: removed"),
            What::Layout => write!(f, "{part}: only comments, order or layout"),
            What::Field { field, before, after } => match (before, after) {
                (None, Some(after)) => write!(f, "{part}: {field}: added, {after}"),
                (Some(before), None) => write!(f, "{part}: {field}: removed, was {before}"),
                (before, after) => {
                    let text = |value: &Option<String>| value.clone().unwrap_or_default();
                    write!(f, "{part}: {field}: {} → {}", text(before), text(after))
                }
            },
        }
    }
}

/// How `after` differs from `before`, in the order of the files.
pub fn changes(before: &Files, after: &Files) -> Vec<Change> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of_file = |name: &String| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) if before == after => Vec::new(),
        (Some(before), Some(after)) => of_texts(name, before, after),
        (None, _) => vec![Change { part: part(name), what: What::Added }],
        (_, None) => vec![Change { part: part(name), what: What::Removed }],
    };
    names.into_iter().flat_map(of_file).collect()
}

/// What a file is about.
fn part(name: &str) -> String {
    let stem = |kind: &str| Some(name.strip_prefix(kind)?.strip_suffix(".yaml")?.to_owned());
    if name == "tenant.yaml" {
        "tenant".to_owned()
    } else if let Some(connection) = stem("connections/") {
        format!("connection {connection}")
    } else if let Some(route) = stem("routes/") {
        format!("route {route}")
    } else {
        format!("file {name}")
    }
}

fn of_texts(name: &str, before: &str, after: &str) -> Vec<Change> {
    let part = part(name);
    let (Some(before), Some(after)) = (fields(before), fields(after)) else {
        // Not YAML: a mapping, or a file that validation refuses.
        let what = What::Field {
            field: "text".to_owned(),
            before: Some(format!("{} bytes", before.len())),
            after: Some(format!("{} bytes", after.len())),
        };
        return vec![Change { part, what }];
    };
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    let differ = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    let mut changes: Vec<Change> = differ
        .map(|path| Change {
            part: part.clone(),
            what: What::Field {
                field: path.clone(),
                before: before.get(path).cloned(),
                after: after.get(path).cloned(),
            },
        })
        .collect();
    if changes.is_empty() {
        changes.push(Change { part, what: What::Layout });
    }
    changes
}

/// Every field with its text, by its path.
fn fields(text: &str) -> Option<BTreeMap<String, String>> {
    let problems = RefCell::new(Vec::new());
    let root = node::parse(text, Report { file: "", sink: &problems })?;
    let mut fields = BTreeMap::new();
    collect(&root, String::new(), text, &mut fields);
    Some(fields)
}

fn collect(node: &Node, path: String, text: &str, fields: &mut BTreeMap<String, String>) {
    let said = match &node.value {
        Value::Map(entries) => {
            for (name, _, node) in entries {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(node, path, text, fields);
            }
            return;
        }
        Value::List(items)
            if items.iter().all(|item| matches!(item.value, Value::Text(_))) && !secret(&path) =>
        {
            let texts = items.iter().filter_map(|item| match &item.value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(", "))
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{path}[{index}]"), text, fields);
            }
            return;
        }
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float => written(node, text),
        // Validation refuses it; this is for whoever shows a difference before.
        Value::Text(said) if secret(&path) && !said.starts_with("env:") && !said.starts_with("file:") => {
            "(no reference)".to_owned()
        }
        Value::Text(said) => said.clone(),
    };
    fields.insert(path, said);
}

/// Whether a field holds a reference to a secret.
fn secret(path: &str) -> bool {
    let parts = path.split(['.', '[']);
    parts.into_iter().any(|part| matches!(part, "secret" | "secrets" | "token"))
}

/// A fraction as it is written.
fn written(node: &Node, text: &str) -> String {
    let line =
        text.lines().nth(usize::try_from(node.at.line).unwrap_or(1).saturating_sub(1)).unwrap_or_default();
    let from = usize::try_from(node.at.column).unwrap_or(1).saturating_sub(1);
    line.chars()
        .skip(from)
        .take_while(|c| !matches!(c, ',' | '}' | ']' | '#'))
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn differences_are_said_in_words_and_secrets_by_reference() {
        let before = files(&[
            ("tenant.yaml", "tenant: acme\nname: Acme\n"),
            (
                "connections/erp.yaml",
                "connection: erp\ntoken: env:OLD\nlimits: {concurrency: 4, rate: {max: 1.5}}\n",
            ),
            ("routes/orders.yaml", "route: orders\non: [order.created]\n"),
            ("routes/gone.yaml", "route: gone\n"),
        ]);
        let after = files(&[
            ("tenant.yaml", "# a remark\nname: Acme\ntenant: acme\n"),
            (
                "connections/erp.yaml",
                "connection: erp\ntoken: hunter2\nlimits: {concurrency: 8, rate: {max: 2.5}}\ntimeout: 5s\n",
            ),
            ("routes/orders.yaml", "route: orders\non: [order.created, order.updated]\n"),
            ("routes/new.yaml", "route: new\n"),
        ]);
        let said: Vec<String> = changes(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "connection erp: limits.concurrency: 4 → 8",
                "connection erp: limits.rate.max: 1.5 → 2.5",
                "connection erp: timeout: added, 5s",
                "connection erp: token: env:OLD → (no reference)",
                "route gone: removed",
                "route new: added",
                "route orders: on: [order.created] → [order.created, order.updated]",
                "tenant: only comments, order or layout",
            ]
        );
        assert_eq!(changes(&before, &before), []);
    }
}
