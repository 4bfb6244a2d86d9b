//! One class with one kind of Intents, point after point, in an installation of its own.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use contract::OutcomeStatus;
use event::ObjectKind;
use sandbox::RequestRow;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{
    point::Point,
    relay::{Relay, Running},
};
use crate::{
    check::{self, Violation},
    class::Class,
    cluster::SHORT_SESSION_MS,
    evidence::Evidence,
    moments::{Moments, Window, micros},
    plan::{Fault, Folder},
    rest::{self, Rest},
    source::Change,
    world::{Given, World},
};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// For how long the loop of a sink may stand still: short, for it is waited for, and long for a machine that does five things at once.
const WEDGED: &str = "8s";
/// Records of the changelogs that a restore reads before it is struck: some partitions are complete then, others are not.
const RESTORED: usize = 20;

/// What is tried.
pub struct Lane {
    pub class: Class,
    pub each_intent: bool,
    pub bootstrap: String,
    pub keep: Option<PathBuf>,
    pub points: Vec<Point>,
}

/// A crash at a point, and what became of the event that it struck.
#[derive(Debug, Serialize)]
pub struct Cell {
    point: &'static str,
    class: &'static str,
    intents: &'static str,
    /// How the sink ended.
    died_of: &'static str,
    outcome: String,
    effects: u64,
    /// Writes that the target saw whole.
    writes: usize,
    #[serde(skip)]
    expected: (OutcomeStatus, u64),
    #[serde(skip)]
    found: Option<OutcomeStatus>,
}

impl Cell {
    pub fn is_as_expected(&self) -> bool {
        (self.found, self.effects) == (Some(self.expected.0), self.expected.1)
    }

    /// A person has to look at it, although the class makes that needless.
    pub fn is_manual(&self) -> bool {
        self.found == Some(OutcomeStatus::InDoubt) && self.class != Class::Neither.name()
    }
}

/// An event that was under way when a sink died.
struct Struck {
    point: Point,
    id: String,
    died_of: &'static str,
}

/// The lane while it runs.
struct Run {
    class: Class,
    world: World,
    relay: Running,
    moments: Moments,
    struck: Vec<Struck>,
    /// Events that must be committed whatever happened before them.
    canaries: Vec<String>,
}

impl Lane {
    /// Whether the point says something here that another lane does not say.
    fn has(&self, point: Point) -> bool {
        !self.each_intent || self.class == Class::Neither || point.depends_on_intents()
    }

    fn intents(&self) -> &'static str {
        if self.each_intent { "each" } else { "shared" }
    }

    /// Goes through all points. What became of each, and what is violated in the end.
    pub async fn run(self) -> anyhow::Result<(Vec<Cell>, Vec<Violation>)> {
        let relay = Relay::bind().await?;
        let name = format!("{}-{}", self.class, self.intents());
        let given = Given {
            bootstrap: Some(self.bootstrap.clone()),
            keep: self.keep.as_ref().map(|dir| dir.join(&name)),
            follow: true,
            each_intent: self.each_intent,
            session_ms: Some(SHORT_SESSION_MS),
            in_between: Some(relay.address.clone()),
            ..Given::default()
        };
        let world = Box::pin(World::start_alone(given)).await?;
        let relay = relay.before(world.erp.address.clone());
        let (moments, class) = (Moments::default(), self.class);
        let mut run = Run { class, world, relay, moments, struck: Vec::new(), canaries: Vec::new() };
        for (number, point) in self.points.iter().copied().filter(|point| self.has(*point)).enumerate() {
            let begun = Instant::now();
            let struck = run.strike(number, point).await;
            struck.with_context(|| format!("{name}, {}", point.name()))?;
            eprintln!("{name}: {} ({:.1} s)", point.name(), begun.elapsed().as_secs_f64());
        }
        run.verdict(self.intents()).await
    }
}

impl Run {
    /// An event passes, the next one meets a crash at `point`, a third one comes before another sink does.
    async fn strike(&mut self, number: usize, point: Point) -> anyhow::Result<()> {
        let change = |object, name: &str, version| match point.is_of_refusal() {
            true => Change::refused(format!("{name}-{number}")),
            false => Change::of(object, format!("{name}-{number}"), version),
        };
        // A crash in the middle of a restore needs something that is worth restoring: an Intent that nothing followed.
        let at = if point == Point::MidRestore { Point::IntentAcked } else { point };
        // The second time; of topics that differ, for an Intent that a range of records shares is written once.
        self.spawn(at.cut().is_none().then(|| at.failpoint()))?;
        let first = self.world.door.deliver(self.class, &[change(ObjectKind::Customer, "FIRST", 1)]).await?;
        rest::outcomes(&self.world, &first).await?;
        let reached = at.cut().map(|cut| self.relay.arm(cut));
        let from = micros();
        let struck = change(ObjectKind::Payment, "STRUCK", 1);
        let ids = self.world.door.deliver(self.class, std::slice::from_ref(&struck)).await?;
        let died_of = match reached {
            None => self.dies_at(at).await?,
            Some(reached) => {
                timeout(PATIENCE, reached).await.context("no write came")??;
                ensure!(self.sink().kill().await?, "the sink had ended before it was killed");
                "SIGKILL"
            }
        };
        self.note(number, from);
        self.struck.extend(ids.into_iter().map(|id| Struck { point, id, died_of }));
        if point == Point::MidRestore {
            self.restore_dies(number).await?;
        }
        self.recover(number, &struck).await
    }

