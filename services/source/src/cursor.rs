//! How far a system was read, kept in a file.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use target::{Place, RecordId};

use crate::SourceError;

/// The last place whose record the gateway has acknowledged.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    place: Option<Place>,
}

/// As it stands in the file; do not change, but by a new version.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    modified_us: i64,
    id: RecordId,
}

/// With an id that is a whole number.
const NUMBERS: u32 = 1;
/// With one that is a text.
const TEXTS: u32 = 2;

impl Cursor {
    /// Reads `path`. No file: nothing was read yet.
    pub(crate) fn open(path: PathBuf) -> Result<Self, SourceError> {
        let failed = |source| SourceError::Cursor { path: path.display().to_string(), act: "read", source };
        let place = match fs::read(&path) {
            Ok(bytes) => {
                let kept: Kept =
                    serde_json::from_slice(&bytes).map_err(|error| failed(io::Error::other(error)))?;
                if kept.version != version(&kept.id) {
                    return Err(failed(io::Error::other(format!("its version is {}", kept.version))));
                }
                Some(Place { modified_us: kept.modified_us, id: kept.id })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, place })
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Moves on to `place`, durably. Never back.
    pub(crate) fn advance(&mut self, place: Place) -> Result<(), SourceError> {
        if self.place.as_ref() >= Some(&place) {
            return Ok(());
        }
        write(&self.path, &place).map_err(|source| SourceError::Cursor {
            path: self.path.display().to_string(),
            act: "kept",
            source,
        })?;
        self.place = Some(place);
        Ok(())
    }
}

fn version(id: &RecordId) -> u32 {
    match id {
        RecordId::Number(_) => NUMBERS,
        RecordId::Text(_) => TEXTS,
    }
}

/// A new file in the place of the old one, so that there is always a whole one.
fn write(path: &Path, place: &Place) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let id = place.id.clone();
    let kept = Kept { version: version(&id), modified_us: place.modified_us, id };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_kept_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop/erp/order.json");
        let at = |modified_us, id: i64| Place { modified_us, id: id.into() };
        let mut cursor = Cursor::open(path.clone()).unwrap();
        assert_eq!(cursor.place(), None);
        cursor.advance(at(5, 7)).unwrap();
        cursor.advance(at(5, 6)).unwrap();
        assert_eq!(Cursor::open(path.clone()).unwrap().place(), Some(&at(5, 7)));
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"version":1,"modified_us":5,"id":7}"#);
        let text = Place { modified_us: 6, id: "a-1".into() };
        cursor.advance(text.clone()).unwrap();
        assert_eq!(Cursor::open(path.clone()).unwrap().place(), Some(&text));
        assert_eq!(fs::read_to_string(&path).unwrap(), r#"{"version":2,"modified_us":6,"id":"a-1"}"#);
        for odd in
            ["", "{}", r#"{"version":2,"modified_us":5,"id":7}"#, r#"{"version":1,"modified_us":5,"id":"a"}"#]
        {
            fs::write(&path, odd).unwrap();
            assert_eq!(Cursor::open(path.clone()).unwrap_err().code(), "SRC-0003", "{odd}");
        }
    }
}
