//! Build, run, drain.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::control::{Pauses, State};
use contract::{Contracts, Decoder, RegistryClient, outcome_subject};
use delivery::{Core, CoreOptions, Intents};
use event::ObjectKind;
use kafka::{GroupOptions, Journal, Member};
use ledger::{Ledger, LedgerOptions, Opened, Written};
use service_kit::{Admin, Check, Readiness, Shutdown};
use target::{Client, ClientOptions, FileStore, TokenStore};
use telemetry::{IntCounter, Metrics};
use tenancy::{Environment, InForce, Live, TenantSet, TenantsFrom};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use crate::{
    clock::Clock,
    doubts::Doubts,
    engine::{Engine, EngineError, Parts, passed_over},
    inputs::{Topic, TopicProblem, check_topics},
    message::Message,
    metrics::SinkMetrics,
    options::{IntentsOption, Options},
    outbox::Outbox,
    partition,
    plan::{Compiler, Plan},
    planner::{Ask, Planner},
    shares::Shares,
    standby::{Copied, Standby},
    start_error::StartError,
    watchdog::{self, Pulse},
};

/// The wait before brokers or registry are asked again at the start.
const RETRY: Duration = Duration::from_millis(500);

/// The sink, ready to run. Its admin server answers already.
pub struct Service {
    options: Options,
    planner: Planner,
    lease: Duration,
    admin: Admin,
    readiness: Readiness,
    kafka: Check,
    registry: Check,
    assigned: Check,
    metrics: SinkMetrics,
}

impl Service {
    /// Reads the configuration and binds the admin listener. Neither brokers nor registry are needed yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, see [`StartError`].
    pub async fn build(options: Options) -> Result<Self, StartError> {
        let planner = planner(&options)?;
        let lease = lease(&options)?;
        let registry = Metrics::new("sink")?;
        let metrics = SinkMetrics::new(&registry)?;
        let readiness = Readiness::new();
        let (kafka_check, registry_check) = (readiness.check("kafka"), readiness.check("registry"));
        let assigned = readiness.check("partitions");
        let admin =
            Admin::start(options.admin_listen, registry, readiness.clone()).await.map_err(|source| {
                StartError::Io { what: format!("cannot listen on {}", options.admin_listen), source }
            })?;
        Ok(Self {
            options,
            planner,
            lease,
            admin,
            readiness,
            kafka: kafka_check,
            registry: registry_check,
            assigned,
            metrics,
        })
    }

