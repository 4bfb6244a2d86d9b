//! A text with placeholders.

use std::{collections::BTreeMap, fmt::Write as _};

use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::{Filter, Missing, Name, Scope, filter::RESERVED, plain};

/// What a filter makes of a value as a whole.
type Change = fn(Value) -> Value;

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Value { name: Name, filters: Vec<Filter> },
}

/// A text with placeholders, compiled: what the connection gives is filled in already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    parts: Vec<Part>,
}

impl Text {
    /// Compiles `text`. `known` are the names that are filled in now. With `in_url`, values are percent-encoded that have
    /// no filter.
    pub(crate) fn compile(
        text: &str,
        known: &BTreeMap<String, String>,
        in_url: bool,
    ) -> Result<Self, String> {
        let mut compiled = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) =
                after.split_once("}}").ok_or_else(|| format!("`{text}` has {{{{ without }}}}"))?;
            compiled.literal(before);
            compiled.placeholder(inside, known, in_url)?;
            rest = after;
        }
        compiled.literal(rest);
        Ok(compiled)
    }

    /// The idempotency key.
    pub(crate) fn key() -> Self {
        Self { parts: vec![Part::Value { name: Name::Key, filters: Vec::new() }] }
    }

    fn placeholder(
        &mut self,
        inside: &str,
        known: &BTreeMap<String, String>,
        in_url: bool,
    ) -> Result<(), String> {
        let mut words = inside.split('|').map(str::trim);
        let name = words.next().unwrap_or_default();
        let mut filters = words.map(Filter::parse).collect::<Result<Vec<_>, _>>()?;
        if let Some(value) = known.get(name) {
            let value = filters.iter().fold(value.clone(), |text, filter| filter.apply(text));
            self.literal(&value);
            return Ok(());
        }
        let name = Name::parse(name).map_err(|what| with_known(what, name, known))?;
        // An address that the system gave when we signed in begins with its scheme.
        let begins = self.parts.is_empty() && matches!(name, Name::Captured(_));
        if in_url && !begins && !filters.iter().any(|f| matches!(f, Filter::Raw | Filter::Percent)) {
            filters.push(Filter::Percent);
        }
        self.parts.push(Part::Value { name, filters });
        Ok(())
    }

    fn literal(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(last)) => *last = format!("{last}{text}").into(),
            _ => self.parts.push(Part::Literal(text.into())),
        }
    }

    /// The only placeholder, if nothing stands around it and no filter changes it.
    pub(super) fn alone(&self) -> Option<&Name> {
        match self.parts.as_slice() {
            [Part::Value { name, filters }] if filters.is_empty() => Some(name),
            _ => None,
        }
    }

    /// The only placeholder, if it stands for a value that a filter changes as a whole.
    fn change(&self) -> Option<(&Name, Change)> {
        match self.parts.as_slice() {
            [Part::Value { name, filters }] if filters.len() == 1 => Some((name, filters.first()?.change()?)),
            _ => None,
        }
    }

    /// Whether it is one placeholder that stands for a number.
    fn is_number(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Value { filters, .. }] if filters.last() == Some(&Filter::Number))
    }

    /// The whole text, if it has no placeholder.
    pub(crate) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether one of its placeholders is among those that `which` picks.
    pub(crate) fn has(&self, which: impl Fn(&Name) -> bool) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value { name, .. } if which(name)))
    }

    /// The text with an x for each placeholder, to see whether it could be what it should.
    pub(crate) fn sample(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.to_string(),
            Part::Value { .. } => "x".to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The text with everything filled in.
    pub(crate) fn render(&self, scope: &Scope<'_>) -> Result<String, Missing> {
        let mut text = String::with_capacity(128);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                // The path of nearly every event: no copy in between.
                Part::Value { name: Name::Reference, filters } if *filters == [Filter::Percent] => {
                    write!(text, "{}", utf8_percent_encode(scope.posting.reference(), RESERVED)).ok(); // a String takes all
                }
                Part::Value { name, filters } => {
                    let value = plain(&name.value(scope)?);
                    text.push_str(&filters.iter().fold(value, |text, filter| filter.apply(text)));
                }
            }
        }
        Ok(text)
    }

    /// The value of its only placeholder, typed; else the text.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Value, Missing> {
        if let Some((name, change)) = self.change() {
            return name.value(scope).map(change);
        }
        match self.alone() {
            Some(name) => name.value(scope),
            None if self.is_number() => {
                let text = self.render(scope)?;
                let number = serde_json::from_str::<serde_json::Number>(&text);
                Ok(number.map_or_else(|_| Value::from(text), Value::from))
            }
            None => self.render(scope).map(Value::from),
        }
    }
}

fn with_known(what: String, name: &str, known: &BTreeMap<String, String>) -> String {
    match name.strip_prefix("conn.") {
        Some(value) => {
            let names: Vec<&str> = known.keys().filter_map(|k| k.strip_prefix("conn.")).collect();
            let have = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("the connection gives no value `{value}`; it has {have}")
        }
        None => what,
    }
}
