//! Which tenants there are. Planning topics needs their names and regions, not their secrets.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use event::TenantId;
use serde::Deserialize;

use crate::error::CommandError;

/// The largest tenant file, in bytes; as in crate `tenancy`.
const MAX_FILE: u64 = 256 * 1024;

/// The part of tenant.yaml that matters here. The services check the rest.
#[derive(Deserialize)]
struct Head {
    tenant: TenantId,
    region: String,
}

/// The tenants of `region` in the folder `dir`, by name.
///
/// # Errors
/// When the folder or a file cannot be read, or a file does not say who it is.
pub fn of_region(dir: &Path, region: &str) -> Result<Vec<TenantId>, CommandError> {
    let unreadable = |source| CommandError::Tenants { path: dir.to_owned(), source };
    let mut tenants = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let folder = entry.file_name().to_string_lossy().into_owned();
        if folder.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        let head = head(&entry.path().join("tenant.yaml"), &folder)?;
        if head.region == region {
            tenants.push(head.tenant);
        }
    }
    tenants.sort();
    Ok(tenants)
}

fn head(path: &Path, folder: &str) -> Result<Head, CommandError> {
    let text = read(path).map_err(|source| CommandError::Tenants { path: path.to_owned(), source })?;
    let head: Head = serde_saphyr::from_str(&text)
        .map_err(|source| CommandError::Tenant { path: path.to_owned(), source: Box::new(source) })?;
    if head.tenant.as_str() == folder {
        return Ok(head);
    }
    let (found, folder) = (head.tenant.to_string(), folder.to_owned());
    Err(CommandError::TenantName { path: path.to_owned(), found, folder })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_those_of_the_region_and_no_secret_is_needed() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants");
        let names: Vec<_> = of_region(&dir, "eu").unwrap().iter().map(ToString::to_string).collect();
        assert!(names.contains(&"acme".to_owned()), "{names:?}");
        assert_eq!(of_region(&dir, "mars").unwrap(), []);
    }

    #[test]
    fn a_copied_folder_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("acme")).unwrap();
        assert_eq!(of_region(dir.path(), "eu").unwrap_err().code(), "CFG-0301");
        let write = |text| fs::write(dir.path().join("acme/tenant.yaml"), text).unwrap();
        write("tenant: globex\nregion: eu\n");
        assert_eq!(of_region(dir.path(), "eu").unwrap_err().code(), "CFG-0302");
        write("tenant: acme\n");
        assert_eq!(of_region(dir.path(), "eu").unwrap_err().code(), "CFG-0302");
    }
}
