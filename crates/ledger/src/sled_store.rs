//! The store on sled 0.34.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ahash::AHashMap;
use parking_lot::RwLock;
use tracing::warn;

use crate::{Change, LedgerError, Store};

/// The key of the changelog position; no posting or version key has length 1.
const POSITION: &[u8] = b"p";
/// The database's folder below the ledger's.
const FOLDER: &str = "sled";

/// A ledger store on sled: one tree for each space.
///
/// sled's `flush` survives a killed process, not a lost machine: it syncs the file's range, not the disk's cache.
/// That is all the ledger asks of it, since the changelog topic holds the truth.
pub struct SledStore {
    db: sled::Db,
    trees: RwLock<AHashMap<Arc<str>, sled::Tree>>,
}

/// What opening found.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// The store was there or is new.
    Fine,
    /// A damaged store was moved here; the new one is empty and must be restored from the changelog.
    SetAside(PathBuf),
}

impl SledStore {
    /// Opens the store in `dir`, with `cache_bytes` of memory for pages. A store that does not open is set aside.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<(Self, Opened), LedgerError> {
        let path = dir.join(FOLDER);
        std::fs::create_dir_all(dir).map_err(LedgerError::Folder)?;
        match open_db(&path, cache_bytes) {
            Ok(db) => Ok((Self::new(db), Opened::Fine)),
            // Held by another process: that is no damage, and setting it aside would take it from its owner.
            Err(error @ sled::Error::Io(_)) => Err(error.into()),
            Err(error) => {
                let aside = free_name(dir);
                warn!(%error, aside = %aside.display(), "ledger store is damaged, setting it aside");
                std::fs::rename(&path, &aside).map_err(LedgerError::Folder)?;
                Ok((Self::new(open_db(&path, cache_bytes)?), Opened::SetAside(aside)))
            }
        }
    }

    fn new(db: sled::Db) -> Self {
        Self { db, trees: RwLock::new(AHashMap::new()) }
    }

    fn tree(&self, space: &Arc<str>) -> Result<sled::Tree, LedgerError> {
        if let Some(tree) = self.trees.read().get(space) {
            return Ok(tree.clone());
        }
        let tree = self.db.open_tree(space.as_bytes())?;
        self.trees.write().insert(Arc::clone(space), tree.clone());
        Ok(tree)
    }
}

impl Store for SledStore {
    fn get(&self, space: &Arc<str>, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.tree(space)?.get(key)?.map(|v| v.to_vec()))
    }

    fn apply(
        &self,
        space: &Arc<str>,
        changes: Vec<Change>,
        position: Option<i64>,
    ) -> Result<(), LedgerError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            batch.insert(key, value);
        }
        if let Some(position) = position {
            batch.insert(POSITION, &position.to_be_bytes());
        }
        Ok(self.tree(space)?.apply_batch(batch)?)
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.db.flush()?;
        Ok(())
    }

    fn position(&self, space: &Arc<str>) -> Result<Option<i64>, LedgerError> {
        let Some(bytes) = self.tree(space)?.get(POSITION)? else { return Ok(None) };
        let bytes = bytes.as_ref().try_into().map_err(|_| LedgerError::Record("the position is damaged"))?;
        Ok(Some(i64::from_be_bytes(bytes)))
    }

    fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
        self.tree(space)?.clear()?;
        self.sync()
    }

    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError> {
        Ok(self.tree(space)?.len())
    }
}

fn open_db(path: &Path, cache_bytes: u64) -> Result<sled::Db, sled::Error> {
    sled::Config::new().path(path).cache_capacity(cache_bytes).mode(sled::Mode::HighThroughput).open()
}

fn free_name(dir: &Path) -> PathBuf {
    let mut number = 1;
    loop {
        let path = dir.join(format!("{FOLDER}.damaged-{number}"));
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}
