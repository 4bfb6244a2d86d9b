//! The connectors that routes ask for: definitions, and the mappings that are made of what stands beside them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

use contract::{Contracts, DataType};
use event::EventType;
use mapping::{
    Mapping,
    payload::{Fields, Lookups, Parts, Rule, Source},
};
use target::{Connector, Endpoint};
use tenancy::{
    Route, Tenant,
    revision::{Digests, hash_of},
};

use crate::{fields::payload_fields, plan::PlanError};

/// The connectors that were asked for.
pub(crate) struct Connectors {
    dir: Option<PathBuf>,
    known: BTreeMap<String, Known>,
}

/// A connector as its files were when it was asked for. Definition and mappings are read together: each says what the other means.
struct Known {
    connector: Arc<Connector>,
    /// The base mappings, by object.
    bases: BTreeMap<String, Source>,
    /// Of all of that.
    digest: String,
}

impl Connectors {
    /// Those of the folder `dir`, and those of the binary that it has no file for.
    pub(crate) fn new(dir: Option<&Path>) -> Self {
        Self { dir: dir.map(Path::to_owned), known: BTreeMap::new() }
    }

    /// Whoever asks from now on gets what the files say then.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    pub(crate) fn get(&mut self, name: &str) -> Result<Arc<Connector>, PlanError> {
        self.known(name).map(|known| Arc::clone(&known.connector))
    }

    fn known(&mut self, name: &str) -> Result<&Known, PlanError> {
        match self.known.entry(name.to_owned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let dir = self.dir.as_deref();
                let text = Connector::text(dir, name)?;
                let connector = Arc::new(Connector::parse(name, &text)?);
                let bases = mapping::connectors::bases_of(dir, name)?;
                let digest = digest_of(&text, &bases);
                Ok(unknown.insert(Known { connector, bases, digest }))
            }
        }
    }

    /// What the connectors of a tenant's routes say, as digests.
    pub(crate) fn digests(&mut self, tenant: &Tenant) -> Result<Digests, PlanError> {
        let names = tenant.routes.iter().map(|route| route.connection.connector.as_str());
        names.map(|name| Ok((name.to_owned(), self.known(name)?.digest.clone()))).collect()
    }

    /// What everything that was asked for says.
    pub(crate) fn all_digests(&self) -> Digests {
        self.known.iter().map(|(name, known)| (name.clone(), known.digest.clone())).collect()
    }

    /// The mapping of a route for one of its event types; none if the event's data is sent as it is.
    pub(crate) fn mapping(
        &mut self,
        route: &Route,
        event_type: EventType,
    ) -> Result<Option<Mapping>, PlanError> {
        self.mapping_for(route, event_type, &data_of(event_type))
    }

    /// The same for events with data of another type.
    pub(crate) fn mapping_for(
        &mut self,
        route: &Route,
        event_type: EventType,
        data: &DataType,
    ) -> Result<Option<Mapping>, PlanError> {
        let object = object_of(route, event_type);
        let known = self.known(&route.connection.connector)?;
        let fields = known.fields(route, object);
        let lookups = Some(Lookups::new(known.connector.lookups()));
        let parts = Parts { lookups, ..parts(route, known.bases.get(object).cloned(), fields) };
        Mapping::compile_for(data, &parts).map_err(|problems| PlanError::Mapping {
            tenant: route.tenant.clone(),
            route: route.name.clone(),
            problems,
        })
    }

    /// Whether what the route sends is made by somebody: without base mapping and overlay the event's data is sent as it is, which must
    /// be what the object takes.
    pub(crate) fn is_made(
        &mut self,
        route: &Route,
        event_type: EventType,
        endpoint: &Endpoint,
    ) -> Result<(), PlanError> {
        let object = object_of(route, event_type);
        let known = self.known(&route.connection.connector)?;
        if known.bases.contains_key(object) || route.mapping.overlay.is_some() {
            return Ok(());
        }
        let data = data_of(event_type);
        let paths = endpoint.payload_paths();
        let unknown = paths.iter().filter(|path| !has(&data, path.split('/').skip(1)));
        let mut lacks: Vec<String> =
            unknown.map(|path| format!("it has no `{}`", path[1..].replace('/', "."))).collect();
        lacks.extend(known.fields(route, object).into_iter().flat_map(|fields| fields.misfits_of(&data)));
        if lacks.is_empty() {
            return Ok(());
        }
        Err(PlanError::NotMade {
            tenant: route.tenant.clone(),
            route: route.name.clone(),
            connector: route.connection.connector.clone(),
            object: object.to_owned(),
            lacks,
        })
    }
}

