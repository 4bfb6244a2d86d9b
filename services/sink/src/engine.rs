//! The loop: facts in, decisions out. Group events are in [`group`], decisions in [`actions`], acknowledgements in [`acks`].

mod acks;
mod actions;
mod backlog;
mod control;
mod group;
mod moving;
mod planning;
mod probes;
mod together;

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use ::control::Pauses;
use ahash::{AHashMap, AHashSet};
use contract::Decoder;
use delivery::{Action, Answer, ConnectionId, Core, ErrorClass, Intents, Ticket};
use kafka::{AssignmentId, Member};
use ledger::Ledger;
use service_kit::Check;
use target::{Client, News, Standing};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tracing::error;

use crate::{
    admission::Job, clock::Clock, crash, doubts::Doubts, message::Message, metrics::SinkMetrics,
    outbox::Outbox, partition::Partition, plan::Plan, planner::Ask, settlement::Settlement, shares::Shares,
    standby::Standby, watchdog::Pulse,
};
pub(crate) use control::passed_over;
use group::{Claims, Revocation};

/// Most facts taken in before decisions are carried out.
const BATCH: usize = 1_024;
/// How often the gauges are set.
const GAUGES: Duration = Duration::from_millis(250);
/// How long the loop rests while nothing happens.
const IDLE: Duration = Duration::from_millis(500);

/// Why the engine cannot go on. The process ends; started again, it resolves what was under way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The ledger cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] ledger::LedgerError),
    /// The producer failed for good.
    #[error("the producer failed for good: {0}")]
    Producer(String),
    /// The brokers refuse an outcome, a dead letter or a changelog record.
    #[error("the brokers refuse a record that must be written: {0}")]
    Refused(String),
    /// The consumer cannot go on.
    #[error("the consumer cannot go on: {0}")]
    Consumer(String),
    /// A ledger cannot be restored.
    #[error("{topic}/{partition} cannot be taken over: {reason}")]
    Restore {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Why.
        reason: String,
    },
}

impl EngineError {
    /// The stable code, see docs/errors.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.code(),
            Self::Producer(_) => "SNK-0030",
            Self::Refused(_) => "SNK-0031",
            Self::Consumer(_) => "SNK-0032",
            Self::Restore { .. } => "SNK-0023",
        }
    }
}

/// What the engine works with.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) core: Core,
    pub(crate) shares: Shares,
    pub(crate) plan: Arc<Plan>,
    pub(crate) decoder: Arc<Decoder>,
    pub(crate) ledger: Ledger,
    pub(crate) standby: Standby,
    pub(crate) outbox: Outbox,
    pub(crate) member: Arc<Member>,
    pub(crate) client: Client,
    pub(crate) metrics: SinkMetrics,
    pub(crate) doubts: Doubts,
    /// What operators paused, as of the start; further commands come as messages.
    pub(crate) pauses: Pauses,
    /// Whoever makes a new plan of what the control topic says.
    pub(crate) planner: mpsc::Sender<Ask>,
    /// Whether tenants come and go while the sink runs.
    pub(crate) live: bool,
    /// The topics that are read, with their numbers of partitions.
    pub(crate) topics: Vec<(Arc<str>, i32)>,
    pub(crate) intents: Intents,
    /// Passes once the group has given us our partitions and their ledgers are complete.
    pub(crate) assigned: Check,
    pub(crate) kafka: kafka::Settings,
    pub(crate) region: String,
    pub(crate) outcome_topic: Arc<str>,
    pub(crate) outcome_schema: u32,
    /// How long a confirmed membership allows sending.
    pub(crate) lease: Duration,
    pub(crate) drain: Duration,
    /// Beaten at each turn of the loop.
    pub(crate) pulse: Pulse,
}

/// A posting that is not over.
struct Active {
    job: Job,
    settlement: Option<Settlement>,
    /// What the last look has found of it at the target.
    standing: Option<Arc<Standing>>,
}