    /// Where health and metrics are served.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Waits for registry and brokers, joins the group, and delivers until `shutdown`.
    ///
    /// # Errors
    /// When something fails that only a restart can mend; what was under way is resolved by whoever comes next.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), StartError> {
        let client = RegistryClient::new(&self.options.registry.url)?;
        let Some(schema) = self.outcome_schema(&client, &shutdown).await? else { return Ok(()) };
        self.registry.pass();
        let Some(topics) = self.topics(&shutdown).await? else { return Ok(()) };
        self.kafka.pass();
        let Some((State { pauses, tenants }, next)) = self.control(&shutdown).await? else { return Ok(()) };
        let Some(this) = self.begin(tenants, next, &shutdown).await? else { return Ok(()) };
        let control = (pauses, next);
        let result = this.deliver(client, schema, topics, control, shutdown).await;
        result.map_err(|error| StartError::Stopped(crate::restore::chain(&error)))
    }

    async fn deliver(
        self,
        registry: RegistryClient,
        outcome_schema: u32,
        topics: Vec<Topic>,
        (pauses, next_record): (Pauses, i64),
        shutdown: Shutdown,
    ) -> Result<(), StartError> {
        let options = self.options.clone();
        // Bounded by the partitions' windows and the connections' limits: whoever reports to the loop must never block,
        // least of all the brokers' threads.
        #[allow(clippy::disallowed_methods)]
        let (outbound, inbox) = unbounded_channel();
        let clock = Clock::new();
        let ledger =
            open_ledger(options.ledger.clone(), clock, outbound.clone(), self.metrics.refused_intents())
                .await?;
        let standby = self.standby(&ledger, &topics)?;
        let plan = Arc::clone(self.planner.plan());
        let topics: Vec<_> = topics.iter().map(|t| (Arc::from(t.name.as_str()), t.partitions)).collect();
        let shares = Shares::new(&plan, &options.region, &topics);
        let report = outbound.clone();
        let journal = Journal::new(&options.kafka, move |journaled| {
            report.send(Message::Journal(journaled)).ok();
        })?;
        let intents = intents(&options, self.lease);
        plan.announce(&Plan::default(), intents);
        self.metrics.troubled(self.planner.troubled(), self.planner.others());
        let core = Core::new(CoreOptions {
            epoch: uuid::Uuid::new_v4().as_u64_pair().0,
            window: options.window,
            clock_skew_ms: options.clock_skew.as_millis() as u64,
            intents,
            in_flight: options.in_flight,
            horizon_ms: u64::try_from(options.ledger.horizon.as_millis()).unwrap_or(u64::MAX),
        });
        let target = Client::new(ClientOptions {
            connect_timeout: options.connect_timeout,
            ..ClientOptions::default()
        })
        .map_err(|source| StartError::Io {
            what: "the system's root certificates cannot be read".into(),
            source,
        })?;
        let group = GroupOptions {
            group: options.group.clone(),
            topics: topics.iter().map(|(topic, _)| topic.to_string()).collect(),
            commit_every: options.commit_every,
            drain: options.drain,
            changelog: Some(topics::names::ledger),
        };
        self.follow(next_record, &outbound)?;
        let live = self.planner.is_live();
        let planner = start_planner(self.planner, outbound.clone())?;
        let report = outbound.clone();
        let member = Arc::new(Member::join(&options.kafka, group, move |event| {
            report.send(Message::Group(event)).ok();
        })?);
        info!(group = options.group, region = options.region, "sink has joined");
        let pulse = Pulse::default();
        watchdog::watch(&pulse, options.wedged_after, watchdog::end).map_err(|source| StartError::Io {
            what: "the thread of the watchdog cannot start".into(),
            source,
        })?;
        let parts = Parts {
            clock,
            core,
            shares,
            plan,
            planner,
            live,
            topics,
            intents,
            decoder: Arc::new(Decoder::new(registry)),
            ledger,
            standby,
            outbox: Outbox::new(journal),
            member: Arc::clone(&member),
            client: target,
            doubts: Doubts::new(self.metrics.in_doubt()),
            metrics: self.metrics,
            pauses,
            assigned: self.assigned,
            kafka: options.kafka.clone(),
            outcome_topic: Arc::from(topics::names::outcome(&options.region)),
            region: options.region,
            outcome_schema,
            lease: self.lease,
            drain: options.drain,
            pulse,
        };
        let leaver = outbound.clone();
        let mut running = service_kit::spawn("engine", Engine::new(parts, inbox, outbound).run());
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = shutdown.triggered() => {
                self.readiness.drain();
                tokio::task::spawn_blocking(move || member.leave()).await.ok();
                leaver.send(Message::Left).ok();
                running.await
            }
        };
        self.admin.stop().await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(stopped(&error)),
            Err(panicked) => Err(StartError::Stopped(panicked.to_string())),
        }
    }

    /// The id of the schema of outcome events. Waits for the registry; none if the sink is stopped meanwhile.
    async fn outcome_schema(
        &self,
        client: &RegistryClient,
        shutdown: &Shutdown,
    ) -> Result<Option<u32>, StartError> {
        let subject = outcome_subject(&self.options.region);
        let json = &Contracts::embedded().outcome().json;
        loop {
            let found = if self.options.registry.register {
                client.register(&subject, json).await.map(Some)
            } else {
                client.latest_id(&subject, json).await
            };
            match found {
                Ok(Some(id)) => return Ok(Some(id)),
                Ok(None) => self.registry.fail(format!("subject {subject} has no schema yet")),
                Err(error) if error.is_retryable() => self.registry.fail(error.to_string()),
                Err(error) => return Err(error.into()),
            }
            if stops(shutdown).await {
                return Ok(None);
            }
        }
    }

    /// Copies of all ledgers, until the group gives us their partitions.
    fn standby(&self, ledger: &Ledger, topics: &[Topic]) -> Result<Standby, StartError> {
        if !self.options.standby {
            return Ok(Standby::off());
        }
        let standby =
            Standby::start(&self.options.kafka, ledger.clone(), self.metrics.copied()).map_err(|source| {
                StartError::Io { what: "the thread of the standby copies cannot start".into(), source }
            })?;
        let of = |topic: &Topic| {
            let (changelog, name) = (Arc::from(topics::names::ledger(&topic.name)), topic.name.clone());
            (0..topic.partitions).map(move |partition| Copied {
                changelog: Arc::clone(&changelog),
                partition,
                space: partition::space(&name, partition),
            })
        };
        standby.follow(topics.iter().flat_map(of).collect());
        Ok(standby)
    }

    /// Reports what comes on the control topic from now on.
    fn follow(&self, next: i64, outbound: &UnboundedSender<Message>) -> Result<(), StartError> {
        let topic = Arc::from(topics::names::control(&self.options.region));
        let (engine, report) = (outbound.clone(), outbound.clone());
        control::follow(
            self.options.kafka.clone(),
            topic,
            next,
            move || !engine.is_closed(),
            move |record| drop(report.send(Message::Control(record))), // the engine has stopped: nobody listens
        )
        .map_err(|source| StartError::Io {
            what: "the thread of the control topic cannot start".into(),
            source,
        })
    }

    /// Makes the plan of what the control topic says; nothing where a folder says it. Waits for the brokers.
    async fn begin(
        mut self,
        tenants: Live,
        next: i64,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, StartError> {
        self.planner.know(tenants, next);
        loop {
            let mut planner = self.planner;
            let begun = tokio::task::spawn_blocking(move || {
                let begun = planner.begin();
                (planner, begun)
            });
            let (planner, begun) =
                begun.await.map_err(|panicked| StartError::Stopped(panicked.to_string()))?;
            self.planner = planner;
            match begun {
                Ok(()) => return Ok(Some(self)),
                Err(error) => self.kafka.fail(crate::restore::chain(&error)),
            }
            if stops(shutdown).await {
                return Ok(None);
            }
            self.kafka.pass();
        }
    }

    /// What the control topic says, and the offset of its next record. Waits for the brokers: what is paused must be known before
    /// anything is taken in.
    async fn control(&self, shutdown: &Shutdown) -> Result<Option<(control::State, i64)>, StartError> {
        loop {
            let settings = self.options.kafka.clone();
            let topic = Arc::from(topics::names::control(&self.options.region));
            match tokio::task::spawn_blocking(move || control::read(&settings, &topic, |e| passed_over(&e)))
                .await
            {
                Ok(Ok(read)) => return Ok(Some(read)),
                Ok(Err(error)) => self.kafka.fail(crate::restore::chain(&error)),
                Err(panicked) => return Err(StartError::Stopped(panicked.to_string())),
            }
            if stops(shutdown).await {
                return Ok(None);
            }
            self.kafka.pass();
        }
    }

    /// The topics to read. Waits for the brokers; each must have a changelog of as many partitions, and each tenant a
    /// dead-letter topic.
    async fn topics(&self, shutdown: &Shutdown) -> Result<Option<Vec<Topic>>, StartError> {
        loop {
            let (settings, region) = (self.options.kafka.clone(), self.options.region.clone());
            let plan = Arc::clone(self.planner.plan());
            let objects = if self.planner.is_live() { ObjectKind::ALL.to_vec() } else { plan.objects() };
            let check = move || check_topics(&settings, &region, &plan, &objects);
            let checked = tokio::task::spawn_blocking(check).await;
            match checked {
                Ok(Ok(topics)) => return Ok(Some(topics)),
                Ok(Err(TopicProblem::Wrong(error))) => return Err(error),
                Ok(Err(TopicProblem::Waiting(reason))) => self.kafka.fail(reason),
                Err(panicked) => return Err(StartError::Stopped(panicked.to_string())),
            }
            if stops(shutdown).await {
                return Ok(None);
            }
        }
    }
}

