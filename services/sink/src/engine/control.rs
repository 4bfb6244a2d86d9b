//! What operators say, carried out on the core.

use tenancy::revision::tenant_of;
use tracing::warn;

use super::Engine;
use crate::{planner::Ask, restore::chain};

/// A record of the control topic that means nothing to this build. What was in force stays.
pub(crate) fn passed_over(error: &control::Unreadable) {
    warn!(code = "SNK-0040", error = chain(error), "a record of the control topic is passed over");
}

impl Engine {
    pub(super) fn control(&mut self, record: control::Record) {
        if tenant_of(&record.key).is_some() {
            self.parts.planner.send(Ask::Record(record)).ok(); // its thread ends with the engine
            return;
        }
        match self.parts.pauses.take(record.value.as_deref()) {
            Ok(()) => self.apply_pauses(),
            Err(error) => passed_over(&error.into()),
        }
    }

    /// Brings the core to what is said to be paused. It does not matter how often.
    pub(super) fn apply_pauses(&mut self) {
        let now = self.parts.clock.now();
        for route in self.parts.plan.routes() {
            let (tenant, connection) = (&route.tenant, &route.connection_name);
            let paused = self.parts.plan.holds(tenant)
                || self.parts.pauses.covers(tenant.as_str(), connection, &route.name);
            if paused {
                self.parts.core.pause_route(route.id, route.connection);
            } else {
                self.parts.core.resume_route(route.id, now);
            }
            self.parts.metrics.paused(&route.tenant, &route.name, paused);
        }
    }
}
