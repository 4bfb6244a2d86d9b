//! `counterfoil tenants export`: what is applied, as a folder.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tenancy::Revision;

use super::region::{self, RegionArgs};
use crate::{
    error::{self, CommandError},
    out,
};

/// Flags of `counterfoil tenants export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    region: RegionArgs,
    /// The folder to write into; no tenant's folder in it is overwritten
    dir: PathBuf,
}

/// Exports every tenant that is not removed.
pub(super) async fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let Some(settings) = args.region.load()? else { return Ok(ExitCode::SUCCESS) };
    let state = region::state(&settings).await?;
    let revisions: Vec<&Revision> =
        state.tenants.current().values().map(|revision| &**revision).filter(|r| !r.removed).collect();
    // All of them are looked at before one is written.
    for revision in &revisions {
        let path = args.dir.join(revision.tenant.as_str());
        if path.exists() {
            return Err(failed(path, io::ErrorKind::AlreadyExists.into()));
        }
    }
    for revision in &revisions {
        for (file, text) in &revision.files {
            let path = args.dir.join(revision.tenant.as_str()).join(file);
            write(file, &path, text).map_err(|source| failed(path, source))?;
        }
    }
    out::line(format_args!("{}: {} tenants written", args.dir.display(), revisions.len()));
    Ok(ExitCode::SUCCESS)
}

/// A record is from the network: its names must stay below the tenant's folder.
fn write(file: &str, path: &Path, text: &str) -> io::Result<()> {
    if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::Error::other("the record's file name leads out of the folder"));
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text)
}

fn failed(path: PathBuf, source: io::Error) -> anyhow::Error {
    error::command(CommandError::Output { path, source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let tenant = dir.path().join("acme");
        for file in ["../evil.yaml", "/tmp/evil.yaml", "routes/../../evil.yaml"] {
            write(file, &tenant.join(file), "x").unwrap_err();
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        write("routes/orders.yaml", &tenant.join("routes/orders.yaml"), "x").unwrap();
        assert!(tenant.join("routes/orders.yaml").exists());
    }
}