/// Reads the tenants' configuration where it is a folder, and compiles it.
fn planner(options: &Options) -> Result<Planner, StartError> {
    let store: Arc<dyn TokenStore> = Arc::new(FileStore::new(&options.signin));
    let compiler = Compiler::new(&options.region, options.connectors.as_deref(), store);
    let brokers = (options.kafka.clone(), options.region.clone());
    match options.tenants_from {
        TenantsFrom::Control => Ok(Planner::of_control(compiler, brokers)),
        TenantsFrom::Folder => {
            let name = options.tenants.display().to_string();
            let folders = TenantSet::read_folders(&options.tenants).map_err(StartError::Tenants)?;
            let built = InForce::of_folder(&name, &folders, &Environment).map_err(StartError::Tenants)?;
            Ok(Planner::of_folder(compiler, built, (name, folders), brokers)?)
        }
    }
}

/// Plans are made on a thread of their own, which ends with the engine.
fn start_planner(
    planner: Planner,
    outbound: UnboundedSender<Message>,
) -> Result<std::sync::mpsc::Sender<Ask>, StartError> {
    let (asks, inbox) = std::sync::mpsc::channel();
    let work = move || planner.run(&inbox, &outbound);
    let started = std::thread::Builder::new().name("planner".into()).spawn(work);
    started.map_err(|source| StartError::Io { what: "the planner's thread cannot start".into(), source })?;
    Ok(asks)
}

