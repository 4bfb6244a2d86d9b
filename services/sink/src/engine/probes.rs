//! Questions for what is left of a target's limits, asked beside what is sent.

use std::{sync::Arc, time::Duration};

use event::TenantId;
use target::Told;

use super::{Engine, actions::pass_on};
use crate::plan::Way;

/// The target could not be asked for its limits.
const UNASKED: &str = "SNK-0046";

impl Engine {
    /// Something leaves by this way: time for the questions that are due. Nobody waits for them, and where nothing is sent nothing is asked.
    pub(super) fn ask_for_limits(&mut self, way: &Arc<Way>, tenant: &TenantId) {
        let now = self.parts.clock.now();
        for (which, every_ms) in way.endpoint.probes().enumerate() {
            let due = self.probes_due.entry((way.connection, which)).or_insert(now.mono);
            if now.mono < *due {
                continue;
            }
            *due = now.mono + every_ms;
            self.parts.core.spent(way.connection, 1, now);
            let timeout = self.parts.plan.connection(way.connection).map_or(0, |c| c.limits.timeout_ms);
            let (told, report, began) = (Told::default(), self.outbound.clone(), now.mono);
            let client = way.client(&self.parts.client).telling(&told);
            let (way, tenant) = (Arc::clone(way), tenant.clone());
            tokio::spawn(async move {
                let asked = client.probe(&way.endpoint, which, Duration::from_millis(timeout)).await;
                if let Err(reason) = asked {
                    let (connection, status, why) = (&*way.connection_name, reason.status, &*reason.message);
                    tracing::warn!(
                        code = UNASKED, %tenant, connection, status, why,
                        "the target does not say what is left of its limits"
                    );
                }
                pass_on(&told, (way.connection, began), &report);
            });
        }
    }
}
