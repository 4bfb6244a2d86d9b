//! The published versions of each schema: `schemas/history/<line>/0001.avsc` and so on.
//!
//! What is on a topic can be older than any program that reads it, and programs of different ages read it side by
//! side. So every version must read every other: FULL_TRANSITIVE, and no field may change its meaning.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Compatibility, Contracts, Incompatibility, UnusableSchema,
    compatibility::{Rules, check},
};

/// The history does not allow the current schemas, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The current schema and a published version do not read each other.
    #[error("{line} is not compatible with its history: {}", list(.problems))]
    Incompatible {
        /// The schema, such as `invoice.v1`.
        line: String,
        /// What is wrong, field by field.
        problems: Vec<Incompatibility>,
    },
    /// The current schema was never published.
    #[error("{line} differs from its newest published version; run `counterfoil schemas snapshot`")]
    Unpublished {
        /// The schema, such as `invoice.v1`.
        line: String,
    },
    /// The folder does not hold 0001.avsc, 0002.avsc, … without a gap.
    #[error("`{path}` does not belong in a history: files are 0001.avsc, 0002.avsc and so on, without a gap")]
    Stray {
        /// The file that should not be there.
        path: PathBuf,
    },
    /// A schema does not parse.
    #[error("a schema of {line} cannot be used")]
    Schema {
        /// The schema, such as `invoice.v1`.
        line: String,
        /// Why.
        #[source]
        source: UnusableSchema,
    },
    /// A file cannot be read or written.
    #[error("`{path}` cannot be read or written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl HistoryError {
    /// The stable code; see docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Incompatible { .. } => "CON-0301",
            Self::Unpublished { .. } => "CON-0302",
            Self::Stray { .. } => "CON-0303",
            Self::Schema { .. } => "CON-0304",
            Self::Io { .. } => "CON-0305",
        }
    }
}

fn list(problems: &[Incompatibility]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Checks that each current schema is the newest published version and goes with all before it.
///
/// # Errors
/// The first [`HistoryError`].
pub fn verify(history: &Path) -> Result<(), HistoryError> {
    for (line, current) in Contracts::embedded().lines() {
        let versions = read(&history.join(&line))?;
        allow(&line, current, &versions)?;
        if versions.last().is_none_or(|newest| newest != current) {
            return Err(HistoryError::Unpublished { line });
        }
    }
    Ok(())
}

/// Publishes each current schema that differs from its newest version, and gives the files written. Nothing is
/// written unless all of them go with their history.
///
/// # Errors
/// The first [`HistoryError`].
pub fn snapshot(history: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut due = Vec::new();
    for (line, current) in Contracts::embedded().lines() {
        due.extend(next(history, &line, current)?.map(|path| (path, current)));
    }
    due.into_iter().map(|(path, text)| write(path, text)).collect()
}

/// The file in which `current` is to be published, unless it is published already.
fn next(history: &Path, line: &str, current: &str) -> Result<Option<PathBuf>, HistoryError> {
    let folder = history.join(line);
    let versions = read(&folder)?;
    if versions.last().is_some_and(|newest| newest == current) {
        return Ok(None);
    }
    allow(line, current, &versions)?;
    Ok(Some(folder.join(file_name(versions.len() + 1))))
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, HistoryError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    // A published version is never overwritten.
    let file = folder.and_then(|()| fs::File::create_new(&path));
    match file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())) {
        Ok(()) => Ok(path),
        Err(source) => Err(HistoryError::Io { path, source }),
    }
}

fn allow(line: &str, current: &str, versions: &[String]) -> Result<(), HistoryError> {
    let older: Vec<(u32, &str)> = (1..).zip(versions.iter().map(String::as_str)).collect();
    let problems = check(Compatibility::FullTransitive, Rules::Meaning, current, &older);
    let problems = problems.map_err(|source| HistoryError::Schema { line: line.to_owned(), source })?;
    if problems.is_empty() {
        Ok(())
    } else {
        Err(HistoryError::Incompatible { line: line.to_owned(), problems })
    }
}

/// The published versions of one schema, oldest first.
fn read(folder: &Path) -> Result<Vec<String>, HistoryError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| HistoryError::Io { path, source }
    };
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<PathBuf> = entries.map_err(io(folder))?.into_iter().map(|e| e.path()).collect();
    files.sort();
    let mut versions = Vec::with_capacity(files.len());
    for path in files {
        if path.file_name().is_none_or(|name| *name != *file_name(versions.len() + 1)) {
            return Err(HistoryError::Stray { path });
        }
        versions.push(fs::read_to_string(&path).map_err(io(&path))?);
    }
    Ok(versions)
}

fn file_name(version: usize) -> String {
    format!("{version:04}.avsc")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const V1: &str = r#"{"name":"R","type":"record","fields":[{"name":"a","type":"string"}]}"#;
    const V2: &str = r#"{"name":"R","type":"record","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","int"],"default":null}]}"#;
    const BAD: &str = r#"{"name":"R","type":"record","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","string"],"default":null}]}"#;

    fn publish(dir: &Path, text: &str) -> Result<Option<PathBuf>, HistoryError> {
        next(dir, "r.v1", text)?.map(|path| write(path, text)).transpose()
    }

    #[test]
    fn publishes_what_is_new_and_compatible() {
        let dir = tempfile::tempdir().unwrap();
        assert!(publish(dir.path(), V1).unwrap().unwrap().ends_with("r.v1/0001.avsc"));
        assert_eq!(publish(dir.path(), V1).unwrap(), None, "it is published already");
        assert!(publish(dir.path(), V2).unwrap().unwrap().ends_with("r.v1/0002.avsc"));
        let error = publish(dir.path(), BAD).unwrap_err();
        assert_eq!(error.code(), "CON-0301");
        assert!(error.to_string().contains("b: int cannot be read as string"), "{error}");
        assert_eq!(read(&dir.path().join("r.v1")).unwrap(), [V1, V2], "nothing was written");
    }

    #[test]
    fn a_gap_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        publish(dir.path(), V1).unwrap();
        fs::rename(dir.path().join("r.v1/0001.avsc"), dir.path().join("r.v1/0002.avsc")).unwrap();
        assert_eq!(publish(dir.path(), V2).unwrap_err().code(), "CON-0303");
    }

    #[test]
    fn the_contracts_go_with_their_history() {
        verify(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/history")).unwrap();
    }

    #[test]
    fn an_unpublished_change_fails() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(verify(dir.path()).unwrap_err().code(), "CON-0302");
        assert_eq!(snapshot(dir.path()).unwrap().len(), 15);
        verify(dir.path()).unwrap();
        let invoice = dir.path().join("invoice.v1/0001.avsc");
        let text = fs::read_to_string(&invoice).unwrap();
        fs::write(&invoice, text.replace(r#""timestamp-micros""#, r#""timestamp-millis""#)).unwrap();
        let error = verify(dir.path()).unwrap_err();
        assert_eq!(error.code(), "CON-0301");
        assert!(
            error.to_string().contains("data.paid_at: timestamp-millis would be taken for timestamp-micros"),
            "{error}"
        );
        assert!(error.to_string().contains("envelope.occurred_at"), "{error}");
    }
}
