//! The local store in buckets of time: changes go to the newest, reads look from the newest to the oldest, and what is
//! older than the horizon goes as a whole folder. Removing keys one by one would not give the space back.

use std::{path::Path, sync::Arc};

use parking_lot::{Mutex, MutexGuard, RwLock};
use tracing::{info, warn};

use crate::{
    Change, LedgerError, LedgerOptions, OpenError, Opened, Store, StoreKind,
    layout::{Found, Layout, Name},
};

/// A horizon is this many buckets long; one more is being filled.
const BUCKETS: i64 = 4;
/// What the cache is divided by: so many buckets are there at most, and one that is just beginning.
const SHARES: u64 = BUCKETS as u64 + 2;
/// The space of a bucket's last change, which names its successor: sled may open damaged files as an older state without
/// a word, and the position in a newer bucket would vouch for what is lost. Do not change.
const SEAL: &str = "sealed";
/// The narrowest bucket.
const MIN_WIDTH_MS: i64 = 1_000;

/// Opens a bucket's store in its folder; the flag says that it must have been written before.
pub(crate) type Opener = Box<dyn Fn(Name, &Path, bool) -> Result<Arc<dyn Store>, OpenError> + Send + Sync>;

pub(crate) struct Bucket {
    pub(crate) name: Name,
    pub(crate) store: Arc<dyn Store>,
}

/// The buckets, as one store.
pub(crate) struct Buckets {
    pub(crate) layout: Layout,
    kind: StoreKind,
    pub(crate) horizon_ms: i64,
    opener: Opener,
    /// Oldest first. Never empty.
    pub(crate) list: RwLock<Vec<Bucket>>,
    /// Held by whoever reads a value to decide on the next one.
    writing: Mutex<()>,
    /// One expiry at a time.
    pub(crate) expiring: Mutex<()>,
}

impl Buckets {
    /// Opens the buckets in the folder of `options`. If one is damaged, all are set aside: the position in the newest
    /// would vouch for what is lost.
    pub(crate) fn open(options: &LedgerOptions, now_ms: i64) -> Result<(Self, Opened), LedgerError> {
        let cache = options.cache_bytes / SHARES;
        let opener = Box::new(move |name: Name, path: &Path, present| name.kind.open(path, cache, present));
        Self::open_with(options, now_ms, opener)
    }

    pub(crate) fn open_with(
        options: &LedgerOptions,
        now_ms: i64,
        opener: Opener,
    ) -> Result<(Self, Opened), LedgerError> {
        let layout = Layout::new(&options.dir)?;
        let found = match layout.read()? {
            Found::Nothing => Ok(Vec::new()),
            Found::Damaged(reason) => Err(reason),
            Found::Buckets(names) => match open_all(&layout, &opener, &names) {
                Ok(list) => Ok(list),
                Err(OpenError::Failed(error)) => return Err(error),
                Err(OpenError::Damaged(reason)) => Err(reason),
            },
        };
        let (list, opened) = match found {
            Ok(list) => (list, Opened::Fine),
            Err(reason) => {
                let aside = layout.set_aside()?;
                warn!(reason, aside = %aside.display(), "ledger store is damaged, setting it aside");
                (Vec::new(), Opened::SetAside(aside))
            }
        };
        let buckets = Self {
            layout,
            kind: options.store,
            horizon_ms: options.horizon.as_millis().min(i64::MAX as u128) as i64,
            opener,
            list: RwLock::new(list),
            writing: Mutex::new(()),
            expiring: Mutex::new(()),
        };
        let newest = buckets.list.read().last().map(|bucket| bucket.name);
        match newest {
            Some(name) if name.kind == buckets.kind => buckets.layout.write(&buckets.names(), None)?,
            // Nothing there, or on another store than is wanted now.
            _ => buckets.begin(now_ms)?,
        }
        Ok((buckets, opened))
    }

