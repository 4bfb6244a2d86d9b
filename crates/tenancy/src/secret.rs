//! Secrets are references; a source turns them into values while the configuration is loaded.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
};

use secrecy::{SecretString, zeroize::Zeroizing};

use crate::problem::{Position, Report, code};

/// The largest secret file, in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Where secrets and `${NAME}` variables come from.
pub trait SecretSource: Send + Sync {
    /// The environment variable `name`, if it is set.
    fn variable(&self, name: &str) -> Option<Zeroizing<String>>;

    /// The text of the file at `path`.
    ///
    /// # Errors
    /// Whatever kept it from being read.
    fn file(&self, path: &Path) -> io::Result<Zeroizing<String>>;

    /// Whether references are looked at and not resolved: nothing of what is behind them is known here.
    fn is_offline(&self) -> bool {
        false
    }
}

/// The environment of this process and the files it can read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment;

impl SecretSource for Environment {
    fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        std::env::var(name).ok().map(Zeroizing::new)
    }

    fn file(&self, path: &Path) -> io::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(path)?.take(MAX_SECRET_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_SECRET_FILE {
            return Err(io::Error::other("the file is larger than 64 KiB"));
        }
        Ok(text)
    }
}

/// Values given by the program itself, for tests and for the demo; what it lacks it asks its fallback for.
#[derive(Default)]
pub struct Given {
    variables: BTreeMap<String, Zeroizing<String>>,
    files: BTreeMap<PathBuf, Zeroizing<String>>,
    fallback: Option<Box<dyn SecretSource>>,
}

impl Given {
    /// A source with these variables and nothing else.
    pub fn new<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), Zeroizing::new(v.into()))).collect();
        Self { variables, ..Self::default() }
    }

    /// Adds a file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), Zeroizing::new(text.into()));
        self
    }

    /// Asks `source` for what is not given here.
    #[must_use]
    pub fn or(mut self, source: impl SecretSource + 'static) -> Self {
        self.fallback = Some(Box::new(source));
        self
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("variables", &self.variables.keys())
            .field("files", &self.files.keys())
            .finish_non_exhaustive()
    }
}

impl SecretSource for Given {
    fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        let fallback = || self.fallback.as_ref()?.variable(name);
        self.variables.get(name).cloned().or_else(fallback)
    }

    fn file(&self, path: &Path) -> io::Result<Zeroizing<String>> {
        match (self.files.get(path), &self.fallback) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(fallback)) => fallback.file(path),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Resolves the reference `text` to a secret of at least `shortest` characters. Neither the secret nor a text that is
/// no reference (it may be a secret, put there by mistake) is ever printed.
pub(crate) fn resolve(
    report: Report<'_>,
    text: &str,
    at: Position,
    shortest: usize,
    source: &dyn SecretSource,
) -> Option<SecretString> {
    let value = match text.split_once(':') {
        Some(("env", name)) if source.is_offline() && !name.is_empty() => return Some(stand_in(text)),
        Some(("file", path)) if source.is_offline() && Path::new(path).is_absolute() => {
            return Some(stand_in(text));
        }
        Some(("env", name)) => source.variable(name).ok_or_else(|| format!("variable `{name}` is not set")),
        Some(("file", path)) if Path::new(path).is_absolute() => {
            source.file(Path::new(path)).map_err(|e| format!("file `{path}` cannot be read: {e}"))
        }
        Some(("file", path)) => Err(format!("file `{path}` must be given by its absolute path")),
        _ => {
            Err("a secret must be a reference, `env:NAME` or `file:/path`, not the secret itself".to_owned())
        }
    };
    match value {
        Ok(value) => strong_enough(report, value.trim(), text, at, shortest),
        Err(why) => {
            report.add(code::SECRET_UNRESOLVED, at, why);
            None
        }
    }
}

/// Something in the place of a secret that is not resolved, the same for the same reference.
fn stand_in(reference: &str) -> SecretString {
    SecretString::from(format!("unresolved:{reference}"))
}

fn strong_enough(
    report: Report<'_>,
    value: &str,
    reference: &str,
    at: Position,
    shortest: usize,
) -> Option<SecretString> {
    if value.chars().count() < shortest {
        let message = format!("the secret behind `{reference}` is shorter than {shortest} characters");
        report.add(code::SECRET_WEAK, at, message);
        return None;
    }
    Some(SecretString::from(value))
}
