//! What operators say, carried out on the core.

use super::Engine;

impl Engine {
    pub(super) fn control(&mut self, value: &[u8]) {
        self.parts.pauses.take(value);
        self.apply_pauses();
    }

    /// Brings the core to what is said to be paused. It does not matter how often.
    pub(super) fn apply_pauses(&mut self) {
        let now = self.parts.clock.now();
        for route in self.parts.plan.routes() {
            let paused = self.parts.pauses.covers(route.tenant.as_str(), &route.connection_name, &route.name);
            if paused {
                self.parts.core.pause_route(route.id, route.connection);
            } else {
                self.parts.core.resume_route(route.id, now);
            }
            self.parts.metrics.paused(&route.tenant, &route.name, paused);
        }
    }
}