/// Opening reads all of the store, so not on a thread that serves others.
async fn open_ledger(
    options: LedgerOptions,
    clock: Clock,
    outbound: UnboundedSender<Message>,
    refused: IntCounter,
) -> Result<Ledger, StartError> {
    let open = move || {
        Ledger::open(&options, clock.now().wall, move |written| {
            if let Written::IntentsFailed(tickets) = &written {
                refused.inc_by(tickets.len() as u64);
            }
            outbound.send(Message::Ledger(written)).ok(); // the engine has stopped: nobody listens
        })
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let (ledger, opened) = opened.map_err(|panicked| StartError::Stopped(panicked.to_string()))??;
    if let Opened::SetAside(path) = opened {
        warn!(path = %path.display(), "damaged ledger set aside, restoring from the changelog");
    }
    Ok(ledger)
}

/// Waits a moment. True if the sink is to stop.
async fn stops(shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = shutdown.triggered() => true,
        () = tokio::time::sleep(RETRY) => false,
    }
}

/// How long a confirmed membership allows sending: the group's session time-out less a margin for clocks and pauses.
fn lease(options: &Options) -> Result<Duration, StartError> {
    let session_ms = options.kafka.session_timeout().as_millis() as u64;
    let commit_ms = options.commit_every.as_millis() as u64;
    if session_ms < 4 * commit_ms {
        return Err(StartError::Lease { session_ms, commit_ms });
    }
    Ok(Duration::from_millis(session_ms - session_ms / 5))
}

/// A request at U that shares its Intent must be over when the lease is, with two commits to spare, and before a drain gives
/// up on it: nobody knows its deadline.
fn intents(options: &Options, lease: Duration) -> Intents {
    match options.intents {
        IntentsOption::Each => Intents::Each,
        IntentsOption::Shared => {
            let longest = lease.saturating_sub(2 * options.commit_every).min(options.drain);
            Intents::Shared { upsert_ms: longest.as_millis() as u64 }
        }
    }
}

fn stopped(error: &EngineError) -> StartError {
    StartError::Stopped(format!("{} {}", error.code(), crate::restore::chain(error)))
}
