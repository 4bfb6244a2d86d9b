//! Whether a connection gives what its connector asks for.

use std::collections::BTreeMap;

use http::Uri;

use crate::{
    Connector, Secrets,
    auth::TOKEN,
    definition::{Auth, Field, FieldKind},
};

/// What a connection gives and its connector asks for do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A value is missing.
    #[error("it needs `values: {{{name}: …}}`{help}")]
    NoValue {
        /// Which.
        name: String,
        /// What it is, in brackets.
        help: String,
    },
    /// A secret is missing.
    #[error("it needs `secrets: {{{name}: …}}`{help}")]
    NoSecret {
        /// Which.
        name: String,
        /// What it is, in brackets.
        help: String,
    },
    /// It gives something else.
    #[error("{what}")]
    Odd {
        /// What is given.
        name: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Misfit {
    /// The value or secret that it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::NoValue { name, .. } | Self::NoSecret { name, .. } | Self::Odd { name, .. } => name,
        }
    }

    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoValue { .. } => "CFG-0115",
            Self::NoSecret { .. } => "CFG-0116",
            Self::Odd { .. } => "CFG-0117",
        }
    }
}

impl Connector {
    /// What of `values` and `secrets` does not go together with what it asks of a connection.
    pub fn misfits(&self, values: &BTreeMap<String, String>, secrets: &Secrets) -> Vec<Misfit> {
        let mut found = self.misfits_of_values(values);
        for (name, field) in self.connection.iter().filter(|(_, field)| field.kind == FieldKind::Secret) {
            if !secrets.has(name) {
                found.push(Misfit::NoSecret { name: name.clone(), help: help(field) });
            }
        }
        let tokens = matches!(self.auth, Auth::StaticToken { secret: None, .. });
        for name in secrets.names().filter(|name| !(tokens && *name == TOKEN)) {
            let what = match self.connection.get(name) {
                Some(field) if field.kind == FieldKind::Secret => continue,
                Some(_) => format!("`{name}` is no secret: write it under `values`"),
                None => format!("it knows no secret `{name}`; it knows {}", self.known(true)),
            };
            found.push(Misfit::Odd { name: name.to_owned(), what });
        }
        found
    }

    /// The same for the values alone.
    pub(crate) fn misfits_of_values(&self, values: &BTreeMap<String, String>) -> Vec<Misfit> {
        let mut found = Vec::new();
        for (name, field) in self.connection.iter().filter(|(_, field)| field.kind != FieldKind::Secret) {
            match values.get(name).or(field.default.as_ref()) {
                None => found.push(Misfit::NoValue { name: name.clone(), help: help(field) }),
                Some(value) => found.extend(unlike(name, value, field.kind)),
            }
        }
        for name in values.keys() {
            let what = match self.connection.get(name) {
                Some(field) if field.kind != FieldKind::Secret => continue,
                Some(_) => format!("`{name}` is a secret: write a reference to it under `secrets`"),
                None => format!("it knows no value `{name}`; it knows {}", self.known(false)),
            };
            found.push(Misfit::Odd { name: name.clone(), what });
        }
        found
    }

    /// Values that fit, for a look at the definition without a connection.
    pub(crate) fn stand_ins(&self) -> BTreeMap<String, String> {
        let given = self.connection.iter().filter_map(|(name, field)| {
            let value = match field.kind {
                FieldKind::String => "x",
                FieldKind::Integer => "1",
                FieldKind::Url => "https://connector.invalid",
                FieldKind::Secret => return None,
            };
            Some((name.clone(), value.to_owned()))
        });
        given.collect()
    }

    fn known(&self, secrets: bool) -> String {
        let of_kind = |(_, field): &(&String, &Field)| (field.kind == FieldKind::Secret) == secrets;
        let names: Vec<&str> =
            self.connection.iter().filter(of_kind).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

fn help(field: &Field) -> String {
    if field.help.is_empty() { String::new() } else { format!(" ({})", field.help) }
}

/// A value that is not of its kind.
fn unlike(name: &str, value: &str, kind: FieldKind) -> Option<Misfit> {
    let fits = match kind {
        FieldKind::String | FieldKind::Secret => !value.is_empty(),
        FieldKind::Integer => value.parse::<i64>().is_ok(),
        FieldKind::Url => {
            let uri = value.parse::<Uri>().ok();
            uri.is_some_and(|u| u.host().is_some() && matches!(u.scheme_str(), Some("http" | "https")))
        }
    };
    let what = match kind {
        FieldKind::Integer => format!("`{name}` is `{value}`, which is no whole number"),
        FieldKind::Url => {
            format!("`{name}` is `{value}`, which is no address, write for example https://x.example.com")
        }
        FieldKind::String | FieldKind::Secret => format!("`{name}` is empty"),
    };
    (!fits).then(|| Misfit::Odd { name: name.to_owned(), what })
}
