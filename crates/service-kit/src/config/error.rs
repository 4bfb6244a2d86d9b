//! What can be wrong with a configuration.

use std::{io, path::PathBuf};

use figment::{Figment, Metadata, Profile, Source, error::Kind};

/// Why settings could not be loaded. See docs/errors for each code.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not valid TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong there.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key that no setting has.
    #[error("`{key}` from {origin} is not a setting; {hint}")]
    Unknown {
        /// The key, as the source writes it.
        key: String,
        /// The layer it came from.
        origin: String,
        /// The setting that may be meant, or those there are.
        hint: String,
    },
    /// A value that does not fit its setting, or a setting that is missing.
    #[error("`{key}` from {origin} is not valid: {message}")]
    Invalid {
        /// The key, as the source writes it.
        key: String,
        /// The layer it came from.
        origin: String,
        /// What was expected. Never holds the value of a setting that may be a secret.
        message: String,
    },
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "CFG-1001",
            Self::Syntax { .. } => "CFG-1002",
            Self::Unknown { .. } => "CFG-1003",
            Self::Invalid { .. } => "CFG-1004",
        }
    }
}

/// Names the key and the layer of a failed extraction. serde stops at the first failure, so there is one.
pub(super) fn invalid(figment: &Figment, error: figment::Error) -> ConfigError {
    let mut path = error.path.clone();
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(field)
    {
        path.push(field.clone());
    }
    let (key, origin) = locate(figment, error.metadata.as_ref(), &path);
    match error.kind {
        Kind::UnknownField(field, fields) => ConfigError::Unknown { key, origin, hint: hint(&field, fields) },
        kind => {
            let message = if super::print::is_secret(&path) {
                "the value does not fit (not shown, the setting is a secret)".to_owned()
            } else {
                kind.to_string()
            };
            ConfigError::Invalid { key, origin, message }
        }
    }
}

fn locate(figment: &Figment, metadata: Option<&Metadata>, path: &[String]) -> (String, String) {
    let dotted = path.join(".");
    let Some(metadata) = figment.find_metadata(&dotted).or(metadata) else {
        return (dotted, "the defaults".to_owned());
    };
    let origin = match metadata.source.as_ref().and_then(Source::file_path) {
        Some(file) => format!("{} {}", metadata.name, file.display()),
        None => metadata.name.to_string(),
    };
    (metadata.interpolate(&Profile::Default, path), origin)
}

/// The candidate that `name` may be a misspelling of, or all of them.
pub(super) fn hint(name: &str, candidates: &[impl AsRef<str>]) -> String {
    let distance = |c: &&str| strsim::osa_distance(name, c);
    let nearest = candidates.iter().map(AsRef::as_ref).min_by_key(distance);
    match nearest.filter(|c| distance(c) <= 1 + c.len() / 4) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let all: Vec<_> = candidates.iter().map(AsRef::as_ref).collect();
            format!("there are {}", all.join(", "))
        }
    }
}
