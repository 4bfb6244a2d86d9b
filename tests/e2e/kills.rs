//! The sink is killed again and again while events stream in: nothing is lost, nothing is double.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use contract::{Outcome, OutcomeStatus};
use event::ObjectKind;
use sandbox::Change;

use crate::harness::{
    World,
    services::Sink,
    stream::Stream,
    tenants::{Target, Tenant},
    until,
};

const KILLS: usize = 20;
/// One kill in so many comes while the new sink is still joining and restoring.
const EARLY: usize = 5;

/// The moment after which a killed sink was gone, in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Kill(i64);

impl Kill {
    pub async fn of(sink: Sink) -> Self {
        sink.kill().await;
        Self(micros())
    }

    /// A moment in which something other than a kill happens.
    pub fn now() -> Self {
        Self(micros())
    }

    /// Whether the posting was under way: a request of it was intended, and its outcome was not known.
    pub fn hit(self, outcome: &Outcome) -> bool {
        outcome.first_attempt_at.is_some_and(|at| at <= self.0 && outcome.settled_at >= self.0)
    }
}

fn micros() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// A target that is busy for 20 to 50 ms with each request: there is always one that a kill can hit.
pub fn slow(seed: u64) -> Change {
    Change { latency_ms: Some(20), jitter_ms: Some(30), seed: Some(seed), ..Change::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_and_double_nothing() {
    let seed = std::env::var("E2E_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("E2E_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let tenants = Tenant::of_each_kind();
    let world = World::start(&tenants).await;
    for tenant in &tenants {
        world.erp.change(&tenant.id, slow(seed)).await;
    }
    let gateway = world.gateway().await;
    let stream = Stream::start(&gateway.door, &tenants);
    let mut sink = world.sink("ledger");
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        if kill % EARLY == EARLY - 1 {
            wait(&mut dice, 3_000).await;
        } else {
            requests_go_out(&world, &sink).await;
            wait(&mut dice, 700).await;
        }
        kills.push(Kill::of(sink).await);
        sink = world.sink("ledger");
    }
    let accepted = stream.end().await;

    for tenant in &tenants {
        let accepted = &accepted[&tenant.id];
        let outcomes = world.proven(tenant, accepted).await;
        let hit = |o: &&Outcome| kills.iter().any(|kill| kill.hit(o));
        let hits = outcomes.values().filter(hit).count();
        let in_doubt = outcomes.values().filter(|o| o.status == OutcomeStatus::InDoubt).count();
        let requests = world.erp.requests(&tenant.id).await;
        println!(
            "{}: {} events, {hits} hit by a kill, {in_doubt} in doubt, {requests:?}",
            tenant.id,
            accepted.len()
        );
        assert!(hits > 0, "no kill met a request in flight");
        for outcome in outcomes.values() {
            let doubtful = tenant.target == Target::Neither && hit(&outcome);
            let expected = if doubtful { OutcomeStatus::InDoubt } else { OutcomeStatus::Committed };
            assert_eq!(outcome.status, expected, "{outcome:?}\n{kills:?}");
            assert!(!doubtful || outcome.error_code.as_deref() == Some("SNK-0010"), "{outcome:?}");
        }
        match tenant.target {
            Target::Keyed => assert!(requests.replayed > 0, "no key ever stopped a duplicate"),
            Target::Upsert => assert!(requests.reads > 0, "no unknown outcome was ever looked up"),
            Target::Neither => assert_eq!(requests.writes, world.erp.totals(&tenant.id).await.effects),
        }
        assert!(world.topics.dead_letters(Some(&tenant.id())).await.is_empty());
    }
    assert!(world.topics.dead_letters(None).await.is_empty());
    for object in [ObjectKind::Customer, ObjectKind::Payment] {
        world.topics.committed_to_the_end(&world.group(), object).await;
    }
    assert_eq!(sink.admin.metric("counterfoil_sink_invariant_violations_count", "").await, 0.0);
    sink.drains().await;
    gateway.drains().await;
}

/// Waits until the ERP sees requests that it had not seen before.
async fn requests_go_out(world: &World, sink: &Sink) {
    let seen =
        async || world.erp.accounts().await.values().map(|account| account.totals.requests).sum::<u64>();
    let before = seen().await;
    until("requests of the sink", async || {
        assert!(sink.process.status().unwrap().is_none(), "it ended: {}", sink.process.tail());
        seen().await > before
    })
    .await;
}

/// The fault's own timing.
async fn wait(dice: &mut fastrand::Rng, most_ms: u64) {
    tokio::time::sleep(Duration::from_millis(dice.u64(0..most_ms))).await;
}
