//! The store on redb 4.

use std::{collections::BTreeMap, ops::Bound, path::Path, sync::Arc};

use parking_lot::{Mutex, RwLock};
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, StorageBackend, StorageError,
    TableDefinition, TableError, TableHandle as _,
};

use crate::{
    Change, LedgerError, OpenError, Store,
    store::{POSITION, TRIES, WAIT, catching, decode_position},
};

/// The database in the store's folder.
const FILE: &str = "ledger.redb";
/// Changes that wait for the next sync; more of them are written without one being asked for.
const MAX_WAITING: usize = 8_192;

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;
type Spaces = BTreeMap<Arc<str>, Keys>;
type Opener = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// A ledger store on redb: one table for each space.
///
/// What is applied waits in memory, where reads see it, until a sync writes all of it in one transaction: one fsync for
/// a group of changes. After an error of the disk redb wants to be opened anew; what waits is kept until it is written.
pub struct RedbStore {
    /// None while it cannot be opened again.
    db: RwLock<Option<Database>>,
    opener: Opener,
    waiting: RwLock<Waiting>,
    /// One sync at a time.
    syncing: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    /// Applied since the last sync began.
    fresh: Spaces,
    /// What a sync is writing, or could not write.
    leaving: Spaces,
}

impl RedbStore {
    /// Opens the store in the folder `path`, with `cache_bytes` of memory for pages, and checks all of its checksums.
    /// With `present`, a file that is missing is damage.
    pub fn open(path: &Path, cache_bytes: u64, present: bool) -> Result<Self, OpenError> {
        let file = path.join(FILE);
        if present && std::fs::metadata(&file).map_or(true, |found| found.len() == 0) {
            return Err(OpenError::Damaged(format!("its file `{FILE}` is gone or empty")));
        }
        let cache = cache_bytes as usize;
        Self::with(Box::new(move || {
            let mut builder = Database::builder();
            builder.set_cache_size(cache).set_check_integrity_on_open(true);
            catching(|| patiently(|| builder.create(&file)).map_err(opening))
        }))
    }

    /// A store on another kind of storage, which `backend` opens: for tests, which let it fail.
    pub fn on<B: StorageBackend>(backend: impl Fn() -> B + Send + Sync + 'static) -> Result<Self, OpenError> {
        Self::with(Box::new(move || {
            let mut builder = Database::builder();
            builder.set_cache_size(1 << 20).set_check_integrity_on_open(true);
            catching(|| builder.create_with_backend(backend()).map_err(opening))
        }))
    }

    fn with(opener: Opener) -> Result<Self, OpenError> {
        let db = opener()?;
        Ok(Self { db: RwLock::new(Some(db)), opener, waiting: RwLock::default(), syncing: Mutex::new(()) })
    }

    /// Does `work`; after an error of the storage the database is opened anew, for the next try.
    fn with_db<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, LedgerError> {
        let failed = match &*self.db.read() {
            None => None,
            Some(db) => match work(db) {
                Ok(done) => return Ok(done),
                Err(error) => Some(error),
            },
        };
        self.reopen()?;
        Err(failed.map_or_else(
            || LedgerError::store("it was closed by an error, and is open again"),
            LedgerError::store,
        ))
    }

    fn reopen(&self) -> Result<(), LedgerError> {
        let mut db = self.db.write();
        // Closed first: it holds the file's lock.
        drop(db.take());
        match (self.opener)() {
            Ok(open) => *db = Some(open),
            Err(OpenError::Failed(error)) => return Err(error),
            Err(OpenError::Damaged(reason)) => return Err(LedgerError::store(reason)),
        }
        Ok(())
    }

