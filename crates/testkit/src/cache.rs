//! Where installed things are kept between test runs, and who may install them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The directory of the workspace's root `Cargo.toml`.
pub fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// The directory that holds what the kit installs: `COUNTERFOIL_TEST_CACHE`, else `target/testkit` in the workspace.
pub fn cache_dir() -> PathBuf {
    match std::env::var_os("COUNTERFOIL_TEST_CACHE") {
        Some(dir) => PathBuf::from(dir),
        None => workspace_root().join("target").join("testkit"),
    }
}

/// Returns `<cache>/<name>`, calling `install` with an empty directory to fill if it is not there yet.
///
/// Concurrent test binaries wait for the one that installs. An install that was cut short leaves no directory of
/// that name, so it is tried again.
pub(crate) fn installed(
    name: &str,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = cache_dir();
    let place = cache.join(name);
    fs::create_dir_all(&cache)
        .with_context(|| format!("cannot create the test cache {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{name}.lock"))).context("cannot create an install lock")?;
    lock.lock().context("cannot take an install lock")?;
    if place.exists() {
        return Ok(place);
    }
    let partial = cache.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).context("cannot remove an install that was cut short")?;
    }
    fs::create_dir(&partial).context("cannot create an install directory")?;
    install(&partial)?;
    fs::rename(&partial, &place).context("cannot put an install into place")?;
    Ok(place)
}
