//! What people read.

use super::{
    Crash,
    proof::Summary,
    tally::Tally,
    world::{World, addresses},
};

/// How each example tenant's ERP protects itself, for the table.
const TARGETS: [(&str, &str); 3] = [
    ("acme", "keyed: honours an idempotency key"),
    ("globex", "upsert: can be looked up"),
    ("initech", "neither: unknown outcomes wait for a person"),
];

/// Prints what was posted where, the table, and the proof.
pub(crate) fn print(world: &World, tally: &Tally, summary: &Summary, crash: Option<&Crash>) {
    println!("\nPosted, one example of each kind:");
    for (accepted, outcome) in tally.examples() {
        let ms = (outcome.settled_at - outcome.accepted_at) as f64 / 1_000.0;
        println!(
            "  {:<8} {:<17} {:<22} → {:<18} {:>8.1} ms{}",
            accepted.tenant,
            outcome.event_type.to_string(),
            outcome.entity,
            outcome.target_document_id.as_deref().unwrap_or("-"),
            ms,
            if accepted.webhook { "  (signed webhook)" } else { "" }
        );
    }
    println!(
        "\n{:<8} {:>8} {:>9} {:>8} {:>10} {:>8} {:>9} {:>9}  target",
        "tenant", "accepted", "committed", "rejected", "superseded", "in doubt", "p50 ms", "p99 ms"
    );
    for (tenant, target) in TARGETS {
        if let Some(row) = summary.tenants.get(tenant) {
            line(tenant, row, target);
        }
    }
    line("all", summary, &format!("{:.0} events/s", summary.events_per_second));
    if let Some(crash) = crash {
        // Outcomes of the time before the kill may be read after it: their own clock tells.
        let next = tally.first_settled_after(crash.killed_at);
        let gap =
            next.map_or_else(|| "-".to_owned(), |at| format!("{:.1} s", (at - crash.killed_at) as f64 / 1e6));
        println!(
            "\nThe sink was killed (SIGKILL) after {} outcomes; the next one came after {gap}.",
            crash.settled
        );
    }
    println!("{} events were sent twice on purpose.", tally.resent());
    println!(
        "\nProof: the gateway's answers against the outcome topic, the dead-letter topics and the ERP's own count"
    );
    println!("  lost          {:>6}", summary.lost);
    println!("  double        {:>6}", summary.duplicates_at_target);
    println!("  out of order  {:>6}", summary.out_of_order);
    if summary.contradicted > 0 {
        println!("  contradicted  {:>6}", summary.contradicted);
    }
    if world.embedded {
        println!(
            "\nThe embedded broker keeps everything in memory; with --bootstrap and --registry the same runs on a real Kafka."
        );
    }
}

fn line(name: &str, row: &Summary, target: &str) {
    println!(
        "{:<8} {:>8} {:>9} {:>8} {:>10} {:>8} {:>9.1} {:>9.1}  {target}",
        name, row.accepted, row.committed, row.rejected, row.superseded, row.in_doubt, row.p50_ms, row.p99_ms
    );
}

/// Prints where to look and how to send an event.
pub(crate) fn invite(world: &World) {
    println!("\nStill running:");
    for (name, url) in addresses(world) {
        println!("  {name:<22} {url}");
    }
    let key = world.secrets.get("COUNTERFOIL_ACME_KEY").map_or("", String::as_str);
    println!("\nSend an event of your own (then look at the ERP's page):\n");
    println!(
        "curl -sS {}/v1/events -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n  -d \
         '{{\"type\":\"customer.created\",\"source\":\"me\",\"source_version\":1,\"occurred_at\":\"2026-01-01T00:00:00Z\",\
         \"data\":{{\"id\":\"CUST-ME\",\"name\":\"My first customer\"}}}}'\n",
        world.gateway_url
    );
    println!("Ctrl-C ends the demo.");
}