    /// A sink without a ledger begins to read one back, and dies of that too.
    async fn restore_dies(&mut self, number: usize) -> anyhow::Result<()> {
        let wiped = self.sink().meddle(Folder::Wiped, &mut fastrand::Rng::with_seed(0))?;
        ensure!(wiped, "the ledger is still there");
        let from = micros();
        self.spawn(Some(format!("{}={RESTORED}*off->return", Point::MidRestore.name())))?;
        self.dies_at(Point::MidRestore).await?;
        self.note(number, from);
        Ok(())
    }

    /// The next version of what was struck comes in, where the target can have one, and something new; then a sink, which brings
    /// everything to its end by itself, and leaves.
    async fn recover(&mut self, number: usize, struck: &Change) -> anyhow::Result<()> {
        let mut later = vec![Change::of(ObjectKind::Payment, format!("LATER-{number}"), 1)];
        if self.class != Class::Neither && !struck.refused {
            later.push(Change::of(struck.object, struck.entity.clone(), 2));
        }
        let later = self.world.door.deliver(self.class, &later).await?;
        self.spawn(None)?;
        let all = self.world.books.with(|pages| pages.issued.keys().cloned().collect::<Vec<_>>());
        rest::outcomes(&self.world, &all).await?;
        self.canaries.extend(later);
        let behind = rest::behind(&self.world).await?;
        ensure!(behind.is_empty(), "not committed to the end: {behind:?}");
        self.sink().drain().await
    }

    /// Holds both ends against each other.
    async fn verdict(self, intents: &'static str) -> anyhow::Result<(Vec<Cell>, Vec<Violation>)> {
        let Self { class, world, moments, struck, canaries, .. } = self;
        let rest = Rest { canaries, behind: rest::behind(&world).await? };
        let evidence = Box::pin(Evidence::gather(&world, rest, moments)).await?;
        let effects = evidence.effects_by_event();
        let intents_seen = evidence.intents.as_ref().context("nobody followed the changelogs")?;
        let own = !intents_seen.own.is_empty();
        ensure!(own == world.each_intent, "the sinks did not use the Intents that they were to use");
        let cell = |Struck { point, id, died_of }: Struck| {
            let found = evidence.outcome(&id).map(|outcome| outcome.status);
            let of_event = |row: &RequestRow| row.event_id.as_ref() == Some(&id) && row.data.is_some();
            Cell {
                point: point.name(),
                class: class.name(),
                intents,
                died_of,
                outcome: found.map_or_else(|| "none".to_owned(), |status| format!("{status:?}")),
                effects: effects.get(id.as_str()).copied().unwrap_or(0),
                writes: evidence.requests.iter().filter(|(_, row)| of_event(row)).count(),
                expected: (point.outcome(class), point.effects(class)),
                found,
            }
        };
        Ok((struck.into_iter().map(cell).collect(), check::violations(&evidence)))
    }

    fn sink(&mut self) -> &mut crate::sinks::Sink {
        &mut self.world.sinks[0]
    }

    /// Starts the sink; it dies where `armed` says so.
    fn spawn(&mut self, armed: Option<String>) -> anyhow::Result<()> {
        let patience =
            |failpoint| vec![("FAILPOINTS", failpoint), ("COUNTERFOIL_WEDGED_AFTER", WEDGED.to_owned())];
        self.sink().spawn_with(armed.map(patience).unwrap_or_default())
    }

    async fn dies_at(&mut self, point: Point) -> anyhow::Result<&'static str> {
        self.sink().aborts(&point.last_words(), PATIENCE).await?;
        Ok("SIGABRT")
    }

    fn note(&mut self, round: usize, from: i64) {
        let to = micros();
        let fault = Fault::KillSink { sink: 0, folder: Folder::Kept };
        self.moments.windows.push(Window { round, fault, from, to });
        self.moments.kills.push(to);
    }
}
