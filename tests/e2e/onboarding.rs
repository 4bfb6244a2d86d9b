//! A tenant is onboarded, changed and removed while gateway and sink run, with `counterfoil tenants plan` and `apply`; another one sends all the
//! time, and notices nothing.

use std::{fs, path::PathBuf, process::Command};

use contract::OutcomeStatus;
use sandbox::Change;
use serde_json::Value;

use crate::harness::{
    World, counterfoil,
    events::customer,
    fails,
    stream::Stream,
    succeeds,
    tenants::{Target, Tenant},
    until,
};

fn tenants(world: &World, command: &str, arguments: &[&str]) -> Command {
    let mut tenants = counterfoil(&["tenants", command]);
    tenants.args(["--bootstrap", &world.cluster.bootstrap, "--region", &world.region, "--replication", "1"]);
    tenants.arg("--tenants").arg(world.folder()).args(arguments);
    tenants
}

/// Plans, and applies what was planned.
async fn apply(world: &World, arguments: &[&str]) -> Value {
    let file = world.path("plan.json");
    let plan = tenants(world, "plan", &["--out", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(plan.status.code(), Some(2), "changes are pending: {plan:?}");
    let file = file.to_str().unwrap().to_owned();
    let apply = [&["--plan", &file, "--operator", "kim", "--reason", "a test", "--json"], arguments].concat();
    serde_json::from_str(&succeeds(tenants(world, "apply", &apply)).await).unwrap()
}

/// The folder of a tenant whose secrets come as files.
fn write(world: &World, tenant: &Tenant) -> PathBuf {
    tenant.write(&world.folder(), &world.region, &world.erp.url);
    let (folder, key) = (world.folder().join(&tenant.id), world.path(&format!("{}.key", tenant.id)));
    fs::write(&key, &tenant.key).unwrap();
    fs::remove_file(folder.join("connections/stripe.yaml")).unwrap();
    let reference = format!("env:{}_KEY", tenant.id.to_uppercase());
    edit(&folder.join("tenant.yaml"), &reference, &format!("file:{}", key.display()));
    folder
}

fn edit(file: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

async fn committed(world: &World, events: &[String]) {
    until("every event to be committed", async || {
        let ended = |event: &String| {
            let outcomes = world.outcomes.of_event(event);
            outcomes.iter().any(|outcome| outcome.status == OutcomeStatus::Committed)
        };
        events.iter().all(ended)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_onboarded_changed_and_removed_without_a_restart() {
    let resident = Tenant::new("resident", Target::Upsert);
    let mut world = World::start(std::slice::from_ref(&resident)).await;
    world.live = true;
    apply(&world, &[]).await;
    let (gateway, sink) = (world.gateway().await, world.sink("ledger"));
    let stream = Stream::start(&gateway.door, std::slice::from_ref(&resident));

    let newcomer = Tenant::new("newcomer", Target::Keyed);
    world.erp.change(&newcomer.id, newcomer.target.account()).await;
    let folder = write(&world, &newcomer);
    let refused = gateway.door.send(&newcomer, &[customer("C-0", 1)]).await.unwrap();
    assert_eq!(refused.status, 401);
    apply(&world, &[]).await;
    let mut first = Vec::new();
    until("the gateway to let the newcomer in", async || {
        let answer = gateway.door.send(&newcomer, &[customer("C-1", 1)]).await.unwrap();
        first = answer.accepted();
        answer.status == 202
    })
    .await;
    committed(&world, &first).await;

    // Its ERP moves: what waits goes to the new address.
    let connection = folder.join("connections/erp.yaml");
    edit(&connection, &format!("{}/newcomer", world.erp.url), "http://127.0.0.1:1/newcomer");
    apply(&world, &[]).await;
    let waiting = gateway.door.accepts(&newcomer, &[customer("C-2", 1)]).await;
    edit(&connection, "http://127.0.0.1:1/newcomer", &format!("{}/newcomer", world.erp.url));
    // A plan that was made before another one was applied is refused.
    let stale = world.path("stale.json");
    let stale = stale.to_str().unwrap();
    tenants(&world, "plan", &["--out", stale]).output().unwrap();
    apply(&world, &[]).await;
    edit(&folder.join("tenant.yaml"), "name: newcomer", "name: Newcomer");
    let again = fails(tenants(&world, "apply", &["--plan", stale, "--operator", "kim"])).await;
    assert!(again.contains("CFG-0130"), "{again}");
    committed(&world, &waiting).await;
    assert_eq!(world.erp.totals(&newcomer.id).await.effects, 2);

    // It goes. Its key lets nobody in, and what still waited is kept.
    world.erp.change(&newcomer.id, Change { down: Some(true), ..Change::default() }).await;
    let left = gateway.door.accepts(&newcomer, &[customer("C-3", 1)]).await;
    fs::remove_dir_all(&folder).unwrap();
    apply(&world, &["--remove", "newcomer"]).await;
    until("the gateway to let the newcomer in no more", async || {
        gateway.door.send(&newcomer, &[customer("C-4", 1)]).await.unwrap().status == 401
    })
    .await;
    until("what is left to be over", async || {
        world
            .outcomes
            .of_event(&left[0])
            .last()
            .is_some_and(|o| matches!(o.status, OutcomeStatus::Rejected | OutcomeStatus::InDoubt))
    })
    .await;

    let accepted = stream.end().await;
    world.all_committed(&resident, &accepted["resident"]).await;
    assert_eq!(sink.admin.metric("counterfoil_sink_invariant_violations_count", "").await, 0.0);
    sink.drains().await;
    gateway.drains().await;
}
