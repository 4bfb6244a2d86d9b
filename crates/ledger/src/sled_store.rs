//! The store on sled 0.34.

use std::{ops::Bound, path::Path, sync::Arc};

use ahash::AHashMap;
use parking_lot::RwLock;

use crate::{
    Change, LedgerError, OpenError, Store,
    store::{POSITION, TRIES, WAIT, catching, decode_position},
};

/// What every database of sled's has.
const FILES: [&str; 2] = ["conf", "db"];

/// A ledger store on sled: one tree for each space.
///
/// sled's `flush` survives a killed process, not a lost machine: it syncs the file's range, not the disk's cache.
/// That is all the ledger asks of it, since the changelog topic holds the truth.
pub struct SledStore {
    db: sled::Db,
    trees: RwLock<AHashMap<Arc<str>, sled::Tree>>,
}

impl SledStore {
    /// Opens the store in the folder `path`, with `cache_bytes` of memory for pages, and reads all of it once: sled
    /// meets damage only where it reads. With `present`, files that are missing are damage.
    pub fn open(path: &Path, cache_bytes: u64, present: bool) -> Result<Self, OpenError> {
        if present && let Some(missing) = FILES.iter().find(|file| !path.join(file).exists()) {
            return Err(OpenError::Damaged(format!("its file `{missing}` is gone")));
        }
        catching(|| {
            let db = open_db(path, cache_bytes).map_err(opening)?;
            for name in db.tree_names() {
                for pair in &db.open_tree(name).map_err(opening)? {
                    pair.map_err(opening)?;
                }
            }
            Ok(Self { db, trees: RwLock::new(AHashMap::new()) })
        })
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
        self.tree(space)?.get(POSITION)?.map(|bytes| decode_position(&bytes)).transpose()
    }

    fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
        self.tree(space)?.clear()?;
        self.sync()
    }

    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError> {
        let tree = self.tree(space)?;
        Ok(tree.len() - usize::from(tree.contains_key(POSITION)?))
    }

    fn scan(&self, space: &Arc<str>, after: &[u8], limit: usize) -> Result<Vec<Change>, LedgerError> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let mut found = Vec::new();
        for pair in self.tree(space)?.range::<&[u8], _>(behind) {
            let (key, value) = pair?;
            if found.len() == limit {
                break;
            }
            if key != POSITION {
                found.push((key.to_vec(), value.to_vec()));
            }
        }
        Ok(found)
    }

    fn spaces(&self) -> Result<Vec<Arc<str>>, LedgerError> {
        let own = self.db.name();
        let names = self.db.tree_names().into_iter().filter(|name| *name != own);
        Ok(names.map(|name| Arc::from(&*String::from_utf8_lossy(&name))).collect())
    }
}

fn open_db(path: &Path, cache_bytes: u64) -> Result<sled::Db, sled::Error> {
    let config = sled::Config::new().path(path).cache_capacity(cache_bytes).mode(sled::Mode::HighThroughput);
    for _ in 1..TRIES {
        match config.open() {
            // The lock's error has no kind of its own.
            Err(sled::Error::Io(error)) if error.kind() == std::io::ErrorKind::Other => {
                std::thread::sleep(WAIT);
            }
            opened => return opened,
        }
    }
    config.open()
}

/// An error of the system is no damage: another process may hold the files, and setting them aside would take them
/// from their owner. A file that ends too early is.
fn opening(error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            OpenError::Failed(LedgerError::store(error))
        }
        error => OpenError::Damaged(error.to_string()),
    }
}
