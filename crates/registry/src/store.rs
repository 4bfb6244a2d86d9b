//! What the registry remembers. No I/O, no locks.

use std::collections::{BTreeMap, HashMap};

use contract::{Compatibility, check_compatibility, normal_form};
use serde::Serialize;

use crate::error::ApiError;

/// More distinct schemas than this are refused.
const MAX_SCHEMAS: usize = 10_000;
/// More versions of all subjects than this are refused.
const MAX_VERSIONS: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Store {
    /// By id, which counts from 1.
    schemas: Vec<String>,
    /// Ids by normal form.
    ids: HashMap<String, u32>,
    /// The ids of each subject's versions, which count from 1.
    subjects: BTreeMap<String, Vec<u32>>,
    default_level: Compatibility,
    levels: BTreeMap<String, Compatibility>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            schemas: Vec::new(),
            ids: HashMap::new(),
            subjects: BTreeMap::new(),
            default_level: Compatibility::Backward,
            levels: BTreeMap::new(),
        }
    }
}

/// One version of a subject, as the API gives it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    pub(crate) subject: String,
    pub(crate) version: u32,
    pub(crate) id: u32,
    pub(crate) schema: String,
}

impl Store {
    /// The id of the schema, which is a version of the subject from now on.
    pub(crate) fn register(&mut self, subject: &str, schema: &str) -> Result<u32, ApiError> {
        let normal = normalize(schema)?;
        let known = self.ids.get(&normal).copied();
        if let Some(id) = known.filter(|id| self.ids_of(subject).contains(id)) {
            return Ok(id);
        }
        let problems = self.problems(subject, None, schema)?;
        if !problems.is_empty() {
            return Err(ApiError::Incompatible(problems.join("; ")));
        }
        let versions: usize = self.subjects.values().map(Vec::len).sum();
        if versions >= MAX_VERSIONS || self.schemas.len() >= MAX_SCHEMAS {
            return Err(ApiError::Full);
        }
        let id = match known {
            Some(id) => id,
            None => self.add(normal, schema)?,
        };
        self.subjects.entry(subject.to_owned()).or_default().push(id);
        Ok(id)
    }

    fn add(&mut self, normal: String, schema: &str) -> Result<u32, ApiError> {
        self.schemas.push(schema.to_owned());
        let id = u32::try_from(self.schemas.len()).map_err(|_| ApiError::Full)?;
        self.ids.insert(normal, id);
        Ok(id)
    }

    /// The version of the subject that is this schema.
    pub(crate) fn lookup(&self, subject: &str, schema: &str) -> Result<Version, ApiError> {
        let ids = self.existing(subject)?;
        let id = self.ids.get(&normalize(schema)?).ok_or(ApiError::SchemaNotFound)?;
        let index = ids.iter().position(|i| i == id).ok_or(ApiError::SchemaNotFound)?;
        self.version_at(subject, index).ok_or(ApiError::SchemaNotFound)
    }

    pub(crate) fn subjects(&self) -> Vec<&str> {
        self.subjects.keys().map(String::as_str).collect()
    }

    pub(crate) fn versions(&self, subject: &str) -> Result<Vec<usize>, ApiError> {
        Ok((1..=self.existing(subject)?.len()).collect())
    }

    /// `latest`, `-1` or a number.
    pub(crate) fn version(&self, subject: &str, version: &str) -> Result<Version, ApiError> {
        let ids = self.existing(subject)?;
        let index = index(version, ids.len())?;
        self.version_at(subject, index).ok_or_else(|| ApiError::VersionNotFound(version.to_owned()))
    }

    pub(crate) fn schema(&self, id: u32) -> Result<&str, ApiError> {
        let index = usize::try_from(id).ok().and_then(|i| i.checked_sub(1));
        index.and_then(|i| self.schemas.get(i)).map(String::as_str).ok_or(ApiError::SchemaNotFound)
    }

    /// Why the schema cannot follow the given version of the subject, or all that its level asks for.
    pub(crate) fn problems(
        &self,
        subject: &str,
        version: Option<&str>,
        schema: &str,
    ) -> Result<Vec<String>, ApiError> {
        let older = match version {
            Some(version) => vec![self.version(subject, version)?],
            None => (0..self.ids_of(subject).len()).filter_map(|i| self.version_at(subject, i)).collect(),
        };
        let older: Vec<(u32, &str)> = older.iter().map(|v| (v.version, v.schema.as_str())).collect();
        let problems = check_compatibility(self.level(subject), schema, &older);
        let problems = problems.map_err(|e| ApiError::InvalidSchema(e.to_string()))?;
        Ok(problems.iter().map(ToString::to_string).collect())
    }

    /// The level that holds for a subject.
    pub(crate) fn level(&self, subject: &str) -> Compatibility {
        self.levels.get(subject).copied().unwrap_or(self.default_level)
    }

    /// The level that was set for a subject itself, or of the whole registry.
    pub(crate) fn own_level(&self, subject: Option<&str>) -> Result<Compatibility, ApiError> {
        match subject {
            None => Ok(self.default_level),
            Some(s) => self.levels.get(s).copied().ok_or_else(|| ApiError::NoSubjectLevel(s.to_owned())),
        }
    }

    pub(crate) fn set_level(&mut self, subject: Option<&str>, level: Compatibility) -> Result<(), ApiError> {
        match subject {
            None => self.default_level = level,
            Some(_) if self.levels.len() >= MAX_VERSIONS => return Err(ApiError::Full),
            Some(subject) => drop(self.levels.insert(subject.to_owned(), level)),
        }
        Ok(())
    }

    fn ids_of(&self, subject: &str) -> &[u32] {
        self.subjects.get(subject).map_or(&[], Vec::as_slice)
    }

    fn existing(&self, subject: &str) -> Result<&[u32], ApiError> {
        match self.ids_of(subject) {
            [] => Err(ApiError::SubjectNotFound(subject.to_owned())),
            ids => Ok(ids),
        }
    }

    fn version_at(&self, subject: &str, index: usize) -> Option<Version> {
        let id = *self.ids_of(subject).get(index)?;
        let version = u32::try_from(index + 1).ok()?;
        Some(Version { subject: subject.to_owned(), version, id, schema: self.schema(id).ok()?.to_owned() })
    }
}

fn normalize(schema: &str) -> Result<String, ApiError> {
    normal_form(schema).map_err(|e| ApiError::InvalidSchema(e.to_string()))
}

fn index(version: &str, count: usize) -> Result<usize, ApiError> {
    if version == "latest" || version == "-1" {
        return Ok(count.saturating_sub(1));
    }
    let number: Option<usize> = version.parse().ok().filter(|n| *n >= 1);
    number.map(|n| n - 1).ok_or_else(|| ApiError::InvalidVersion(version.to_owned()))
}
