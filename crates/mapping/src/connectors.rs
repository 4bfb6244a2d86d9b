//! What connectors know of webhooks: how they are signed, `connectors/<system>/webhook.yaml`, and the program that makes events of them,
//! `connectors/<system>/webhook.vrl`.

use std::{
    collections::BTreeMap,
    fmt,
    io::{ErrorKind, Read},
    path::Path,
    sync::{Arc, LazyLock},
};

use crate::{Diagnostic, Program, Signature};

/// The largest file, in bytes.
const MAX_FILE: u64 = 256 * 1024;
const PROGRAM: &str = "webhook.vrl";
const SIGNATURE: &str = "webhook.yaml";
/// The programs of this repository, part of the binary.
const EMBEDDED: [(&str, &str); 2] = [
    ("shopify", include_str!("../../../connectors/shopify/webhook.vrl")),
    ("stripe", include_str!("../../../connectors/stripe/webhook.vrl")),
];

/// The signatures of the connectors of this repository, part of the binary.
const SIGNATURES: [(&str, &str); 6] = [
    ("dataverse", include_str!("../../../connectors/dataverse/webhook.yaml")),
    ("hubspot", include_str!("../../../connectors/hubspot/webhook.yaml")),
    ("quickbooks", include_str!("../../../connectors/quickbooks/webhook.yaml")),
    ("shopify", include_str!("../../../connectors/shopify/webhook.yaml")),
    ("stripe", include_str!("../../../connectors/stripe/webhook.yaml")),
    ("xero", include_str!("../../../connectors/xero/webhook.yaml")),
];

/// The webhook program of every connector that has one, and how its webhooks are signed.
///
/// A program's input is `{"headers": {lower-case names}, "body": …, "source": …}`; `source` is optional and replaces the
/// vendor's name as the source of the events. It yields canonical events as `POST /v1/events` takes them.
#[derive(Clone, Debug)]
pub struct Connectors {
    webhooks: BTreeMap<String, Arc<Program>>,
    signatures: BTreeMap<String, Arc<Signature>>,
}

/// Why connectors were refused: everything wrong with their programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorErrors(pub Vec<Diagnostic>);

impl ConnectorErrors {
    /// The stable code of the first problem.
    pub fn code(&self) -> &'static str {
        self.0.first().map_or(Diagnostic::UNREADABLE, |d| d.code)
    }
}

impl fmt::Display for ConnectorErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the connectors have {} problem(s)", self.0.len())?;
        self.0.iter().try_for_each(|d| write!(f, "\n  {d}"))
    }
}

impl std::error::Error for ConnectorErrors {}

impl Connectors {
    /// The webhook program of the connector `name`.
    pub fn webhook(&self, name: &str) -> Option<&Arc<Program>> {
        self.webhooks.get(name)
    }

    /// How the webhooks of the connector `name` are signed.
    pub fn signature(&self, name: &str) -> Option<&Arc<Signature>> {
        self.signatures.get(name)
    }

    /// The names of the connectors whose signatures are known, in order.
    pub fn signatures(&self) -> impl Iterator<Item = &str> {
        self.signatures.keys().map(String::as_str)
    }

    /// The names of the connectors that have a program, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.webhooks.keys().map(String::as_str)
    }
}

/// The connectors that are part of the binary. Compiled at the first call, which takes a moment.
///
/// # Errors
/// A program does not compile; a test of this crate sees to it that none does.
pub fn embedded() -> Result<Connectors, ConnectorErrors> {
    static COMPILED: LazyLock<Result<Connectors, ConnectorErrors>> = LazyLock::new(|| {
        let files = |file: &'static str| {
            move |(name, text): (&str, &str)| {
                (name.to_owned(), Source { file: format!("connectors/{name}/{file}"), text: text.to_owned() })
            }
        };
        let webhooks = compile(EMBEDDED.map(files(PROGRAM)).into(), Program::compile);
        let signatures = compile(SIGNATURES.map(files(SIGNATURE)).into(), signature);
        Ok(Connectors { webhooks: webhooks?, signatures: signatures? })
    });
    COMPILED.clone()
}

/// The embedded connectors, with those of the folder `dir` in their place or beside them: `<dir>/<system>/webhook.vrl` and
/// `<dir>/<system>/webhook.yaml`.
///
/// # Errors
/// Every file that cannot be read and everything that is wrong with them.
pub fn load(dir: &Path) -> Result<Connectors, ConnectorErrors> {
    let mut connectors = embedded()?;
    let mut problems = Vec::new();
    let programs = read_folder(dir, PROGRAM, &EMBEDDED, &mut problems);
    let signatures = read_folder(dir, SIGNATURE, &SIGNATURES, &mut problems);
    match compile(programs, Program::compile) {
        Ok(webhooks) => connectors.webhooks.extend(webhooks),
        Err(errors) => problems.extend(errors.0),
    }
    match compile(signatures, signature) {
        Ok(signatures) => connectors.signatures.extend(signatures),
        Err(errors) => problems.extend(errors.0),
    }
    problems.dedup();
    if problems.is_empty() { Ok(connectors) } else { Err(ConnectorErrors(problems)) }
}

/// A file before it is compiled.
struct Source {
    file: String,
    text: String,
}

/// The files of a name in a folder's folders that are not the embedded ones; `problems` gets what could not be read.
fn read_folder(
    dir: &Path,
    name: &str,
    embedded: &[(&str, &str)],
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Source> {
    let unreadable = |path: &Path, e: &std::io::Error| Diagnostic::unreadable(&path.display().to_string(), e);
    let mut sources = BTreeMap::new();
    let entries = match std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(unreadable(dir, &error));
            return sources;
        }
    };
    for entry in entries {
        let system = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join(name);
        match read(&file) {
            Ok(text) if embedded.contains(&(system.as_str(), text.as_str())) => {}
            Ok(text) => drop(sources.insert(system, Source { file: file.display().to_string(), text })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => problems.push(unreadable(&file, &error)),
        }
    }
    sources
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    std::fs::File::open(file)?.take(MAX_FILE + 1).read_to_string(&mut source)?;
    if source.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 256 KiB"));
    }
    Ok(source)
}

fn signature(file: &str, text: &str) -> Result<Signature, Vec<Diagnostic>> {
    Signature::parse(file, text).map_err(|wrong| vec![wrong])
}

/// Each source read by `one`, or everything that is wrong with any of them.
fn compile<T>(
    sources: BTreeMap<String, Source>,
    one: impl Fn(&str, &str) -> Result<T, Vec<Diagnostic>>,
) -> Result<BTreeMap<String, Arc<T>>, ConnectorErrors> {
    let mut compiled = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, source) in sources {
        match one(&source.file, &source.text) {
            Ok(good) => drop(compiled.insert(name, Arc::new(good))),
            Err(diagnostics) => problems.extend(diagnostics),
        }
    }
    if problems.is_empty() { Ok(compiled) } else { Err(ConnectorErrors(problems)) }
}
