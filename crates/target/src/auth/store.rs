//! Where refresh tokens are kept that take the place of one another.
//!
//! A system that gives a new refresh token with each access token forgets the old one. The new one is on disk before anything
//! is done with the access token: after a crash the next process finds it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    future::Future,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    time::{Duration, Instant},
};

use secrecy::{
    ExposeSecret as _, SecretString,
    zeroize::{Zeroize as _, Zeroizing},
};
use serde::{Deserialize, Serialize};

/// The longest wait for another process that is at the same token.
const LOCK_WAIT: Duration = Duration::from_secs(20);
/// How often it is looked whether that process is done.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// A future of a store.
pub type Stored<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Where refresh tokens are kept.
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Takes hold of what is kept of a connection. Until it is dropped nobody else does, in any process that shares the store.
    fn hold<'a>(&'a self, tenant: &'a str, connection: &'a str) -> Stored<'a, Box<dyn Held>>;
}

/// What is kept of a connection, held.
pub trait Held: Send {
    /// What was kept last.
    fn kept(&mut self) -> Stored<'_, Option<Kept>>;

    /// Keeps another one. When it returns, a crash does not undo it.
    fn keep<'a>(&'a mut self, kept: &'a Kept) -> Stored<'a, ()>;
}

/// A refresh token.
#[derive(Clone, Debug)]
pub struct Kept {
    /// SHA-256, in hexadecimal, of the configured refresh token that it comes of: with another one configured it does not count
    /// any more.
    pub seed: String,
    /// The token.
    pub token: SecretString,
}

/// Refresh tokens as files `<folder>/<tenant>/<connection>.json`, readable by their owner alone.
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// A store in `folder`, which is made when it is needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl TokenStore for FileStore {
    fn hold<'a>(&'a self, tenant: &'a str, connection: &'a str) -> Stored<'a, Box<dyn Held>> {
        Box::pin(async move {
            if [tenant, connection].iter().any(|name| !is_name(name)) {
                let what = format!("`{tenant}/{connection}` cannot be the name of a file");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let folder = self.folder.join(tenant);
            let name = connection.to_owned();
            let held = tokio::task::spawn_blocking(move || HeldFile::take(&folder, &name)).await;
            Ok(Box::new(held.map_err(io::Error::other)??) as Box<dyn Held>)
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    seed: String,
    refresh_token: String,
}

impl Drop for Document {
    fn drop(&mut self) {
        self.refresh_token.zeroize();
    }
}

/// A file, and the lock that says that it is ours.
struct HeldFile {
    folder: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl HeldFile {
    /// The lock is a file of its own: the token's file is another one after each change.
    fn take(folder: &Path, name: &str) -> io::Result<Self> {
        make(folder)?;
        let lock =
            private(OpenOptions::new().create(true).truncate(false), &folder.join(format!("{name}.lock")))?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::Error(error)) => return Err(error),
                Err(fs::TryLockError::WouldBlock) if Instant::now() > until => {
                    let what = format!("another process holds {}/{name}.lock", folder.display());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
                Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            }
        }
        let path = folder.join(format!("{name}.json"));
        Ok(Self { folder: folder.to_owned(), path, _lock: lock })
    }
}

impl Held for HeldFile {
    fn kept(&mut self) -> Stored<'_, Option<Kept>> {
        let path = self.path.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || read(&path)).await;
            read.map_err(io::Error::other)?
        })
    }

    fn keep<'a>(&'a mut self, kept: &'a Kept) -> Stored<'a, ()> {
        let (folder, path, kept) = (self.folder.clone(), self.path.clone(), kept.clone());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || write(&folder, &path, &kept)).await;
            written.map_err(io::Error::other)?
        })
    }
}

/// A folder that a crash does not take away again.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.read(true).write(true).mode(0o600).open(path)
}

fn read(path: &Path) -> io::Result<Option<Kept>> {
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // What it holds is not for any message.
    let broken =
        || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no credentials file", path.display()));
    if size > MAX_FILE {
        return Err(broken());
    }
    let text = Zeroizing::new(fs::read(path)?);
    let document: Document = serde_json::from_slice(&text).map_err(|_| broken())?;
    if document.version != 1 {
        return Err(broken());
    }
    let token = SecretString::from(document.refresh_token.as_str());
    Ok(Some(Kept { seed: document.seed.clone(), token }))
}

/// Beside, then over: whoever reads finds the old one or the new one, whole.
fn write(folder: &Path, path: &Path, kept: &Kept) -> io::Result<()> {
    let document = Document {
        version: 1,
        seed: kept.seed.clone(),
        refresh_token: kept.token.expose_secret().to_owned(),
    };
    let text = Zeroizing::new(serde_json::to_vec(&document).map_err(io::Error::other)?);
    let beside = path.with_extension("json.new");
    let mut file = private(OpenOptions::new().create(true).truncate(true), &beside)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}
