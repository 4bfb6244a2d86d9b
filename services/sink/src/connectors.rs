//! The connectors that routes ask for: definitions, and the mappings that are made of what stands beside them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use contract::{Contracts, DataType};
use event::EventType;
use mapping::{
    Mapping,
    payload::{Fields, Lookups, Parts, Rule, Source},
};
use target::Connector;
use tenancy::Route;

use crate::{fields::payload_fields, plan::PlanError};

/// The definitions that were asked for.
pub(crate) struct Connectors {
    dir: Option<PathBuf>,
    known: BTreeMap<String, Arc<Connector>>,
    /// What stands beside the definitions.
    beside: Option<mapping::connectors::Connectors>,
}

impl Connectors {
    /// Definitions of the folder `dir`, and those of the binary that it has no file for.
    pub(crate) fn new(dir: Option<&Path>) -> Self {
        Self { dir: dir.map(Path::to_owned), known: BTreeMap::new(), beside: None }
    }

    pub(crate) fn get(&mut self, name: &str) -> Result<Arc<Connector>, PlanError> {
        if let Some(known) = self.known.get(name) {
            return Ok(Arc::clone(known));
        }
        let connector = Arc::new(Connector::load(self.dir.as_deref(), name)?);
        self.known.insert(name.to_owned(), Arc::clone(&connector));
        Ok(connector)
    }

    /// The mapping of a route for one of its event types; none if the event's data is sent as it is.
    pub(crate) fn mapping(
        &mut self,
        route: &Route,
        event_type: EventType,
    ) -> Result<Option<Mapping>, PlanError> {
        let data = Contracts::embedded().object(event_type.object()).data_type();
        self.mapping_for(route, event_type, &data)
    }

    /// The same for events with data of another type.
    pub(crate) fn mapping_for(
        &mut self,
        route: &Route,
        event_type: EventType,
        data: &DataType,
    ) -> Result<Option<Mapping>, PlanError> {
        let beside = match &mut self.beside {
            Some(known) => known,
            unknown => unknown.insert(
                self.dir.as_deref().map_or_else(mapping::connectors::embedded, mapping::connectors::load)?,
            ),
        };
        let object = route.object.as_deref().unwrap_or_else(|| event_type.object().name());
        let base = beside.base(&route.connection.connector, object).cloned();
        let connector = self.get(&route.connection.connector)?;
        let mut fields = payload_fields(&connector, object);
        if let Some(fields) = &mut fields {
            route.mapping.fields.iter().for_each(|path| fields.allow(path));
        }
        let parts = Parts { lookups: Some(Lookups::new(connector.lookups())), ..parts(route, base, fields) };
        Mapping::compile_for(data, &parts).map_err(|problems| PlanError::Mapping {
            tenant: route.tenant.clone(),
            route: route.name.clone(),
            problems,
        })
    }
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
