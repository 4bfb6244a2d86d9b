//! One mutant in an installation of its own: the same trouble with sound sinks, then with broken ones.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use event::ObjectKind;
use tokio::time::{Instant, timeout};

use super::{
    finding::{Finding, Trace},
    mutant::Mutant,
};
use crate::{
    check,
    cluster::SHORT_SESSION_MS,
    evidence::Evidence,
    moments::{Moments, Window, micros},
    plan::{Fault, Folder},
    points::relay::{Cut, Relay, Running},
    rest::{self, Rest},
    sinks::Sink,
    source::Change,
    world::{Given, World},
};

/// How long a write may take to its target.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Lane {
    pub mutant: Mutant,
    pub bootstrap: String,
    pub keep: Option<PathBuf>,
}

/// The lane while it runs.
struct Run {
    mutant: Mutant,
    world: World,
    relay: Running,
    moments: Moments,
    /// Events that nothing happened to.
    canaries: Vec<String>,
}

impl Lane {
    /// What the checks say of sound sinks, and of broken ones.
    pub async fn run(self) -> anyhow::Result<Finding> {
        let Self { mutant, bootstrap, keep } = self;
        let relay = Relay::bind().await?;
        let given = Given {
            bootstrap: Some(bootstrap),
            keep: keep.map(|dir| dir.join(mutant.name())),
            follow: true,
            session_ms: Some(SHORT_SESSION_MS),
            in_between: Some(relay.address.clone()),
            ..Given::default()
        };
        let world = Box::pin(World::start_alone(given)).await?;
        let relay = relay.before(world.erp.address.clone());
        let mut run = Run { mutant, world, relay, moments: Moments::default(), canaries: Vec::new() };
        let begun = Instant::now();
        let sound = run.trouble("SOUND", None).await.context("sound sinks")?;
        let of_sound = begun.elapsed().as_secs_f64();
        let broken = run.trouble("BROKEN", Some(mutant.failpoint())).await.context("broken sinks")?;
        let both = begun.elapsed().as_secs_f64();
        eprintln!("{}: sound {of_sound:.1} s, broken {:.1} s", mutant.name(), both - of_sound);
        Ok(Finding { mutant, sound, broken })
    }
}

impl Run {
    /// An event passes; the answer to the write of the next one is lost after the target has applied it. Everything comes to its end
    /// by itself; what the checks say then.
    async fn trouble(&mut self, name: &str, armed: Option<String>) -> anyhow::Result<Trace> {
        let class = self.mutant.class();
        self.spawn(armed.clone())?;
        let change = |object, which| [Change::of(object, format!("{name}-{which}"), 1)];
        let first = self.world.door.deliver(class, &change(ObjectKind::Customer, "FIRST")).await?;
        rest::outcomes(&self.world, &first).await?;
        self.canaries.extend(first);
        let reached = self.relay.arm(Cut::NoAnswer);
        let from = micros();
        let struck = self.world.door.deliver(class, &change(ObjectKind::Payment, "STRUCK")).await?;
        timeout(PATIENCE, reached).await.context("no write came")??;
        if self.mutant.is_of_takeover() {
            self.take_over(from, armed).await?;
        }
        rest::outcomes(&self.world, &struck).await?;
        let behind = rest::behind(&self.world).await?;
        self.sink().drain().await?;
        let rest = Rest { canaries: self.canaries.clone(), behind };
        let evidence = Box::pin(Evidence::gather(&self.world, rest, self.moments.clone())).await?;
        trace(&evidence, struck.first().context("nothing was accepted")?)
    }

    /// SIGKILL, nothing left of the ledger, and another one.
    async fn take_over(&mut self, from: i64, armed: Option<String>) -> anyhow::Result<()> {
        ensure!(self.sink().kill().await?, "the sink had ended before it was killed");
        let wiped = self.sink().meddle(Folder::Wiped, &mut fastrand::Rng::with_seed(0))?;
        ensure!(wiped, "the ledger is still there");
        let to = micros();
        let fault = Fault::KillSink { sink: 0, folder: Folder::Wiped };
        self.moments.windows.push(Window { round: self.moments.kills.len(), fault, from, to });
        self.moments.kills.push(to);
        self.spawn(armed)
    }

    fn sink(&mut self) -> &mut Sink {
        &mut self.world.sinks[0]
    }

    /// Without copies: what a successor knows, it has from its own restore.
    fn spawn(&mut self, armed: Option<String>) -> anyhow::Result<()> {
        let mut environment = vec![("COUNTERFOIL_STANDBY", "false".to_owned())];
        environment.extend(armed.map(|failpoint| ("FAILPOINTS", failpoint)));
        self.sink().spawn_with(environment)
    }
}

/// What became of the event whose answer was lost, and what is violated.
fn trace(evidence: &Evidence, struck: &str) -> anyhow::Result<Trace> {
    let rows = evidence.requests.iter().map(|(_, row)| row);
    let writes: Vec<_> =
        rows.filter(|row| row.event_id.as_deref() == Some(struck) && row.data.is_some()).collect();
    let keys: HashSet<&str> = writes.iter().filter_map(|row| row.key.as_deref()).collect();
    Ok(Trace {
        event: struck.to_owned(),
        outcome: evidence.outcome(struck).map(|outcome| outcome.status),
        effects: evidence.effects_by_event().get(struck).copied().unwrap_or(0),
        writes: writes.len(),
        keys: keys.len(),
        violations: check::violations(evidence),
    })
}
