//! Tryton from PyPI, and a database with a company in it that every test copies.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::KEY;
use crate::{cache, pip};

const VERSION: &str = "8.2.1";
const REQUIREMENTS: &str = include_str!("../../assets/tryton/requirements.txt");
const CREATE: &str = include_str!("../../assets/tryton/create.py");
/// The modules of a company that sells, invoices and is paid.
const MODULES: [&str; 5] = ["sale", "purchase", "stock", "account_invoice", "account_statement"];
const DATABASE: &str = "erp.sqlite";

/// A database of its own in `directory`, and the command that serves it on a loopback port.
pub(super) fn server(directory: &Path, port: u16) -> anyhow::Result<Command> {
    let packages = packages()?;
    let template = template(&packages)?;
    std::fs::copy(template.join(DATABASE), database(directory)).context("cannot copy Tryton's database")?;
    let configuration = configuration(directory, port)?;
    let mut python = python(&packages);
    python.args(["-m", "trytond.cli", "--verbose", "--database", "erp", "--config"]).arg(configuration);
    Ok(python)
}

/// The database file of a server whose directory this is.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// A Python that knows Tryton.
fn python(packages: &Path) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages).env("PYTHONUNBUFFERED", "1");
    python
}

fn packages() -> anyhow::Result<PathBuf> {
    cache::installed(&format!("tryton-{VERSION}-{:x}", mark(&[REQUIREMENTS])), |place| {
        pip::install(place, REQUIREMENTS)
    })
}

/// Its books are open from last year to next year, so it is made again each year.
fn template(packages: &Path) -> anyhow::Result<PathBuf> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let year = 1970 + now.as_secs() / 31_556_952;
    let mark = mark(&[REQUIREMENTS, CREATE, KEY]);
    cache::installed(&format!("tryton-{VERSION}-database-{year}-{mark:x}"), |place| create(place, packages))
}

fn create(place: &Path, packages: &Path) -> anyhow::Result<()> {
    // no server is started on this port
    let configuration = configuration(place, 0)?;
    std::fs::write(database(place), "").context("cannot create a database file")?;
    let password = place.join("password");
    std::fs::write(&password, KEY).context("cannot write a password file")?;
    let mut admin = python(packages);
    admin.args(["-m", "trytond.cli.admin", "--database", "erp", "--all", "--email", "admin@tryton.example"]);
    admin.arg("--config").arg(&configuration).arg("--activate-dependencies").arg("--update").args(MODULES);
    pip::run(admin.env("TRYTONPASSFILE", &password)).context("Tryton's database cannot be created")?;
    let script = place.join("create.py");
    std::fs::write(&script, CREATE).context("cannot write the script of the company")?;
    let mut python = python(packages);
    pip::run(python.arg(&script).arg(&configuration).arg(KEY)).context("Tryton's company cannot be made")?;
    Ok(())
}

fn configuration(directory: &Path, port: u16) -> anyhow::Result<PathBuf> {
    let path = directory.join("trytond.conf");
    let text = format!(
        "[database]\nuri = sqlite://\nretry = 1\npath = {}\n[web]\nlisten = 127.0.0.1:{port}\n",
        directory.display()
    );
    std::fs::write(&path, text).context("cannot write Tryton's configuration")?;
    Ok(path)
}

/// Tells one content from another, in a name.
fn mark(texts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}