    fn read<T>(
        &self,
        space: &Arc<str>,
        work: impl FnOnce(&ReadOnlyTable<&[u8], &[u8]>) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, LedgerError> {
        self.with_db(|db| match db.begin_read()?.open_table(table(space)) {
            Ok(table) => work(&table).map(Some),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    fn insert(&self, space: &Arc<str>, changes: impl Iterator<Item = Change>) -> usize {
        let mut waiting = self.waiting.write();
        waiting.fresh.entry(Arc::clone(space)).or_default().extend(changes);
        waiting.fresh.values().chain(waiting.leaving.values()).map(BTreeMap::len).sum()
    }
}

impl Store for RedbStore {
    fn get(&self, space: &Arc<str>, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        {
            let waiting = self.waiting.read();
            let of = |spaces: &Spaces| spaces.get(space).and_then(|keys| keys.get(key)).cloned();
            if let Some(value) = of(&waiting.fresh).or_else(|| of(&waiting.leaving)) {
                return Ok(Some(value));
            }
        }
        let found = self.read(space, |table| Ok(table.get(key)?.map(|value| value.value().to_vec())))?;
        Ok(found.flatten())
    }

    fn apply(
        &self,
        space: &Arc<str>,
        changes: Vec<Change>,
        position: Option<i64>,
    ) -> Result<(), LedgerError> {
        let position = position.map(|position| (POSITION.to_vec(), position.to_be_bytes().to_vec()));
        let waiting = self.insert(space, changes.into_iter().chain(position));
        if waiting > MAX_WAITING { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> Result<(), LedgerError> {
        let _one = self.syncing.lock();
        let leaving = {
            let mut waiting = self.waiting.write();
            let fresh = std::mem::take(&mut waiting.fresh);
            for (space, keys) in fresh {
                waiting.leaving.entry(space).or_default().extend(keys);
            }
            waiting.leaving.clone()
        };
        if leaving.is_empty() {
            return Ok(());
        }
        self.with_db(|db| {
            let transaction = db.begin_write()?;
            for (space, keys) in &leaving {
                let mut table = transaction.open_table(table(space))?;
                for (key, value) in keys {
                    table.insert(key.as_slice(), value.as_slice())?;
                }
            }
            Ok(transaction.commit()?)
        })?;
        self.waiting.write().leaving.clear();
        Ok(())
    }

    fn position(&self, space: &Arc<str>) -> Result<Option<i64>, LedgerError> {
        self.get(space, POSITION)?.map(|bytes| decode_position(&bytes)).transpose()
    }

    fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
        let _one = self.syncing.lock();
        {
            let mut waiting = self.waiting.write();
            waiting.fresh.remove(space);
            waiting.leaving.remove(space);
        }
        self.with_db(|db| {
            let transaction = db.begin_write()?;
            transaction.delete_table(table(space))?;
            Ok(transaction.commit()?)
        })
    }

    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError> {
        Ok(self.scan(space, &[], usize::MAX)?.len())
    }

    fn scan(&self, space: &Arc<str>, after: &[u8], limit: usize) -> Result<Vec<Change>, LedgerError> {
        // Looked at first: what leaves meanwhile is met in the table, at worst twice.
        let mut found = Keys::new();
        {
            let waiting = self.waiting.read();
            for spaces in [&waiting.leaving, &waiting.fresh] {
                let behind = (Bound::Excluded(after.to_vec()), Bound::Unbounded);
                let keys = spaces.get(space).into_iter().flat_map(|keys| keys.range(behind.clone()));
                found.extend(keys.map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        self.read(space, |table| {
            let behind = (Bound::Excluded(after), Bound::Unbounded);
            // One more than asked for: the position may be among them.
            for pair in table.range::<&[u8]>(behind)?.take(limit.saturating_add(1)) {
                let (key, value) = pair?;
                found.entry(key.value().to_vec()).or_insert_with(|| value.value().to_vec());
            }
            Ok(())
        })?;
        Ok(found.into_iter().filter(|(key, _)| key != POSITION).take(limit).collect())
    }

    fn spaces(&self) -> Result<Vec<Arc<str>>, LedgerError> {
        let mut names: Vec<Arc<str>> = {
            let waiting = self.waiting.read();
            waiting.fresh.keys().chain(waiting.leaving.keys()).cloned().collect()
        };
        names.extend(self.with_db(|db| {
            let transaction = db.begin_read()?;
            let tables = transaction.list_tables()?;
            Ok(tables.map(|table| Arc::from(table.name())).collect::<Vec<_>>())
        })?);
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// A handle that was dropped a moment ago may still be closing on a thread of its own.
fn patiently(open: impl Fn() -> Result<Database, DatabaseError>) -> Result<Database, DatabaseError> {
    for _ in 1..TRIES {
        match open() {
            Err(DatabaseError::DatabaseAlreadyOpen) => std::thread::sleep(WAIT),
            opened => return opened,
        }
    }
    open()
}

fn table(space: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(space)
}

/// Another process may hold the file, and setting it aside would take it from its owner; a file that ends too early or
/// is none of redb's is damage.
fn opening(error: DatabaseError) -> OpenError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        DatabaseError::Storage(StorageError::Io(error))
            if !matches!(error.kind(), InvalidData | UnexpectedEof) =>
        {
            OpenError::Failed(LedgerError::store(error))
        }
        error @ DatabaseError::DatabaseAlreadyOpen => OpenError::Failed(LedgerError::store(error)),
        error => OpenError::Damaged(error.to_string()),
    }
}
