//! What was asked of secrets, and whether the answers are still the same.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use crate::{
    revision::{Files, hash_of},
    secret::SecretSource,
};

type Hash = [u8; 32];

#[derive(Debug)]
enum Reference {
    Variable(String),
    File(PathBuf),
}

/// The references that were resolved, each with a hash of what it led to.
#[derive(Debug, Default)]
pub struct Watch(Vec<(Reference, Hash)>);

impl Watch {
    /// Whether some reference leads to something else now. Nothing but the references is read.
    pub fn has_changed(&self, source: &dyn SecretSource) -> bool {
        self.0.iter().any(|(reference, before)| {
            let now = match reference {
                Reference::Variable(name) => of(source.variable(name).as_ref()),
                Reference::File(path) => of(source.file(path).ok().as_ref()),
            };
            now != *before
        })
    }

    /// The same as long as all answers are.
    pub(crate) fn digest(&self) -> Hash {
        let mut hash = Sha256::new();
        for (reference, answer) in &self.0 {
            let name = match reference {
                Reference::Variable(name) => name.as_bytes(),
                Reference::File(path) => path.as_os_str().as_encoded_bytes(),
            };
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
            hash.update(answer);
        }
        hash.finalize().into()
    }
}

/// Nothing is hashed as no secret can be.
fn of(answer: Option<&Zeroizing<String>>) -> Hash {
    answer.map_or([0; 32], |text| Sha256::digest(text.as_bytes()).into())
}

/// Passes questions on, and keeps what was answered, hashed.
pub(crate) struct Asked<'a> {
    source: &'a dyn SecretSource,
    watch: Mutex<Watch>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(source: &'a dyn SecretSource) -> Self {
        Self { source, watch: Mutex::default() }
    }

    pub(crate) fn finish(self) -> Watch {
        self.watch.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Tenant::print`](crate::Tenant::print).
    pub(crate) fn print(self, files: &Files) -> Hash {
        let mut hash = Sha256::new();
        hash.update([u8::from(self.is_offline())]);
        hash.update(hash_of(files));
        hash.update(self.finish().digest());
        hash.finalize().into()
    }

    fn note(&self, reference: Reference, answer: Option<&Zeroizing<String>>) {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).0.push((reference, of(answer)));
    }
}

impl SecretSource for Asked<'_> {
    fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        let value = self.source.variable(name);
        self.note(Reference::Variable(name.to_owned()), value.as_ref());
        value
    }

    fn file(&self, path: &Path) -> io::Result<Zeroizing<String>> {
        let text = self.source.file(path);
        self.note(Reference::File(path.to_owned()), text.as_ref().ok());
        text
    }

    fn is_offline(&self) -> bool {
        self.source.is_offline()
    }
}
