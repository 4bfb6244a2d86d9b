//! Routes that lead elsewhere while postings of them wait (docs/adr/0021).

use std::{collections::BTreeMap, sync::Arc};

use delivery::{Prior, Ticket};
use event::TenantId;
use kafka::Fetched;

use super::{Active, Engine};
use crate::admission::{self, Job, Reading};

impl Engine {
    /// Takes to where its route leads now what certainly was never sent. The rest stays: what may have been sent for good, what has no
    /// room there yet, or no schema, until it is asked about again, before long.
    pub(super) fn move_strays(&mut self) {
        let strays = self.active.iter().filter(|(_, active)| active.job.strayed);
        let mut strays: Vec<(u32, i64, Ticket)> = strays
            .map(|(ticket, Active { job, .. })| (job.source.assignment.0, job.source.offset, *ticket))
            .collect();
        strays.sort_unstable();
        for (.., ticket) in strays {
            self.move_stray(ticket);
        }
    }

    fn move_stray(&mut self, ticket: Ticket) {
        let Some(active) = self.active.get(&ticket).filter(|_| self.parts.core.is_unsent(ticket)) else {
            return;
        };
        let (source, key, entity) = (&active.job.source, active.job.new.key, active.job.new.entity);
        let Some(partition) = self.partitions.get(&source.assignment) else { return };
        // An Intent of an earlier process: it may have been sent to where the route led then.
        match self.parts.ledger.consult(&partition.space, &key, entity) {
            Ok((Prior::None, _)) => {}
            Ok(_) => return,
            Err(error) => return self.fail(error.into()),
        }
        let record = Fetched {
            id: source.assignment,
            offset: source.offset,
            key: source.key.clone(),
            value: Some(source.value.clone()),
        };
        let job = match admission::read(&record, &self.parts.decoder, &self.parts.plan) {
            Reading::Jobs(jobs) => jobs.into_iter().find(|job| job.new.key == key),
            Reading::NeedsSchema(id) => return self.fetch_schema(id),
            Reading::Stranger(_) | Reading::Poison(_) => None,
        };
        let Some(job) = job else { return };
        let now = self.parts.clock.now();
        if let Some(moved) = self.parts.core.reroute(ticket, job.new, now) {
            self.active.remove(&ticket);
            self.active.insert(moved, Active { job, settlement: None, standing: None });
        }
    }

    /// How many postings stay where their routes led before, for each route.
    pub(super) fn count_strays(&self) {
        let mut counts: BTreeMap<(&TenantId, &Arc<str>), i64> = BTreeMap::new();
        for Active { job: Job { source, way, .. }, .. } in self.active.values().filter(|a| a.job.strayed) {
            *counts.entry((&source.envelope.tenant, &way.name)).or_default() += 1;
        }
        self.parts.metrics.strays(counts.iter().map(|((tenant, route), count)| (*tenant, &***route, *count)));
    }
}
