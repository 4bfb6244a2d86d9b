//! Records that were left in the log because their connection filled the window, taken up again.

use std::sync::Arc;

use delivery::{Backlog, PartitionId};
use kafka::{AssignmentId, Fetched};

use super::{Active, Engine, EngineError};
use crate::{
    admission::{self, Job, Reading},
    message::Message,
    reread::{Gone, Reread, Stretch, reread},
};

impl Engine {
    pub(super) fn read_again(
        &mut self,
        partition: PartitionId,
        backlog: Backlog,
        (from, to): (i64, i64),
        fit: usize,
    ) {
        let assignment = AssignmentId(partition.0);
        let Some(source) = self.partitions.get(&assignment) else { return };
        let Some(tenant) = self.parts.plan.tenant_of(backlog).cloned() else { return };
        let (topic, number) = (Arc::clone(&source.topic), source.number);
        let stretch = Stretch { assignment, topic, partition: number, from, to, backlog, tenant, fit };
        let (settings, report) = (self.parts.kafka.clone(), self.outbound.clone());
        tokio::spawn(async move {
            let closed = || report.is_closed();
            if let Some(read) = reread(settings, stretch, closed).await {
                report.send(Message::Reread(read)).ok(); // the engine has stopped: nobody listens
            }
        });
    }

    pub(super) fn reread(&mut self, read: Result<Reread, Gone>) {
        let Reread { assignment, backlog, records, mut next } = match read {
            Ok(read) => read,
            Err(gone) if !self.partitions.contains_key(&gone.assignment) => return, // revoked meanwhile
            Err(gone) => return self.fail(EngineError::Consumer(gone.to_string())),
        };
        if !self.partitions.contains_key(&assignment) {
            return; // revoked meanwhile
        }
        if let Some(tenant) = self.parts.plan.tenant_of(backlog) {
            self.parts.metrics.reread(tenant, records.len());
        }
        for record in records {
            match self.readmit(&record, backlog) {
                Ok(()) => {}
                // It is asked for again at once, and found in the cache before long.
                Err(Reading::NeedsSchema(id)) => {
                    next = record.offset;
                    self.fetch_schema(id);
                    break;
                }
                Err(_) => {
                    let what = format!("offset {} was readable and no longer is", record.offset);
                    return self.fail(EngineError::Consumer(what));
                }
            }
        }
        self.move_strays();
        self.parts.core.reread(PartitionId(assignment.0), backlog, next);
    }

    fn readmit(&mut self, record: &Fetched, backlog: Backlog) -> Result<(), Reading> {
        let past = self.partitions.get(&record.id).and_then(|p| p.plan_at(record.offset));
        let plan = past.unwrap_or(&self.parts.plan);
        let mut jobs: Vec<Job> = match admission::read(record, &self.parts.decoder, plan) {
            Reading::Jobs(jobs) => jobs.into_iter().filter(|job| is_of(backlog, job)).collect(),
            other => return Err(other),
        };
        if past.is_some() {
            jobs.iter_mut().for_each(|job| job.renew(&self.parts.plan));
        }
        let postings: Vec<_> = jobs.iter().map(|j| j.new).collect();
        let mut tickets = std::mem::take(&mut self.tickets);
        self.parts.core.readmit(PartitionId(record.id.0), backlog, record.offset, &postings, &mut tickets);
        self.activate(&mut tickets, jobs);
        self.tickets = tickets;
        Ok(())
    }

    /// Keeps what is needed to carry out the postings that were taken in; the others are read again.
    pub(super) fn activate(&mut self, tickets: &mut Vec<Option<delivery::Ticket>>, jobs: Vec<Job>) {
        for (ticket, job) in tickets.drain(..).zip(jobs) {
            if let Some(ticket) = ticket {
                self.active.insert(ticket, Active { job, settlement: None, standing: None });
            }
        }
    }
}

/// Whether a posting may be one of those that were left. The core knows whether it is.
fn is_of(backlog: Backlog, job: &Job) -> bool {
    match backlog {
        Backlog::Connection(connection) => job.new.connection == connection,
        Backlog::Route(route) => job.new.key.route == route,
    }
}
