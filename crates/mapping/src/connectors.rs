//! What stands beside the definitions of connectors: how webhooks are signed, `connectors/<system>/webhook.yaml`, the program that makes
//! events of them, `webhook.vrl`, and what is made of events for the system, `mappings/<object>.vrl`.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use event::ObjectKind;
use include_dir::{Dir, include_dir};

use crate::{
    Diagnostic, Mapping, Program, Signature,
    payload::{Parts, Source},
};

/// The largest file, in bytes.
const MAX_FILE: u64 = 256 * 1024;
const PROGRAM: &str = "webhook.vrl";
const SIGNATURE: &str = "webhook.yaml";
const MAPPINGS: &str = "mappings";
/// The connectors of this repository, part of the binary.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../connectors");

/// The webhook programs of connectors, how their webhooks are signed, and their base mappings.
///
/// A program's input is `{"headers": {lower-case names}, "body": …, "source": …}`; `source` is optional and replaces the
/// vendor's name as the source of the events. It yields canonical events as `POST /v1/events` takes them.
#[derive(Clone, Debug, Default)]
pub struct Connectors {
    webhooks: BTreeMap<String, Arc<Program>>,
    signatures: BTreeMap<String, Arc<Signature>>,
    /// By system and object.
    bases: BTreeMap<(String, String), Source>,
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

    /// The base mapping of the connector `name` for its `object`, or an operation on it such as `invoice.void`.
    pub fn base(&self, name: &str, object: &str) -> Option<&Source> {
        self.bases.get(&(name.to_owned(), object.to_owned()))
    }

    /// Every base mapping: system, object, program.
    pub fn bases(&self) -> impl Iterator<Item = (&str, &str, &Source)> {
        self.bases.iter().map(|((system, object), source)| (system.as_str(), object.as_str(), source))
    }

    /// The object or operation whose base mapping a case is of, by the name of its file, `<object>.<case>`: of `invoice` and
    /// `invoice.void` the longer one.
    pub fn object_of_case(&self, name: &str, stem: &str) -> Option<&str> {
        let begins = |object: &&str| stem.strip_prefix(object).is_some_and(|rest| rest.starts_with('.'));
        let objects =
            self.bases.keys().filter(|(system, _)| system == name).map(|(_, object)| object.as_str());
        objects.filter(begins).max_by_key(|object| object.len())
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

/// A file of the binary's connectors, by its path below their folder.
pub fn embedded_file(path: &str) -> Option<&'static str> {
    EMBEDDED.get_file(path)?.contents_utf8()
}

/// The connectors that are part of the binary. Compiled at the first call, which takes a moment.
///
/// # Errors
/// A file does not compile; a test of this crate sees to it that none does.
pub fn embedded() -> Result<Connectors, ConnectorErrors> {
    static COMPILED: LazyLock<Result<Connectors, ConnectorErrors>> =
        LazyLock::new(|| compile(embedded_files(), Connectors::default(), false));
    COMPILED.clone()
}

/// The embedded connectors, with those of the folder `dir` in their place or beside them: `<dir>/<system>/webhook.vrl`,
/// `<dir>/<system>/webhook.yaml` and `<dir>/<system>/mappings/<object>.vrl`.
///
/// # Errors
/// Every file that cannot be read and everything that is wrong with them.
pub fn load(dir: &Path) -> Result<Connectors, ConnectorErrors> {
    let known = embedded_files();
    let mut problems = Vec::new();
    let mut files = BTreeMap::new();
    read_systems(dir, &mut files, &mut problems);
    files.retain(|place, source| known.get(place).is_none_or(|embedded| embedded.text != source.text));
    match compile(files, embedded()?, true) {
        Ok(connectors) if problems.is_empty() => return Ok(connectors),
        Ok(_) => {}
        Err(errors) => problems.extend(errors.0),
    }
    Err(ConnectorErrors(problems))
}

/// The base mappings of the connector `name`, by object, as they are at this moment: those of the folder `dir` in the place of the
/// binary's, or beside them. What other connectors of the folder say does not matter.
///
/// # Errors
/// Every file that cannot be read and everything that is wrong with them.
pub fn bases_of(dir: Option<&Path>, name: &str) -> Result<BTreeMap<String, Source>, ConnectorErrors> {
    let known = embedded_files();
    let (mut files, mut problems) = (BTreeMap::new(), Vec::new());
    if let Some(dir) = dir {
        let folder = dir.join(name).join(MAPPINGS);
        match folder.try_exists() {
            Ok(true) => read_folders(dir, folder, &mut files, &mut problems),
            Ok(false) => {}
            Err(error) => problems.push(Diagnostic::unreadable(&folder.display().to_string(), &error)),
        }
    }
    let changed = |place: &Place, source: &Source| known.get(place).is_none_or(|old| old.text != source.text);
    for (place, source) in files.iter().filter(|(place, source)| changed(place, source)) {
        if let Place::Base(_, object) = place {
            problems.extend(check_base(object, source).err().into_iter().flatten());
        }
    }
    if !problems.is_empty() {
        return Err(ConnectorErrors(problems));
    }
    let all = known.into_iter().chain(files);
    Ok(all
        .filter_map(|(place, source)| match place {
            Place::Base(system, object) if system == name => Some((object, source)),
            _ => None,
        })
        .collect())
}

/// What a connector's folder holds of interest here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Program(String),
    Signature(String),
    Base(String, String),
}

