//! What the consumer group does to us: partitions come, records come, leases are renewed, partitions go.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, mpsc},
    time::{Duration, Instant},
};

use ahash::AHashSet;
use contract::{RegistryError, WriterSchema};
use delivery::PartitionId;
use kafka::{Assigned, AssignmentId, Fetched, GroupEvent};
use tracing::warn;

use super::{Engine, EngineError};
use crate::{
    admission::{self, Reading},
    crash,
    evidence::{Origin, Poison, of_poison},
    message::Message,
    outbox::Purpose,
    partition::Partition,
    restore::{Wanted, chain, restore},
    settlement::stored_letter,
    standby::Leaving,
};

/// The wait before the registry is asked again.
const REGISTRY_RETRY: Duration = Duration::from_millis(500);
/// How often the registry must say that it has no such schema before a record is taken for unreadable.
const UNKNOWN_TRIES: u32 = 4;
/// Most schema ids that are remembered as unknown.
const MAX_UNKNOWN: usize = 1_024;

/// Records of a partition that wait for its ledger, beyond which no more are fetched. A pause right away would cost the
/// first records of each assignment up to a second: the client starts to fetch late after one.
const MAX_WAITING: usize = 64;

/// What a record waits for.
enum Wait {
    /// Its schema.
    Schema(u32),
    /// What the control topic says of its tenant.
    Tenant,
}

/// Partitions that are being taken away.
pub(super) struct Revocation {
    ids: Vec<AssignmentId>,
    pub(super) deadline: Instant,
    done: mpsc::SyncSender<()>,
}

/// Partitions that were given to us together: their ledgers are restored together, once all of their claims are in the
/// changelogs.
pub(super) struct Claims {
    open: AHashSet<AssignmentId>,
    wanted: Vec<Wanted>,
    leaving: Leaving,
}

pub(super) fn core_id(id: AssignmentId) -> PartitionId {
    PartitionId(id.0)
}

