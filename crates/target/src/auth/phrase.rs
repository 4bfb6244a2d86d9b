//! Texts that may name secrets: kept as they are written, and filled in only while we sign in.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde_json::{Map, Value};

use crate::template::Filter;

/// What the placeholders of a [`Phrase`] stand for.
#[derive(Clone, Copy)]
pub(super) struct Fill<'a> {
    /// `conn.<value>` and `base_url`.
    pub(super) known: &'a BTreeMap<String, String>,
    pub(super) secrets: &'a Secrets,
    /// Which of two secrets where one is being rotated.
    pub(super) choice: Choice,
    pub(super) captured: &'a BTreeMap<String, String>,
}

/// Which of two secrets counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Current,
    Previous,
}

impl Choice {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Current => Self::Previous,
            Self::Previous => Self::Current,
        }
    }
}

/// The secrets of a connection by name. Of each there may be two while it is being rotated.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, Vec<SecretString>>);

impl Secrets {
    /// None.
    pub const fn none() -> &'static Self {
        static NONE: Secrets = Secrets(BTreeMap::new());
        &NONE
    }

    /// Adds a secret: the current one first, then the one that it takes the place of.
    #[must_use]
    pub fn with(mut self, name: &str, secrets: &[SecretString]) -> Self {
        self.0.insert(name.to_owned(), secrets.to_vec());
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|secrets| !secrets.is_empty())
    }

    pub(super) fn rotates(&self) -> bool {
        self.0.values().any(|secrets| secrets.len() > 1)
    }

    fn get(&self, name: &str, choice: Choice) -> Option<&SecretString> {
        let secrets = self.0.get(name)?;
        match choice {
            Choice::Current => secrets.first(),
            Choice::Previous => secrets.get(1).or_else(|| secrets.first()),
        }
    }
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Name { name: Box<str>, filters: Vec<Filter> },
}

/// A text with placeholders.
#[derive(Clone, Debug)]
pub(super) struct Phrase(Vec<Part>);

impl Phrase {
    /// Reads `text`; `is_known` says which names there are.
    pub(super) fn compile(text: &str, is_known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) =
                after.split_once("}}").ok_or_else(|| format!("`{text}` has {{{{ without }}}}"))?;
            parts.push(Part::Literal(before.into()));
            let mut words = inside.split('|').map(str::trim);
            let name = words.next().unwrap_or_default();
            if !is_known(name) {
                return Err(format!(
                    "`{{{{{name}}}}}` stands for nothing in `auth`; there are base_url, auth.captured.<name>, and \
                     conn.<name> for what `connection` lists"
                ));
            }
            let filters = words.map(Filter::parse).collect::<Result<_, _>>()?;
            parts.push(Part::Name { name: name.into(), filters });
            rest = after;
        }
        parts.push(Part::Literal(rest.into()));
        Ok(Self(parts))
    }

    /// The text, or the name of what is not known.
    pub(super) fn fill(&self, fill: Fill<'_>) -> Result<Zeroizing<String>, String> {
        let mut out = Zeroizing::new(String::new());
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Name { name, filters } => {
                    let value = fill.value(name).ok_or_else(|| name.to_string())?;
                    let value = filters
                        .iter()
                        .fold(value, |value, filter| Zeroizing::new(filter.apply(value.as_str().to_owned())));
                    out.push_str(&value);
                }
            }
        }
        Ok(out)
    }
}

impl Fill<'_> {
    fn value(&self, name: &str) -> Option<Zeroizing<String>> {
        if let Some(value) = self.known.get(name) {
            return Some(Zeroizing::new(value.clone()));
        }
        if let Some(name) = name.strip_prefix("auth.captured.") {
            return self.captured.get(name).cloned().map(Zeroizing::new);
        }
        let secret = self.secrets.get(name.strip_prefix("conn.")?, self.choice)?;
        Some(Zeroizing::new(secret.expose_secret().to_owned()))
    }
}

/// JSON whose texts are phrases.
#[derive(Clone, Debug)]
pub(super) enum PhraseJson {
    Constant(Value),
    Text(Phrase),
    Array(Vec<PhraseJson>),
    Object(Vec<(String, PhraseJson)>),
}

impl PhraseJson {
    pub(super) fn compile(json: &Value, is_known: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        Ok(match json {
            Value::String(text) => Self::Text(Phrase::compile(text, is_known)?),
            Value::Array(items) => {
                Self::Array(items.iter().map(|item| Self::compile(item, is_known)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::compile(value, is_known)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Constant(other.clone()),
        })
    }

    pub(super) fn fill(&self, fill: Fill<'_>) -> Result<Value, String> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Text(phrase) => phrase.fill(fill)?.as_str().into(),
            Self::Array(items) => items.iter().map(|item| item.fill(fill)).collect::<Result<_, _>>()?,
            Self::Object(fields) => fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.fill(fill)?)))
                .collect::<Result<Map<_, _>, String>>()?
                .into(),
        })
    }
}