impl Known {
    /// The fields of an object, with those that the route adds.
    fn fields(&self, route: &Route, object: &str) -> Option<Fields> {
        let mut fields = payload_fields(&self.connector, object)?;
        route.mapping.fields.iter().for_each(|path| fields.allow(path));
        Some(fields)
    }
}

/// Over the texts, wherever they stand: the same files in another folder are the same connector.
fn digest_of(definition: &str, bases: &BTreeMap<String, Source>) -> String {
    let mappings =
        bases.iter().map(|(object, source)| (format!("mappings/{object}.vrl"), source.text.clone()));
    hash_of(&mappings.chain([("definition".to_owned(), definition.to_owned())]).collect())
}

/// Whether data of that type can have something at a path.
fn has<'a>(data: &DataType, mut path: impl Iterator<Item = &'a str>) -> bool {
    let Some(name) = path.next() else { return true };
    match data {
        DataType::Record(fields) => {
            let field = fields.iter().find(|field| field.name == name);
            field.is_some_and(|field| has(&field.data_type, path))
        }
        DataType::List(items) => name.parse::<u32>().is_ok() && has(items, path),
        DataType::Map => path.next().is_none(),
        DataType::Boolean | DataType::Integer | DataType::Text => false,
    }
}

fn object_of(route: &Route, event_type: EventType) -> &str {
    route.object.as_deref().unwrap_or_else(|| event_type.object().name())
}

fn data_of(event_type: EventType) -> DataType {
    Contracts::embedded().object(event_type.object()).data_type()
}

/// What a route's mapping is made of.
fn parts(route: &Route, base: Option<Source>, fields: Option<Fields>) -> Parts {
    let file = || format!("{}/routes/{}.yaml", route.tenant, route.name);
    let overlay = route.mapping.overlay.as_ref();
    Parts {
        base,
        overlay: overlay.map(|overlay| Source { name: overlay.file.clone(), text: overlay.text.clone() }),
        rules: route
            .mapping
            .rules
            .iter()
            .map(|rule| Rule {
                must: Source { name: file(), text: rule.must.clone() },
                message: rule.message.clone(),
                field: rule.field.clone(),
            })
            .collect(),
        extensions: route.mapping.extensions.clone(),
        fields,
        lookups: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use event::ObjectKind;

    use super::*;

    #[test]
    fn a_path_leads_somewhere_in_the_data_or_not() {
        let data = data_of("order.created".parse().unwrap());
        let has = |path: &str| has(&data, path.split('/'));
        assert!(has("customer_id") && has("total/amount") && has("lines/0/quantity") && has("extensions/x"));
        assert!(!has("document") && !has("total/sum") && !has("lines/first") && !has("currency/0"));
    }

    /// Whatever a route may name of the binary's connectors is made by somebody.
    #[test]
    fn everything_that_an_embedded_definition_writes_has_a_mapping() {
        let mut number = 0;
        for name in Connector::embedded_names() {
            let connector = Connector::embedded(name).unwrap();
            let bases = mapping::connectors::bases_of(None, name).unwrap();
            for (object, definition) in &connector.objects {
                if object.parse::<ObjectKind>().is_err() {
                    continue; // only looked up
                }
                let operations =
                    definition.operations.keys().map(|operation| format!("{object}.{operation}"));
                for what in operations.chain([object.clone()]) {
                    let endpoint = target::cases::endpoint(&connector, &what, None, &BTreeMap::new());
                    let asks = endpoint.is_ok_and(|endpoint| !endpoint.payload_paths().is_empty());
                    if asks || payload_fields(&connector, &what).is_some() {
                        number += 1;
                        assert!(bases.contains_key(&what), "{name}: nobody makes `{what}`");
                    }
                }
            }
        }
        assert!(number > 40, "{number} objects and operations");
    }
}
