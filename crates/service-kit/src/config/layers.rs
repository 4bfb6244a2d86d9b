//! The layers above the defaults, each of which can say how it writes a key.

use std::path::PathBuf;

use figment::{
    Metadata, Profile, Provider,
    util::nest,
    value::{Dict, Map, Value},
};

use super::{CONFIG_VARIABLE, ConfigError, error::hint};

const PREFIX: &str = "COUNTERFOIL_";

pub(super) struct File {
    pub path: PathBuf,
    pub table: toml::Table,
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::from("file", self.path.as_path()).interpolater(|_, keys| keys.join("."))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        figment::providers::Serialized::defaults(&self.table).data()
    }
}

pub(super) struct Environment(Vec<(String, Value)>);

impl Environment {
    /// The variables that are settings. `known`: the settings' own first-level keys.
    pub fn of(variables: &[(String, String)], known: &[String]) -> Result<Self, ConfigError> {
        let mut settings = Vec::new();
        for (name, value) in variables {
            let Some(key) = name.strip_prefix(PREFIX).filter(|_| name != CONFIG_VARIABLE) else { continue };
            let key = key.to_ascii_lowercase().replace("__", ".");
            let first = key.split('.').next().unwrap_or_default();
            if known.iter().any(|k| k == first) {
                settings.push((key, parse(value)));
            } else if known.iter().any(|k| strsim::osa_distance(k, first) == 1) {
                let hint = hint(first, known);
                return Err(ConfigError::Unknown {
                    key: name.clone(),
                    origin: "the environment".to_owned(),
                    hint,
                });
            }
        }
        Ok(Self(settings))
    }
}

/// Lists and tables in figment's notation; everything else stays text until the settings say what it is, so that an
/// id made of digits is still an id.
fn parse(value: &str) -> Value {
    match value.parse() {
        Ok(parsed @ (Value::Array(..) | Value::Dict(..))) => parsed,
        _ => Value::from(value),
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
            .interpolater(|_, keys| format!("{PREFIX}{}", keys.join("__").to_ascii_uppercase()))
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(nested(self.0.iter().map(|(key, value)| (key.as_str(), value.clone()))))
    }
}

pub(super) struct CommandLine(pub Vec<(&'static str, &'static str, Value)>);

impl Provider for CommandLine {
    fn metadata(&self) -> Metadata {
        let flags: Vec<_> = self.0.iter().map(|(flag, key, _)| (*flag, *key)).collect();
        Metadata::named("the command line").interpolater(move |_, keys| {
            let key = keys.join(".");
            flags.iter().find(|(_, k)| *k == key).map_or(key, |(flag, _)| (*flag).to_owned())
        })
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(nested(self.0.iter().map(|(_, key, value)| (*key, value.clone()))))
    }
}

/// Dotted keys, nested; where two name the same key, the later one holds.
fn nested<'a>(values: impl Iterator<Item = (&'a str, Value)>) -> Map<Profile, Dict> {
    let mut all = Dict::new();
    for (key, value) in values {
        if let Value::Dict(_, nested) = nest(key, value) {
            merge(&mut all, nested);
        }
    }
    Profile::Default.collect(all)
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, below)), Value::Dict(_, above)) => merge(below, above),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
