//! A check without the machine that the configuration is for.

use std::{io, path::Path};

use secrecy::zeroize::Zeroizing;

use crate::secret::SecretSource;

/// Resolves nothing: references are only looked at, and variables have their defaults. For checks on a machine that must not
/// know the secrets. A set that was loaded so delivers nothing and lets nobody in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl SecretSource for Offline {
    fn variable(&self, _: &str) -> Option<Zeroizing<String>> {
        None
    }

    fn file(&self, _: &Path) -> io::Result<Zeroizing<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn is_offline(&self) -> bool {
        true
    }
}
