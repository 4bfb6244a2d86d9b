//! Settings in layers: defaults < TOML file < environment < command-line flags.
//!
//! A settings type is a struct with `#[serde(deny_unknown_fields, default)]`, `Default`, `Serialize` and `Deserialize`.
//! Its `Default` is the first layer. Names of environment variables are `COUNTERFOIL_<KEY>`, with `__` between the
//! parts of a nested key: `COUNTERFOIL_KAFKA__BOOTSTRAP` is `kafka.bootstrap`.
//!
//! The environment is shared: by other services, and by the secrets that `env:NAME` references point to. So a variable
//! whose first part is no setting of this service is left alone, unless it is one slip of the finger away from one.

mod error;
mod layers;
mod print;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use figment::{Figment, providers::Serialized, value::Value};
use serde::{Serialize, de::DeserializeOwned};

pub use error::ConfigError;
pub use print::print_config;

/// The variable that names the configuration file where `--config` does not.
pub const CONFIG_VARIABLE: &str = "COUNTERFOIL_CONFIG";

/// What the command line sets. Absent flags leave the lower layers alone.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, &'static str, Value)>);

impl Flags {
    /// No flags.
    pub fn new() -> Self {
        Self::default()
    }

    /// `flag` (as typed: `--bootstrap`) sets `key` (with dots: `kafka.bootstrap`) if it was given.
    #[must_use]
    pub fn set<V: Into<Value>>(mut self, flag: &'static str, key: &'static str, value: Option<V>) -> Self {
        self.0.extend(value.map(|value| (flag, key, value.into())));
        self
    }
}

/// Where settings come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The TOML file, if any.
    pub file: Option<PathBuf>,
    /// The environment, names and values.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Flags,
}

impl Sources {
    /// The process's environment, `file` or else the one that `COUNTERFOIL_CONFIG` names, and `flags`.
    pub fn of_process(file: Option<&Path>, flags: Flags) -> Self {
        let file = file.map(Path::to_owned).or_else(|| env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { file, environment: env::vars_os().filter_map(text).collect(), flags }
    }
}

/// Loads settings from the process's environment, see [`Sources::of_process`].
///
/// # Errors
/// See [`load_from`].
pub fn load<T>(file: Option<&Path>, flags: Flags) -> Result<T, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    load_from(&Sources::of_process(file, flags))
}

/// Loads settings from `sources`.
///
/// # Errors
/// When the file cannot be read or parsed, a key is not known, or a value does not fit; the error names key and source.
pub fn load_from<T>(sources: &Sources) -> Result<T, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let defaults = Figment::from(Serialized::defaults(T::default()));
    let known: Vec<String> = defaults
        .extract::<figment::value::Dict>()
        .map_err(|e| error::invalid(&defaults, e))?
        .into_keys()
        .collect();
    let mut figment = defaults;
    if let Some(path) = &sources.file {
        let read = |source| ConfigError::Read { path: path.clone(), source };
        let text = fs::read_to_string(path).map_err(read)?;
        let table = toml::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.clone(), source: Box::new(source) })?;
        figment = figment.merge(layers::File { path: path.clone(), table });
    }
    figment = figment.merge(layers::Environment::of(&sources.environment, &known)?);
    figment = figment.merge(layers::CommandLine(sources.flags.0.clone()));
    // Lossy: text from the environment becomes the number or boolean that the settings ask for.
    figment.extract_lossy().map_err(|e| error::invalid(&figment, e))
}

#[cfg(test)]
mod tests;
