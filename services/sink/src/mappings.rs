//! The mappings of routes, for whoever tries them out: the same that the sink compiles.

use std::path::Path;

use contract::DataType;
use event::EventType;
use mapping::Mapping;
use tenancy::Route;

use crate::{connectors::Connectors, plan::PlanError};

/// Compiles mappings of routes.
pub struct RouteMappings(Connectors);

impl RouteMappings {
    /// With connectors of the folder `dir`, or of the binary.
    pub fn new(dir: Option<&Path>) -> Self {
        Self(Connectors::new(dir))
    }

    /// What makes of the data of an event what is sent on `route`; none if it is sent as it is.
    ///
    /// # Errors
    /// What is wrong with its programs.
    pub fn of(&mut self, route: &Route, event_type: EventType) -> Result<Option<Mapping>, PlanError> {
        self.0.mapping(route, event_type)
    }

    /// The same if events had data of another type.
    ///
    /// # Errors
    /// What is wrong with its programs then.
    pub fn for_data(
        &mut self,
        route: &Route,
        event_type: EventType,
        data: &DataType,
    ) -> Result<Option<Mapping>, PlanError> {
        self.0.mapping_for(route, event_type, data)
    }
}
