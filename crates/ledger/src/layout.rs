//! What lies in the ledger's folder: a folder for each bucket of time, and the list of them. Do not change: folders of
//! older versions must be read; a golden test holds the names.
//!
//! ```text
//! buckets                  the list, oldest first
//! sled                     the only folder of the first version; if it is there, the oldest bucket
//! sled-1764000000000       a bucket on sled that began at that millisecond
//! redb-1766000000000       one on redb
//! redb-….expired           what is being deleted
//! damaged-1                what was set aside
//! ```

use std::{
    fmt,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use tracing::warn;

use crate::{LedgerError, StoreKind};

/// The list's file.
const LIST: &str = "buckets";
/// Its first line.
const HEADER: &str = "counterfoil ledger 1";
/// What stands before a bucket that is being created, in the last line.
const BEGINNING: &str = "beginning ";
/// The ending of a folder that is being deleted.
const EXPIRED: &str = ".expired";

/// The name of a bucket: its store and the millisecond at which it began, 0 for the first version's only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) kind: StoreKind,
    pub(crate) start: i64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            StoreKind::Sled => "sled",
            StoreKind::Redb => "redb",
        };
        if self.start == 0 { f.write_str(kind) } else { write!(f, "{kind}-{}", self.start) }
    }
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let (kind, start) = match name.split_once('-') {
            Some((kind, start)) => (kind, start.parse().ok().filter(|start| *start > 0)?),
            None => (name, 0),
        };
        let kind = match kind {
            "sled" => StoreKind::Sled,
            "redb" => StoreKind::Redb,
            _ => return None,
        };
        Some(Self { kind, start })
    }
}

/// What is in the folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing yet.
    Nothing,
    /// These buckets, oldest first.
    Buckets(Vec<Name>),
    /// Buckets are missing, and what they held is not known.
    Damaged(String),
}

/// The ledger's folder.
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(dir).map_err(LedgerError::Folder)?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(crate) fn path(&self, name: Name) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Looks around; finishes deletions that a crash cut off.
    pub(crate) fn read(&self) -> Result<Found, LedgerError> {
        let mut present = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(LedgerError::Folder)? {
            let entry = entry.map_err(LedgerError::Folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(EXPIRED) {
                fs::remove_dir_all(entry.path()).map_err(LedgerError::Folder)?;
            } else if let Some(name) = Name::parse(&name) {
                present.push(name);
            }
        }
        let list = match fs::read_to_string(self.dir.join(LIST)) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(match present.as_slice() {
                    [] => Found::Nothing,
                    [Name { kind: StoreKind::Sled, start: 0 }] => Found::Buckets(present),
                    _ => Found::Damaged(format!("the list `{LIST}` is gone")),
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => String::new(),
            Err(error) => return Err(LedgerError::Folder(error)),
        };
        let Some((names, beginning)) = parse_list(&list) else {
            return Ok(Found::Damaged(format!("the list `{LIST}` cannot be read")));
        };
        if let Some(name) = beginning
            && let Some(at) = present.iter().position(|found| *found == name)
        {
            // Nothing was ever written to it.
            fs::remove_dir_all(self.path(name)).map_err(LedgerError::Folder)?;
            present.remove(at);
        }
        if let Some(missing) = names.iter().find(|name| !present.contains(name)) {
            return Ok(Found::Damaged(format!("the folder `{missing}` is gone")));
        }
        present.retain(|name| !names.contains(name));
        if !present.is_empty() {
            // An older list was put back over newer folders: what they held comes again from the changelog.
            let aside = self.aside(&present)?;
            warn!(aside = %aside.display(), "ledger has folders that are not in its list, setting them aside");
        }
        Ok(if names.is_empty() { Found::Nothing } else { Found::Buckets(names) })
    }

    /// Writes the list, with the bucket that is going to be created: the old list or the new one is there after a
    /// crash, whole.
    pub(crate) fn write(&self, names: &[Name], beginning: Option<Name>) -> Result<(), LedgerError> {
        let mut text = format!("{HEADER}\n");
        names.iter().for_each(|name| text.push_str(&format!("{name}\n")));
        beginning.iter().for_each(|name| text.push_str(&format!("{BEGINNING}{name}\n")));
        let new = self.dir.join(format!("{LIST}.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, self.dir.join(LIST))?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(LedgerError::Folder)
    }

    /// Moves everything to a folder that is left alone from then on. The list goes first: without it, a crash in
    /// between is met as damage again.
    pub(crate) fn set_aside(&self) -> Result<PathBuf, LedgerError> {
        let aside = self.free_name()?;
        let list = self.dir.join(LIST);
        if list.exists() {
            fs::rename(&list, aside.join(LIST)).map_err(LedgerError::Folder)?;
        }
        for entry in fs::read_dir(&self.dir).map_err(LedgerError::Folder)? {
            let entry = entry.map_err(LedgerError::Folder)?;
            if Name::parse(&entry.file_name().to_string_lossy()).is_some() {
                fs::rename(entry.path(), aside.join(entry.file_name())).map_err(LedgerError::Folder)?;
            }
        }
        Ok(aside)
    }

    /// Deletes a bucket that is no longer in the list.
    pub(crate) fn remove(&self, name: Name) -> Result<(), LedgerError> {
        let expired = self.dir.join(format!("{name}{EXPIRED}"));
        fs::rename(self.path(name), &expired).map_err(LedgerError::Folder)?;
        fs::remove_dir_all(&expired).map_err(LedgerError::Folder)
    }

    /// Makes what was written to a bucket's files survive a power cut, which the store's own sync may not.
    pub(crate) fn harden(&self, name: Name) -> Result<(), LedgerError> {
        let path = self.path(name);
        let sync = || {
            for entry in fs::read_dir(&path)? {
                File::open(entry?.path())?.sync_all()?;
            }
            File::open(&path)?.sync_all()
        };
        sync().map_err(LedgerError::Folder)
    }

    fn aside(&self, names: &[Name]) -> Result<PathBuf, LedgerError> {
        let aside = self.free_name()?;
        for name in names {
            fs::rename(self.path(*name), aside.join(name.to_string())).map_err(LedgerError::Folder)?;
        }
        Ok(aside)
    }

    fn free_name(&self) -> Result<PathBuf, LedgerError> {
        let mut number = 1;
        loop {
            let path = self.dir.join(format!("damaged-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(LedgerError::Folder(error)),
            }
        }
    }
}

fn parse_list(text: &str) -> Option<(Vec<Name>, Option<Name>)> {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() || lines.remove(0) != HEADER {
        return None;
    }
    let beginning = match lines.last().and_then(|line| line.strip_prefix(BEGINNING)) {
        Some(name) => {
            lines.pop();
            Some(Name::parse(name)?)
        }
        None => None,
    };
    let names: Vec<Name> = lines.into_iter().map(Name::parse).collect::<Option<_>>()?;
    (!names.is_empty() || beginning.is_some()).then_some((names, beginning))
}
