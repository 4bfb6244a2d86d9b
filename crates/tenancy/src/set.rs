//! All tenants.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use event::TenantId;

use crate::{
    api_key::KeyRing,
    error::ConfigErrors,
    files::{self, Folder},
    live::Fits,
    load,
    problem::{Position, Report, code},
    secret::SecretSource,
    tenant::Tenant,
};

/// All tenants of a configuration, each valid.
#[derive(Debug, Default)]
pub struct TenantSet {
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    keys: KeyRing,
}

impl TenantSet {
    /// Reads the folder `dir`, which holds one folder for each tenant, and resolves its secrets.
    ///
    /// # Errors
    /// Every problem of every file, see [`ConfigErrors`].
    pub fn load(dir: &Path, source: &dyn SecretSource) -> Result<Self, ConfigErrors> {
        let problems = RefCell::new(Vec::new());
        let file = dir.display().to_string();
        let report = Report { file: file.trim_end_matches('/'), sink: &problems };
        let folders = files::read_all(dir, report);
        let set = Self::assemble(&folders, report, source);
        Self::accept(set, problems)
    }

    /// The texts of every tenant's files in the folder `dir`, as [`TenantSet::from_folders`] takes them.
    ///
    /// # Errors
    /// What cannot be read, or stands where nothing reads it.
    pub fn read_folders(dir: &Path) -> Result<BTreeMap<String, Folder>, ConfigErrors> {
        let problems = RefCell::new(Vec::new());
        let file = dir.display().to_string();
        let folders = files::read_all(dir, Report { file: file.trim_end_matches('/'), sink: &problems });
        let problems = problems.into_inner();
        if problems.is_empty() { Ok(folders) } else { Err(ConfigErrors::new(problems)) }
    }

    /// Puts together what was read before; `name` is what the folder is called in problems.
    ///
    /// # Errors
    /// As [`TenantSet::load`].
    pub fn from_folders(
        name: &str,
        folders: &BTreeMap<String, Folder>,
        source: &dyn SecretSource,
    ) -> Result<Self, ConfigErrors> {
        let problems = RefCell::new(Vec::new());
        let report = Report { file: name.trim_end_matches('/'), sink: &problems };
        let set = Self::assemble(folders, report, source);
        Self::accept(set, problems)
    }

    /// Adds a tenant if it is valid and `fits`; nothing is changed otherwise, and what is wrong comes back.
    pub(crate) fn add(
        &mut self,
        place: &str,
        folder: &Folder,
        source: &dyn SecretSource,
        fits: Fits<'_>,
    ) -> Result<(), String> {
        let problems = RefCell::new(Vec::new());
        let mut keys = self.keys.clone();
        let tenant = load::tenant(place, folder, Report { file: place, sink: &problems }, &mut keys, source);
        let problems = problems.into_inner();
        match tenant {
            Some(tenant) if problems.is_empty() => {
                let tenant = Arc::new(tenant);
                fits(&tenant)?;
                self.keys = keys;
                self.tenants.insert(tenant.id.clone(), tenant);
                Ok(())
            }
            _ => Err(ConfigErrors::new(problems).to_string()),
        }
    }

    /// Takes a tenant out, and its keys.
    pub(crate) fn remove(&mut self, tenant: &TenantId) {
        self.tenants.remove(tenant);
        self.keys.forget(tenant);
    }

    /// Puts a tenant in as it was `before`, and takes those out who have one of its keys: they are named. Nobody where it was not.
    pub(crate) fn put_back(&mut self, tenant: &TenantId, before: &Self) -> BTreeSet<TenantId> {
        let Some(former) = before.tenants.get(tenant) else { return BTreeSet::new() };
        self.remove(tenant);
        let others = self.keys.give_back(tenant, &before.keys);
        others.iter().for_each(|other| self.remove(other));
        self.tenants.insert(tenant.clone(), Arc::clone(former));
        others
    }

    /// The example tenants of this repository (folder `tenants/`), which are part of the program.
    ///
    /// # Errors
    /// A secret that `source` does not have.
    pub fn example(source: &dyn SecretSource) -> Result<Self, ConfigErrors> {
        let problems = RefCell::new(Vec::new());
        let report = Report { file: "tenants", sink: &problems };
        let set = Self::assemble(&crate::example::folders(), report, source);
        Self::accept(set, problems)
    }

    /// Writes the example tenants into the folder `dir`, for services that read one. `region` takes the place of theirs.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write_example(dir: &Path, region: &str) -> std::io::Result<()> {
        for (tenant, folder) in crate::example::folders() {
            for (file, text) in folder {
                let path = dir.join(&tenant).join(&file);
                std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
                let text = if file == "tenant.yaml" {
                    text.replace("\nregion: eu\n", &format!("\nregion: {region}\n"))
                } else {
                    text
                };
                std::fs::write(path, text)?;
            }
        }
        Ok(())
    }

    fn assemble(folders: &BTreeMap<String, Folder>, report: Report<'_>, source: &dyn SecretSource) -> Self {
        if folders.is_empty() && report.sink.borrow().is_empty() {
            report.add(code::UNREADABLE, Position::default(), "the folder holds no tenant");
        }
        let mut set = Self::default();
        for (place, folder) in folders {
            let file = format!("{}/{place}", report.file);
            let report = Report { file: &file, ..report };
            if let Some(tenant) = load::tenant(place, folder, report, &mut set.keys, source) {
                set.tenants.insert(tenant.id.clone(), Arc::new(tenant));
            }
        }
        set
    }

    fn accept(set: Self, problems: RefCell<Vec<crate::Problem>>) -> Result<Self, ConfigErrors> {
        let problems = problems.into_inner();
        if problems.is_empty() { Ok(set) } else { Err(ConfigErrors::new(problems)) }
    }

    /// The tenant of this id.
    pub fn tenant(&self, id: &TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(id)
    }

    /// The tenant whose API key `presented` is.
    pub fn by_api_key(&self, presented: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(self.keys.find(presented)?)
    }

    /// Every tenant, ordered by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }
}
