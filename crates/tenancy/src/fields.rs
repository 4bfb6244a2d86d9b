//! Reads the fields of a mapping and reports what is wrong with them, all of it.

use std::time::Duration;

use crate::{
    duration,
    node::{Node, Value},
    policy::Choice,
    problem::{Position, Report, code, did_you_mean},
};

/// The fields of one mapping.
pub(crate) struct Fields<'a> {
    pub report: Report<'a>,
    pub at: Position,
    entries: &'a [(String, Position, Node)],
}

impl<'a> Fields<'a> {
    /// Opens a mapping. A field that is not `known` is reported.
    pub fn open(report: Report<'a>, node: &'a Node, known: &[&str]) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            report.add(code::WRONG_TYPE, node.at, format!("expected a mapping, found {}", node.value.kind()));
            return None;
        };
        for (key, at, _) in entries.iter().filter(|(key, ..)| !known.contains(&key.as_str())) {
            let suggestion = did_you_mean(key, known.iter().copied())
                .unwrap_or_else(|| format!("the fields here are {}", known.join(", ")));
            report.add_with(code::UNKNOWN_FIELD, *at, format!("unknown field `{key}`"), Some(suggestion));
        }
        Some(Self { report, at: node.at, entries })
    }

    /// The field, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        let (_, _, node) = self.entries.iter().find(|(key, ..)| key == name)?;
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    /// The field; reports its absence.
    pub fn require(&self, name: &str) -> Option<&'a Node> {
        let found = self.get(name);
        if found.is_none() {
            self.report.add(code::MISSING_FIELD, self.at, format!("field `{name}` is missing"));
        }
        found
    }

    /// A text that must be there.
    pub fn text(&self, name: &str) -> Option<(&'a str, Position)> {
        let node = self.require(name)?;
        self.as_text(name, node)
    }

    /// A text that may be absent.
    pub fn optional_text(&self, name: &str) -> Option<(&'a str, Position)> {
        self.as_text(name, self.get(name)?)
    }

    /// `node` as a text.
    pub fn as_text(&self, name: &str, node: &'a Node) -> Option<(&'a str, Position)> {
        match &node.value {
            Value::Text(text) if !text.trim().is_empty() => Some((text, node.at)),
            Value::Text(_) => {
                self.report.add(code::BAD_VALUE, node.at, format!("`{name}` is empty"));
                None
            }
            other => self.wrong_type(name, "a text", node.at, other),
        }
    }

    /// A whole number within `range`, or `default` if absent.
    pub fn integer(&self, name: &str, range: std::ops::RangeInclusive<u32>, default: u32) -> Option<u32> {
        let Some(node) = self.get(name) else { return Some(default) };
        let Value::Integer(number) = node.value else {
            return self.wrong_type(name, "a whole number", node.at, &node.value);
        };
        let fits = u32::try_from(number).ok().filter(|n| range.contains(n));
        if fits.is_none() {
            let message = format!("`{name}` must be {} to {}, not {number}", range.start(), range.end());
            self.report.add(code::BAD_VALUE, node.at, message);
        }
        fits
    }

    /// A duration within `range`, or `default` if absent.
    pub fn duration(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<Duration>,
        default: Duration,
    ) -> Option<Duration> {
        let Some(node) = self.get(name) else { return Some(default) };
        let (text, at) = self.as_text(name, node)?;
        let fits = duration::parse(text).filter(|d| range.contains(d));
        if fits.is_none() {
            let message = format!(
                "`{name}` must be a duration of {:?} to {:?} such as 500ms, 10s or 2m, not `{text}`",
                range.start(),
                range.end()
            );
            self.report.add(code::BAD_VALUE, at, message);
        }
        fits
    }

    /// One of the named choices; the outer `None` means that it was reported.
    pub fn choice<T: Choice>(&self, name: &str) -> Option<Option<T>> {
        let Some(node) = self.get(name) else { return Some(None) };
        self.choice_in(name, node).map(Some)
    }

    /// `node` as one of the named choices.
    pub fn choice_in<T: Choice>(&self, name: &str, node: &'a Node) -> Option<T> {
        let (text, at) = self.as_text(name, node)?;
        if let Some((_, choice)) = T::ALL.iter().find(|(known, _)| *known == text) {
            return Some(*choice);
        }
        let names: Vec<_> = T::ALL.iter().map(|(known, _)| *known).collect();
        let message = format!("`{name}` must be one of {}, not `{text}`", names.join(", "));
        self.report.add_with(code::BAD_VALUE, at, message, did_you_mean(text, names));
        None
    }

    /// A list that must be there and hold something.
    pub fn list(&self, name: &str) -> Option<&'a [Node]> {
        let node = self.require(name)?;
        match &node.value {
            Value::List(items) if !items.is_empty() => Some(items),
            Value::List(_) => {
                self.report.add(code::BAD_VALUE, node.at, format!("`{name}` is empty"));
                None
            }
            other => self.wrong_type(name, "a list", node.at, other),
        }
    }

    fn wrong_type<T>(&self, name: &str, wanted: &str, at: Position, found: &Value) -> Option<T> {
        let message = format!("`{name}` must be {wanted}, found {}", found.kind());
        let quote = wanted == "a text" && matches!(found, Value::Integer(_) | Value::Bool(_) | Value::Float);
        let suggestion = quote.then(|| "put it in quotes if it is meant as text".to_owned());
        self.report.add_with(code::WRONG_TYPE, at, message, suggestion);
        None
    }
}