/// The loop's state.
pub(crate) struct Engine {
    parts: Parts,
    inbox: UnboundedReceiver<Message>,
    /// For whoever reports to the loop.
    outbound: UnboundedSender<Message>,
    partitions: AHashMap<AssignmentId, Partition>,
    active: AHashMap<Ticket, Active>,
    revocations: Vec<Revocation>,
    /// Schema ids that the registry does not have.
    unknown_schemas: AHashSet<u32>,
    /// Partitions that were given to us together and whose claims are on their way.
    claims: Vec<Claims>,
    /// Partitions whose ledgers are not complete.
    restoring: usize,
    /// One restore at a time: one of an assignment that is over must not write beside the next one's deliveries.
    restores: Arc<Mutex<()>>,
    /// Jobs for the ledger's thread, handed over once for each turn of the loop.
    ledger_jobs: Vec<ledger::Job>,
    /// How many times the control topic was asked to be read to its end.
    catch_ups: u64,
    tickets: Vec<Option<Ticket>>,
    /// When each question for limits is to be asked again, monotonic milliseconds.
    probes_due: AHashMap<(ConnectionId, usize), u64>,
    failure: Option<EngineError>,
}

impl Engine {
    pub(crate) fn new(
        parts: Parts,
        inbox: UnboundedReceiver<Message>,
        outbound: UnboundedSender<Message>,
    ) -> Self {
        Self {
            parts,
            inbox,
            outbound,
            partitions: AHashMap::new(),
            active: AHashMap::new(),
            revocations: Vec::new(),
            unknown_schemas: AHashSet::new(),
            claims: Vec::new(),
            restoring: 0,
            restores: Arc::default(),
            ledger_jobs: Vec::new(),
            catch_ups: 0,
            tickets: Vec::new(),
            probes_due: AHashMap::new(),
            failure: None,
        }
    }

    /// Runs until the member has left the group, or something fails that only a restart can mend.
    pub(crate) async fn run(mut self) -> Result<(), EngineError> {
        let mut facts = Vec::with_capacity(BATCH);
        let mut gauges_set = Instant::now();
        let plan = Arc::clone(&self.parts.plan);
        plan.connections().for_each(|target| self.connect(target, None));
        self.apply_pauses();
        loop {
            let wake = tokio::time::Instant::from_std(self.wake());
            tokio::select! {
                received = self.inbox.recv_many(&mut facts, BATCH) => if received == 0 { break },
                () = tokio::time::sleep_until(wake) => {}
            }
            self.parts.pulse.beat();
            let mut left = false;
            for fact in facts.drain(..) {
                left |= matches!(fact, Message::Left);
                self.take(fact);
            }
            let counts = gauges_set.elapsed() >= GAUGES;
            if counts {
                self.move_strays();
            }
            self.decide()?;
            if let Some(failure) = self.failure.take() {
                error!(code = failure.code(), error = %failure, "sink stops");
                return Err(failure);
            }
            if counts {
                gauges_set = Instant::now();
                self.count_strays();
                self.parts.metrics.fenced(self.parts.ledger.take_fenced());
                self.parts.metrics.load(self.parts.core.gauges(), self.parts.outbox.len());
                self.parts.ledger.expire(self.parts.clock.now().wall);
                let complete = self.partitions.values().filter(|p| p.restored);
                let owned = complete.map(|p| (Arc::clone(&p.topic), Arc::clone(&p.space)));
                self.parts.doubts.count(&self.parts.ledger, owned);
            }
            if left {
                break;
            }
        }
        let outbox = self.parts.outbox;
        let drain = self.parts.drain;
        // What is still unacknowledged is an Intent or an outcome that a successor resolves or finds.
        let flushed = tokio::task::spawn_blocking(move || outbox.flush(drain)).await.unwrap_or(false);
        tracing::info!(flushed, "sink drained");
        Ok(())
    }

