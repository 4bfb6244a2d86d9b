//! What operators say, carried out on the core.

use control::Said;
use tracing::warn;

use super::Engine;
use crate::restore::chain;

/// A record of the control topic that means nothing to this build. What was in force stays.
pub(crate) fn passed_over(error: &control::Unreadable) {
    warn!(code = "SNK-0040", error = chain(error), "a record of the control topic is passed over");
}

impl Engine {
    pub(super) fn control(&mut self, record: &control::Record) {
        match self.parts.control.take(&record.key, record.value.as_deref()) {
            Ok(Said::Pauses) => self.apply_pauses(),
            Ok(Said::Tenant(_) | Said::Nothing) => {}
            Err(error) => passed_over(&error),
        }
    }

    /// Brings the core to what is said to be paused. It does not matter how often.
    pub(super) fn apply_pauses(&mut self) {
        let now = self.parts.clock.now();
        for route in self.parts.plan.routes() {
            let paused =
                self.parts.control.pauses.covers(route.tenant.as_str(), &route.connection_name, &route.name);
            if paused {
                self.parts.core.pause_route(route.id, route.connection);
            } else {
                self.parts.core.resume_route(route.id, now);
            }
            self.parts.metrics.paused(&route.tenant, &route.name, paused);
        }
    }
}
