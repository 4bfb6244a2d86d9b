//! The configuration changes while events are under way (docs/adr/0021).

use std::sync::Arc;

use event::TenantId;
use kafka::{AssignmentId, Fetched};

use super::{Engine, group::core_id};
use crate::{
    admission::{self, Reading},
    evidence::Poison,
    message::Planned,
    partition::Partition,
    plan::Target,
    planner::Ask,
    shares::Shares,
};

/// An event of a tenant that there is not.
const UNKNOWN_TENANT: &str = "SNK-0013";

impl Engine {
    /// Records that were taken in keep the routes that they were taken in for; where their requests go and how they sign in is
    /// what is configured now. What a route that leads elsewhere has not sent yet goes there, before anything that was paused goes on.
    pub(super) fn planned(&mut self, planned: Planned) {
        let Planned { plan, caught, troubled, others } = planned;
        self.parts.metrics.troubled(troubled, others);
        let before = std::mem::replace(&mut self.parts.plan, Arc::clone(&plan));
        if !plan.is_same(&before) {
            for (id, partition) in &mut self.partitions {
                if let Some((next, true)) = self.parts.core.seen(core_id(*id)) {
                    partition.past.push_back((next, Arc::clone(&before)));
                }
            }
            plan.announce(&before, self.parts.intents);
            for target in plan.connections() {
                self.connect(target, before.connection(target.id));
            }
            self.parts.shares = Shares::new(&plan, &self.parts.region, &self.parts.topics);
            self.apportion();
            self.active.values_mut().for_each(|active| active.job.renew(&plan));
            self.move_strays();
            self.apply_pauses();
            self.take_up();
        }
        if let Some(caught) = caught {
            self.caught(caught);
        }
    }

    /// Makes a connection known to the core as it is now. What of its limits was used is forgotten only if they changed.
    pub(super) fn connect(&mut self, target: &Target, before: Option<&Target>) {
        if before == Some(target) {
            return;
        }
        self.parts.core.connect(target.id, target.limits);
        if before.is_some_and(|before| before.account != target.account) {
            self.parts.core.moved(target.id);
            self.probes_due.retain(|(connection, _), _| *connection != target.id);
        }
        if before.is_none_or(|before| before.budgets != target.budgets) {
            self.parts.core.limit(target.id, &target.budgets);
        }
        self.parts.core.divide(target.id, target.shares);
        self.parts.core.belongs(target.id, target.slot, target.weight);
    }

    /// Whether an event was let in under a state of its tenant that this process has not read yet.
    pub(super) fn is_ahead(&self, record: &Fetched) -> bool {
        let Some(headers) = record.key.headers.as_deref().filter(|_| self.parts.live) else { return false };
        let stamp = headers.iter().find(|(name, _)| name == control::REVISION_HEADER);
        let Some(revision) = stamp.and_then(|(_, value)| control::revision_in(value)) else { return false };
        let tenant = event::RecordKey::tenant_of(&record.key);
        tenant.is_some_and(|tenant| !self.parts.plan.is_up_to(&tenant, revision))
    }

    /// A tenant that is not known may be new, and the news still on its way: its partition waits until the control topic was read to
    /// an end that is behind whatever let the event in. Gives the record back if it is to wait. `covered` says that this was done.
    pub(super) fn stranger(&mut self, record: Fetched, tenant: &TenantId, covered: bool) -> Option<Fetched> {
        let id = core_id(record.id);
        if self.parts.plan.is_broken(tenant) {
            if self.parts.core.hold(id, record.offset) {
                self.keep(record.id, record);
            }
            return None;
        }
        if self.parts.live && !covered {
            return Some(record);
        }
        let message = format!("tenant `{tenant}` is not configured in this region");
        if self.parts.core.hold(id, record.offset) {
            self.poison(&record, &Poison { code: UNKNOWN_TENANT, message });
        }
        None
    }

    fn keep(&mut self, id: AssignmentId, record: Fetched) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.kept.push(record);
        }
    }

    /// Takes up what was kept of tenants that can be served now, in order.
    pub(super) fn take_up(&mut self) {
        let kept = |(id, partition): (&AssignmentId, &Partition)| (!partition.kept.is_empty()).then_some(*id);
        let ids: Vec<AssignmentId> = self.partitions.iter().filter_map(kept).collect();
        for id in ids {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            for record in std::mem::take(&mut partition.kept) {
                self.take_up_one(id, record);
            }
        }
    }

    fn take_up_one(&mut self, id: AssignmentId, record: Fetched) {
        match admission::read(&record, &self.parts.decoder, &self.parts.plan) {
            Reading::Jobs(jobs) => {
                let postings: Vec<_> = jobs.iter().map(|j| j.new).collect();
                let mut tickets = std::mem::take(&mut self.tickets);
                self.parts.core.admit_held(core_id(id), record.offset, &postings, &mut tickets);
                self.activate(&mut tickets, jobs);
                self.tickets = tickets;
            }
            // Its tenant is gone altogether.
            Reading::Stranger(tenant) if !self.parts.plan.is_broken(&tenant) => {
                let message = format!("tenant `{tenant}` is not configured in this region");
                self.poison(&record, &Poison { code: UNKNOWN_TENANT, message });
            }
            Reading::Stranger(_) => self.keep(id, record),
            // It was known when the record was kept, and was forgotten since.
            Reading::NeedsSchema(schema) => {
                self.keep(id, record);
                self.fetch_schema(schema);
            }
            Reading::Poison(poison) => self.poison(&record, &poison),
        }
    }

    /// Asks for what the control topic says by now, for a partition whose first waiting record needs it.
    pub(super) fn catch_up(&mut self, id: AssignmentId) {
        self.catch_ups += 1;
        self.parts.planner.send(Ask::CatchUp(self.catch_ups)).ok(); // its thread ends with the engine
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.unknown = Some(self.catch_ups);
            partition.covered = partition.waiting.len();
        }
    }

    fn caught(&mut self, caught: u64) {
        let waits = self.partitions.iter().filter(|(_, p)| p.unknown.is_some_and(|number| number <= caught));
        let ids: Vec<AssignmentId> = waits.map(|(id, _)| *id).collect();
        for id in ids {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            partition.unknown = None;
            let waiting = std::mem::take(&mut partition.waiting);
            self.go_on(id, waiting);
        }
    }
}
