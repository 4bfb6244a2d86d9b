//! Temporary directories that go away with the test process.

use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::Watchdog;

/// The process that writes in the directory is killed at the same moment by its own watchdog; a file it made
/// between listing and removal makes `rm` fail once.
const REMOVE: &str =
    r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && exit 0; sleep 0.2; done"#;

/// A temporary directory, removed on drop and also when the process ends without dropping it (a `static`, a kill).
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    _watchdog: Watchdog,
}

impl Scratch {
    /// Creates an empty directory.
    ///
    /// # Errors
    /// When the directory cannot be created or no shell can be started.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("counterfoil-")
            .tempdir()
            .context("cannot create a temporary directory")?;
        let watchdog = Watchdog::arm(REMOVE, &[dir.path().as_os_str()])?;
        Ok(Self { dir, _watchdog: watchdog })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_gone_after_drop() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_path_buf();
        std::fs::write(path.join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