    /// Keeps everybody else from changing anything.
    pub(crate) fn exclusive(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// How long a bucket is filled.
    pub(crate) fn width_ms(&self) -> i64 {
        (self.horizon_ms / BUCKETS).max(MIN_WIDTH_MS)
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        self.list.read().iter().map(|bucket| bucket.name).collect()
    }

    /// Begins a new bucket. What the last one holds must be safe before: the next position will vouch for it.
    pub(crate) fn begin(&self, now_ms: i64) -> Result<(), LedgerError> {
        let _nobody_writes = self.exclusive();
        let mut names = self.names();
        let mut start = now_ms.max(1);
        if let Some(last) = names.last() {
            // A clock that was set back must not bring a name twice, or buckets out of order.
            start = start.max(last.start + 1);
            let newest = self.newest();
            newest.apply(&Arc::from(SEAL), vec![(SEAL.into(), start.to_be_bytes().to_vec())], None)?;
            newest.sync()?;
            self.layout.harden(*last)?;
        }
        let name = Name { kind: self.kind, start };
        let path = self.layout.path(name);
        self.layout.write(&names, Some(name))?;
        let store = self.create(name, &path, &mut names).inspect_err(|_| {
            std::fs::remove_dir_all(&path).ok(); // or else it is set aside at the next start
        })?;
        self.list.write().push(Bucket { name, store });
        info!(bucket = %name, "ledger begins a new bucket");
        Ok(())
    }

    fn create(&self, name: Name, path: &Path, names: &mut Vec<Name>) -> Result<Arc<dyn Store>, LedgerError> {
        std::fs::create_dir_all(path).map_err(LedgerError::Folder)?;
        let store = (self.opener)(name, path, false).map_err(|error| match error {
            OpenError::Failed(error) => error,
            OpenError::Damaged(reason) => LedgerError::store(reason),
        })?;
        names.push(name);
        self.layout.write(names, None)?;
        Ok(store)
    }

    /// The bucket that changes go to.
    pub(crate) fn newest(&self) -> Arc<dyn Store> {
        let list = self.list.read();
        // Never empty; the first one stands in for a proof that the compiler would take.
        Arc::clone(&list[list.len() - 1].store)
    }

    /// What the newest bucket that knows anything says.
    fn find<T>(
        &self,
        ask: impl Fn(&dyn Store) -> Result<Option<T>, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        for bucket in self.list.read().iter().rev() {
            if let Some(found) = ask(&*bucket.store)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn open_all(layout: &Layout, opener: &Opener, names: &[Name]) -> Result<Vec<Bucket>, OpenError> {
    let open = |name: &Name| Ok(Bucket { name: *name, store: opener(*name, &layout.path(*name), true)? });
    let list: Vec<Bucket> = names.iter().map(open).collect::<Result<_, OpenError>>()?;
    for pair in list.windows(2) {
        let (bucket, next) = (&pair[0], pair[1].name.start);
        if bucket.store.get(&Arc::from(SEAL), SEAL.as_bytes())? != Some(next.to_be_bytes().to_vec()) {
            return Err(OpenError::Damaged(format!("bucket `{}` lacks what was written last", bucket.name)));
        }
    }
    Ok(list)
}

impl Store for Buckets {
    fn get(&self, space: &Arc<str>, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        self.find(|store| store.get(space, key))
    }

    fn apply(
        &self,
        space: &Arc<str>,
        changes: Vec<Change>,
        position: Option<i64>,
    ) -> Result<(), LedgerError> {
        self.newest().apply(space, changes, position)
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.newest().sync()
    }

    fn position(&self, space: &Arc<str>) -> Result<Option<i64>, LedgerError> {
        self.find(|store| store.position(space))
    }

    /// The newest first: as long as an older bucket is left, its position is no newer than what is left.
    fn clear(&self, space: &Arc<str>) -> Result<(), LedgerError> {
        self.list.read().iter().rev().try_for_each(|bucket| bucket.store.clear(space))
    }

    fn len(&self, space: &Arc<str>) -> Result<usize, LedgerError> {
        let (mut after, mut count) = (Vec::new(), 0);
        loop {
            let page = self.scan(space, &after, 4_096)?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after.clone_from(last);
            count += page.len();
        }
    }

    fn scan(&self, space: &Arc<str>, after: &[u8], limit: usize) -> Result<Vec<Change>, LedgerError> {
        let mut found = std::collections::BTreeMap::new();
        // Behind the end of a full page its bucket may have keys that others do not.
        let mut known_to: Option<Vec<u8>> = None;
        for bucket in self.list.read().iter() {
            let page = bucket.store.scan(space, after, limit)?;
            if page.len() == limit
                && let Some((last, _)) = page.last()
                && known_to.as_ref().is_none_or(|known| last < known)
            {
                known_to = Some(last.clone());
            }
            found.extend(page);
        }
        let known = |key: &Vec<u8>| known_to.as_ref().is_none_or(|end| key <= end);
        Ok(found.into_iter().filter(|(key, _)| known(key)).take(limit).collect())
    }

    fn spaces(&self) -> Result<Vec<Arc<str>>, LedgerError> {
        let mut spaces = Vec::new();
        for bucket in self.list.read().iter() {
            spaces.extend(bucket.store.spaces()?);
        }
        spaces.retain(|space: &Arc<str>| &**space != SEAL);
        spaces.sort_unstable();
        spaces.dedup();
        Ok(spaces)
    }
}