impl Engine {
    pub(super) fn group(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Assigned(assigned) => self.assigned(&assigned),
            GroupEvent::Records(records) => {
                self.parts.member.taken(records.len());
                records.into_iter().for_each(|r| self.fetched(r));
            }
            GroupEvent::Confirmed { ids, since } => self.confirmed(&ids, since),
            GroupEvent::Revoking { ids, lost, done } => self.revoking(ids, lost, done),
            GroupEvent::Failed(reason) => self.fail(EngineError::Consumer(reason)),
        }
    }

    /// Nothing of a partition is taken in until its ledger is complete.
    fn assigned(&mut self, assigned: &[Assigned]) {
        let mut wanted = Vec::with_capacity(assigned.len());
        for one in assigned {
            let partition = Partition::new(one);
            let known = match self.parts.ledger.next_position(&partition.space) {
                Ok(known) => known,
                Err(error) => return self.fail(error.into()),
            };
            self.parts.core.assign(core_id(one.id), one.start);
            wanted.push(Wanted {
                id: one.id,
                changelog: Arc::clone(&partition.changelog),
                partition: one.partition,
                space: Arc::clone(&partition.space),
                known,
                claimed: -1,
            });
            self.partitions.insert(one.id, partition);
        }
        self.apportion();
        self.restoring += wanted.len();
        self.note_restored();
        if wanted.is_empty() {
            return;
        }
        let leaving = self.parts.standby.leave(wanted.iter().map(|w| Arc::clone(&w.space)).collect());
        let open: AHashSet<AssignmentId> = wanted.iter().map(|w| w.id).collect();
        self.claims.push(Claims { open: open.clone(), wanted, leaving });
        open.into_iter().for_each(|id| self.claim(id));
    }

    /// Behind its claim no outcome of a former owner counts; before it, all are read.
    fn claim(&mut self, id: AssignmentId) {
        let Some(partition) = self.partitions.get(&id) else { return };
        match stored_letter(&ledger::claim(partition.term), partition) {
            Ok(letter) => self.send(letter, Purpose::Claim(id)),
            Err(error) => self.fail(error.into()),
        }
    }

    pub(super) fn claimed(&mut self, id: AssignmentId, offset: i64) {
        let Some(at) = self.claims.iter_mut().position(|claims| claims.open.remove(&id)) else { return };
        self.claims[at].wanted.iter_mut().filter(|w| w.id == id).for_each(|w| w.claimed = offset);
        if self.claims[at].open.is_empty() {
            let Claims { wanted, leaving, .. } = self.claims.swap_remove(at);
            self.restore(wanted, leaving);
        }
    }

    fn restore(&self, wanted: Vec<Wanted>, leaving: Leaving) {
        let (settings, ledger) = (self.parts.kafka.clone(), self.parts.ledger.clone());
        let outbound = self.outbound.clone();
        let restores = Arc::clone(&self.restores);
        tokio::task::spawn_blocking(move || {
            let _one = restores.lock().unwrap_or_else(PoisonError::into_inner);
            // Its position is read only after the last record of the copy is written.
            leaving.wait();
            restore(&settings, &ledger, &wanted, |id, result| {
                outbound.send(Message::Restored(id, result)).ok(); // the engine has stopped: nobody listens
            });
        });
    }

    /// Ready from the first assignment on, while nothing is being restored.
    fn note_restored(&self) {
        if self.restoring == 0 {
            self.parts.assigned.pass();
        } else {
            self.parts.assigned.fail("ledgers are being restored");
        }
    }

    pub(super) fn restored(&mut self, id: AssignmentId, result: Result<usize, String>) {
        self.restoring -= 1;
        self.note_restored();
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let inherited = result.and_then(|records| {
            Ok((records, self.parts.ledger.range(&partition.space).map_err(|e| chain(&e))?))
        });
        match inherited {
            Ok((records, range)) => {
                self.parts.metrics.restored(&partition.topic, records, partition.since.elapsed());
                self.parts.core.inherit(core_id(id), range);
                partition.restored = true;
                let waiting = std::mem::take(&mut partition.waiting);
                self.go_on(id, waiting);
            }
            Err(reason) => {
                let (topic, partition) = (Arc::clone(&partition.topic), partition.number);
                self.fail(EngineError::Restore { topic, partition, reason });
            }
        }
    }

    /// The coordinator answered a commit that began at `since`: until its session time-out nobody else is given our
    /// partitions.
    fn confirmed(&mut self, ids: &[AssignmentId], since: Instant) {
        let until = self.parts.clock.mono(since + self.parts.lease);
        let now = self.parts.clock.now();
        for id in ids {
            self.parts.core.renew_lease(core_id(*id), until, now);
            self.late(*id);
        }
    }

    fn revoking(&mut self, ids: Vec<AssignmentId>, lost: bool, done: mpsc::SyncSender<()>) {
        // Lost means that somebody else may own them already: nothing is let out.
        let drain = if lost { Duration::ZERO } else { self.parts.drain };
        let deadline = Instant::now() + drain;
        for id in &ids {
            self.parts.core.drain(core_id(*id), self.parts.clock.mono(deadline));
            self.late(*id);
        }
        self.revocations.push(Revocation { ids, deadline, done });
    }

    /// Gives partitions back once nothing of them is in flight, or time is up.
    pub(super) fn finish_revocations(&mut self) {
        if self.revocations.is_empty() {
            return;
        }
        let mut open = std::mem::take(&mut self.revocations);
        open.retain(|revocation| {
            let busy: usize = revocation.ids.iter().map(|id| self.parts.core.unsettled(core_id(*id))).sum();
            if busy > 0 && Instant::now() < revocation.deadline {
                return true;
            }
            if busy > 0 {
                warn!(
                    requests = busy,
                    "partitions are given back with requests in flight, the next owner resolves them"
                );
            }
            let now = self.parts.clock.now();
            let mut given_back = Vec::with_capacity(revocation.ids.len());
            for id in &revocation.ids {
                self.parts.core.revoke(core_id(*id), now);
                given_back.extend(self.partitions.remove(id).map(|partition| partition.copied()));
            }
            // Their jobs are with the ledger's thread; whoever owns them next appends to their changelogs.
            self.parts.standby.follow(given_back);
            self.active.retain(|_, a| !revocation.ids.contains(&a.job.source.assignment));
            revocation.done.try_send(()).ok(); // the consumer's thread may have given up waiting
            false
        });
        self.revocations = open;
        self.apportion();
    }

    fn fetched(&mut self, record: Fetched) {
        crash::point("polled");
        let Some(partition) = self.partitions.get_mut(&record.id) else { return };
        if partition.restored && partition.schema.is_none() && partition.unknown.is_none() {
            let id = record.id;
            if let Some((record, wait)) = self.admit(record, false) {
                self.hold(id);
                if let Some(partition) = self.partitions.get_mut(&id) {
                    partition.waiting.push_front(record);
                }
                self.wait(id, wait);
            }
            return;
        }
        let id = record.id;
        partition.waiting.push_back(record);
        if partition.waiting.len() >= MAX_WAITING {
            self.hold(id);
        }
    }

    fn hold(&mut self, id: AssignmentId) {
        if let Some(partition) = self.partitions.get_mut(&id)
            && !std::mem::replace(&mut partition.held, true)
        {
            self.parts.member.pause(id);
        }
    }

    /// Takes a record in. Gives it back if something must be known first. `covered` says that nobody knows more of its tenant.
    fn admit(&mut self, record: Fetched, covered: bool) -> Option<(Fetched, Wait)> {
        if !covered && self.is_ahead(&record) {
            return Some((record, Wait::Tenant));
        }
        let core = core_id(record.id);
        match admission::read(&record, &self.parts.decoder, &self.parts.plan) {
            Reading::NeedsSchema(id) => return Some((record, Wait::Schema(id))),
            Reading::Stranger(tenant) => {
                return self.stranger(record, &tenant, covered).map(|record| (record, Wait::Tenant));
            }
            Reading::Poison(poison) => {
                if self.parts.core.hold(core, record.offset) {
                    self.poison(&record, &poison);
                }
            }
            Reading::Jobs(jobs) => {
                let postings: Vec<_> = jobs.iter().map(|j| j.new).collect();
                let mut tickets = std::mem::take(&mut self.tickets);
                if self.parts.core.admit(core, record.offset, &postings, &mut tickets) {
                    self.activate(&mut tickets, jobs);
                } else if let Some(partition) = self.partitions.get(&record.id) {
                    self.parts.metrics.repeated(&partition.topic);
                }
                self.tickets = tickets;
            }
        }
        None
    }

    /// The partition waits; the others go on. Brokers or a registry that do not answer are never a reason for a dead letter.
    fn wait(&mut self, id: AssignmentId, wait: Wait) {
        match wait {
            Wait::Tenant => self.catch_up(id),
            Wait::Schema(schema) => {
                if let Some(partition) = self.partitions.get_mut(&id) {
                    partition.schema = Some(schema);
                }
                self.fetch_schema(schema);
            }
        }
    }

    pub(super) fn fetch_schema(&self, id: u32) {
        let (decoder, report) = (Arc::clone(&self.parts.decoder), self.outbound.clone());
        // One that was asked for in vain before is not waited for again.
        let mut tries = if self.unknown_schemas.contains(&id) { 1 } else { UNKNOWN_TRIES };
        tokio::spawn(async move {
            let result = loop {
                match decoder.fetch(id).await {
                    Err(error) if error.is_retryable() => {
                        warn!(schema = id, %error, "registry does not answer, asking again");
                    }
                    // A replica of the registry may not have it yet.
                    Err(RegistryError::NotFound(_)) if tries > 1 => tries -= 1,
                    result => break result,
                }
                tokio::time::sleep(REGISTRY_RETRY).await;
            };
            report.send(Message::Schema(id, result)).ok(); // the engine has stopped: nobody listens
        });
    }

    /// The registry answered: every partition that waits for this schema goes on.
    pub(super) fn schema(&mut self, schema: u32, result: Result<Arc<WriterSchema>, RegistryError>) {
        if result.is_ok() {
            self.unknown_schemas.remove(&schema);
        } else if self.unknown_schemas.len() < MAX_UNKNOWN {
            self.unknown_schemas.insert(schema);
        }
        let poison = result.err().map(|error| Poison { code: error.code(), message: error.to_string() });
        let waits = |p: &Partition| p.schema == Some(schema);
        let ids: Vec<AssignmentId> =
            self.partitions.iter().filter(|(_, p)| waits(p)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            partition.schema = None;
            let mut waiting = std::mem::take(&mut partition.waiting);
            if let Some(poison) = &poison
                && let Some(record) = waiting.pop_front()
                && self.parts.core.hold(core_id(id), record.offset)
            {
                self.poison(&record, poison);
            }
            self.go_on(id, waiting);
        }
        self.take_up();
    }

    pub(super) fn go_on(&mut self, id: AssignmentId, mut waiting: VecDeque<Fetched>) {
        while let Some(record) = waiting.pop_front() {
            if let Some((record, wait)) = self.admit_next(id, record) {
                waiting.push_front(record);
                if let Some(partition) = self.partitions.get_mut(&id) {
                    partition.waiting = waiting;
                }
                return self.wait(id, wait);
            }
        }
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if std::mem::take(&mut partition.held) && !self.parts.core.is_paused(core_id(id)) {
            self.parts.member.resume(id);
        }
    }

    fn admit_next(&mut self, id: AssignmentId, record: Fetched) -> Option<(Fetched, Wait)> {
        let covered = self.partitions.get_mut(&id).is_some_and(|partition| {
            let covered = partition.covered > 0;
            partition.covered = partition.covered.saturating_sub(1);
            covered
        });
        self.admit(record, covered)
    }

    pub(super) fn poison(&mut self, record: &Fetched, poison: &Poison) {
        let Some(partition) = self.partitions.get(&record.id) else { return };
        let origin = Origin { topic: &partition.topic, partition: partition.number, offset: record.offset };
        warn!(
            code = poison.code,
            topic = origin.topic,
            partition = origin.partition,
            offset = origin.offset,
            reason = poison.message,
            "record cannot be read, it goes to the dead-letter topic"
        );
        self.parts.metrics.poison(poison.code);
        // Only a configured tenant has a topic of its own.
        let tenant = event::RecordKey::tenant_of(&record.key).filter(|t| self.parts.plan.knows(t));
        let topic = Arc::from(topics::names::dlq(&self.parts.region, tenant.as_ref()));
        let letter = of_poison(topic, tenant.as_ref(), &origin, &record.key, record.value.as_ref(), poison);
        self.send(letter, Purpose::Poison(record.id, record.offset));
    }
}