impl Place {
    /// Of a path below the folder of the connectors.
    fn of(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
        Some(match parts[..] {
            [system, PROGRAM] => Self::Program(system.to_owned()),
            [system, SIGNATURE] => Self::Signature(system.to_owned()),
            [system, MAPPINGS, file] => Self::Base(system.to_owned(), file.strip_suffix(".vrl")?.to_owned()),
            _ => return None,
        })
    }
}

fn embedded_files() -> BTreeMap<Place, Source> {
    let mut files = BTreeMap::new();
    let mut folders = vec![&EMBEDDED];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        for file in folder.files() {
            if let (Some(place), Some(text)) = (Place::of(file.path()), file.contents_utf8()) {
                let name = format!("connectors/{}", file.path().display());
                files.insert(place, Source { name, text: text.to_owned() });
            }
        }
    }
    files
}

/// Reads the folders of `dir`; what cannot be read becomes a problem.
fn read_systems(dir: &Path, files: &mut BTreeMap<Place, Source>, problems: &mut Vec<Diagnostic>) {
    read_folders(dir, dir.to_owned(), files, problems);
}

/// The same of one folder below `dir`, or of `dir` itself.
fn read_folders(
    dir: &Path,
    first: PathBuf,
    files: &mut BTreeMap<Place, Source>,
    problems: &mut Vec<Diagnostic>,
) {
    let mut folders = vec![first];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(Diagnostic::unreadable(&folder.display().to_string(), &error));
                continue;
            }
        };
        for path in entries.into_iter().map(|entry| entry.path()) {
            let below = path.strip_prefix(dir).unwrap_or(&path);
            if path.is_dir() && (below.iter().count() == 1 || below.ends_with(MAPPINGS)) {
                folders.push(path);
            } else if let Some(place) = Place::of(below) {
                let name = path.display().to_string();
                match read(&path) {
                    Ok(text) => drop(files.insert(place, Source { name, text })),
                    Err(error) => problems.push(Diagnostic::unreadable(&name, &error)),
                }
            }
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    fs::File::open(file)?.take(MAX_FILE + 1).read_to_string(&mut source)?;
    if source.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 256 KiB"));
    }
    Ok(source)
}

/// `files` in the place of, or beside, what is in `connectors`. Base mappings are compiled again for each route that uses them, so
/// those of the binary, which a test compiles, are not checked here.
fn compile(
    files: BTreeMap<Place, Source>,
    mut connectors: Connectors,
    check: bool,
) -> Result<Connectors, ConnectorErrors> {
    let mut problems = Vec::new();
    for (place, source) in files {
        let Source { name, text } = &source;
        match place {
            Place::Program(system) => match Program::compile(name, text) {
                Ok(program) => drop(connectors.webhooks.insert(system, Arc::new(program))),
                Err(found) => problems.extend(found),
            },
            Place::Signature(system) => match Signature::parse(name, text) {
                Ok(signature) => drop(connectors.signatures.insert(system, Arc::new(signature))),
                Err(found) => problems.push(found),
            },
            Place::Base(system, object) => {
                if let Some(Err(found)) = check.then(|| check_base(&object, &source)) {
                    problems.extend(found);
                } else {
                    connectors.bases.insert((system, object), source);
                }
            }
        }
    }
    if problems.is_empty() { Ok(connectors) } else { Err(ConnectorErrors(problems)) }
}

/// An object of the system's own gets its type only from the events of the route that names it.
fn check_base(object: &str, source: &Source) -> Result<(), Vec<Diagnostic>> {
    let Ok(kind) = object.split('.').next().unwrap_or_default().parse::<ObjectKind>() else { return Ok(()) };
    Mapping::compile(kind, &Parts { base: Some(source.clone()), ..Parts::default() }).map(|_| ())
}