    /// The next moment at which something is due.
    fn wake(&self) -> Instant {
        let idle = Instant::now() + IDLE;
        let core = self.parts.core.next_wake().map(|mono| self.parts.clock.instant(mono));
        let revocation = self.revocations.iter().map(|r| r.deadline).min();
        [core, revocation].into_iter().flatten().fold(idle, Instant::min)
    }

    fn take(&mut self, fact: Message) {
        match fact {
            Message::Group(event) => self.group(event),
            Message::Ledger(written) => self.written(written),
            Message::Journal(journaled) => self.journaled(journaled),
            Message::Told(connection, began, news) => self.told(connection, began, &news),
            Message::Answered(ticket, answer) => {
                crash::point("response_read");
                self.note_refused_access(ticket, &answer);
                self.inform(delivery::Input::Answered(ticket, answer));
            }
            Message::AnsweredTogether(answers) => {
                crash::point("response_read");
                // All of them had the same answer.
                if let Some((ticket, answer)) = answers.last() {
                    self.note_refused_access(*ticket, answer);
                }
                self.inform(delivery::Input::AnsweredTogether(answers));
            }
            Message::ReadBack(ticket, seen, standing) => {
                if let Some(active) = self.active.get_mut(&ticket) {
                    active.standing = standing.map(Arc::new);
                }
                if let delivery::ReadBack::Failed(answer) = &seen {
                    self.note_refused_access(ticket, answer);
                }
                self.inform(delivery::Input::ReadBack(ticket, seen));
            }
            Message::Schema(id, result) => self.schema(id, result),
            Message::Restored(id, result) => self.restored(id, result),
            Message::Reread(read) => self.reread(read),
            Message::Control(record) => self.control(record),
            Message::Planned(planned) => self.planned(planned),
            Message::Left => {}
        }
    }

    /// Counts an answer by which the whole connection is not let in. Its events are not to blame, and wait.
    fn note_refused_access(&self, ticket: Ticket, answer: &Answer) {
        let (Answer::Again { reason, .. } | Answer::Unfinished { reason, .. }) = answer else { return };
        if !matches!(reason.class, ErrorClass::AuthExpired | ErrorClass::AuthDenied) {
            return;
        }
        if let Some(active) = self.active.get(&ticket) {
            let (tenant, way) = (&active.job.source.envelope.tenant, &active.job.way);
            self.parts.metrics.turned_away(tenant, &way.connection_name, &reason.code);
        }
    }

    /// A target told what is left, or wants to be left alone.
    fn told(&mut self, connection: ConnectionId, began: u64, news: &News) {
        let now = self.parts.clock.now();
        self.parts.core.spent(connection, news.requests, now);
        for left in &news.left {
            self.parts.core.left(connection, left, began, now);
        }
        if let Some(ms) = news.rest_ms {
            self.parts.core.rest(connection, ms, now);
        }
    }

    fn inform(&mut self, input: delivery::Input) {
        let now = self.parts.clock.now();
        self.parts.core.handle(input, now);
    }

    /// Carries out everything that was decided, and what follows from it at once.
    fn decide(&mut self) -> Result<(), EngineError> {
        let now = self.parts.clock.now();
        self.parts.core.tick(now);
        loop {
            let actions: Vec<Action> = self.parts.core.drain_actions().collect();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                tracing::trace!(?action, "decided");
                self.act(action)?;
            }
        }
        for (purpose, reason) in self.parts.outbox.retry() {
            self.refused(&purpose, &reason);
        }
        let jobs = std::mem::take(&mut self.ledger_jobs);
        self.parts.ledger.submit(jobs);
        self.finish_revocations();
        Ok(())
    }

    /// What we own has changed, and so has our part of every limit.
    fn apportion(&mut self) {
        let owned = self.partitions.values().map(|p| (&p.topic, p.number));
        self.parts.shares.apportion(&mut self.parts.core, owned);
    }

    fn fail(&mut self, failure: EngineError) {
        self.failure.get_or_insert(failure);
    }
}
