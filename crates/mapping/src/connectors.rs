//! The webhook programs of connectors: `connectors/<system>/webhook.vrl`.

use std::{
    collections::BTreeMap,
    fmt,
    io::{ErrorKind, Read},
    path::Path,
    sync::{Arc, LazyLock},
};

use crate::{Diagnostic, Program};

/// The largest program, in bytes.
const MAX_PROGRAM: u64 = 256 * 1024;
/// The programs of this repository, part of the binary.
const EMBEDDED: [(&str, &str); 2] = [
    ("shopify", include_str!("../../../connectors/shopify/webhook.vrl")),
    ("stripe", include_str!("../../../connectors/stripe/webhook.vrl")),
];

/// The webhook program of every connector that has one.
///
/// Its input is `{"headers": {lower-case names}, "body": …, "source": …}`; `source` is optional and replaces the
/// vendor's name as the source of the events. It yields canonical events as `POST /v1/events` takes them.
#[derive(Clone, Debug)]
pub struct Connectors {
    webhooks: BTreeMap<String, Arc<Program>>,
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

    /// The names of the connectors that have one, in order.
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
        let sources = EMBEDDED.map(|(name, source)| {
            let file = format!("connectors/{name}/webhook.vrl");
            (name.to_owned(), Source { file, text: source.to_owned() })
        });
        compile(BTreeMap::from(sources)).map(|webhooks| Connectors { webhooks })
    });
    COMPILED.clone()
}

/// The embedded connectors, with those of the folder `dir` in their place or beside them: `<dir>/<system>/webhook.vrl`.
///
/// # Errors
/// Every file that cannot be read and everything that is wrong with the programs.
pub fn load(dir: &Path) -> Result<Connectors, ConnectorErrors> {
    let mut connectors = embedded()?;
    let (sources, mut problems) = read_folder(dir);
    match compile(sources) {
        Ok(webhooks) => connectors.webhooks.extend(webhooks),
        Err(errors) => problems.extend(errors.0),
    }
    if problems.is_empty() { Ok(connectors) } else { Err(ConnectorErrors(problems)) }
}

/// A program before it is compiled.
struct Source {
    file: String,
    text: String,
}

/// The programs of a folder that are not the embedded ones, and what could not be read.
fn read_folder(dir: &Path) -> (BTreeMap<String, Source>, Vec<Diagnostic>) {
    let unreadable = |path: &Path, e: &std::io::Error| Diagnostic::unreadable(&path.display().to_string(), e);
    let entries = match std::fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return (BTreeMap::new(), vec![unreadable(dir, &error)]),
    };
    let mut sources = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join("webhook.vrl");
        match read(&file) {
            Ok(text) if EMBEDDED.contains(&(name.as_str(), text.as_str())) => {}
            Ok(text) => drop(sources.insert(name, Source { file: file.display().to_string(), text })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => problems.push(unreadable(&file, &error)),
        }
    }
    (sources, problems)
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    std::fs::File::open(file)?.take(MAX_PROGRAM + 1).read_to_string(&mut source)?;
    if source.len() as u64 > MAX_PROGRAM {
        return Err(std::io::Error::other("it is larger than 256 KiB"));
    }
    Ok(source)
}

fn compile(sources: BTreeMap<String, Source>) -> Result<BTreeMap<String, Arc<Program>>, ConnectorErrors> {
    let mut webhooks = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, source) in sources {
        match Program::compile(&source.file, &source.text) {
            Ok(program) => drop(webhooks.insert(name, Arc::new(program))),
            Err(diagnostics) => problems.extend(diagnostics),
        }
    }
    if problems.is_empty() { Ok(webhooks) } else { Err(ConnectorErrors(problems)) }
}
