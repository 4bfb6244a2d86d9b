//! What is sent is what the mapping of the route makes; what it refuses is refused on that route alone.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, fs};

use common::World;
use contract::OutcomeStatus;
use sandbox::Change;
use serde_json::{Value, json};

/// A second route for customers, with a mapping of its own.
fn configure(world: &World, base: &str) -> std::path::PathBuf {
    let acme = world.dir.path().join("tenants/acme");
    let write = |file: &str, text: &str| {
        let path = acme.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "routes/customers.yaml",
        "route: customers\non: [\"customer.*\"]\nto: erp\nmapping:\n  rules:\n  - {must: '.name != \"NOBODY\"', \
         message: a customer has a name, field: name}\n",
    );
    write(
        "mappings/customers.vrl",
        ".name = upcase(.name)\n.tags = push(.tags, \"from \" + %event.tenant)\n",
    );
    // The folder of connectors has the sandbox's definition, and a base mapping for it.
    let connectors = world.dir.path().join("connectors");
    let definition = concat!(env!("CARGO_MANIFEST_DIR"), "/../../connectors/sandbox.yaml");
    fs::create_dir_all(connectors.join("sandbox/mappings")).unwrap();
    fs::copy(definition, connectors.join("sandbox.yaml")).unwrap();
    fs::write(connectors.join("sandbox/mappings/customer.vrl"), base).unwrap();
    connectors
}

/// The customers at the target, by reference.
async fn customers(world: &World) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for id in ["C-1", "C-2", "C-3"] {
        let url = format!("{}/acme/api/v1/customers/by-external-id/{id}", world.erp.url());
        let answer = reqwest::Client::new().get(url).bearer_auth("x").send().await.unwrap();
        if answer.status().is_success() {
            found.insert(id.to_owned(), answer.json().await.unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn base_overlay_and_rules_make_what_the_target_gets() {
    let world = World::start("upsert").await;
    let base = "if .kind == \"PERSON\" { abort \"persons are not kept there\" }\n.website = \"https://example.com/by-the-base\"";
    let connectors = configure(&world, base);
    let sink = world.sink_with(sink::Options { connectors: Some(connectors), ..world.options() }).await;
    world
        .customer("C-1", 1, |data| (data["name"], data["kind"]) = (json!("Ann"), json!("ORGANIZATION")))
        .await;
    world
        .customer("C-2", 1, |data| (data["name"], data["kind"]) = (json!("Nobody"), json!("ORGANIZATION")))
        .await;
    world.customer("C-3", 1, |data| data["kind"] = json!("PERSON")).await;
    world.pay("PAY-1", 1).await;
    let outcomes = world.settled(4).await;
    sink.stop().await;
    assert_eq!(world.totals().requests, 2, "what is refused here is not sent");

    let of = |entity: &str| outcomes.iter().find(|outcome| outcome.entity == entity).unwrap();
    let told =
        ["PAY-1", "C-1", "C-2", "C-3"].map(|entity| (of(entity).status, of(entity).error_code.as_deref()));
    let (committed, rejected) = (OutcomeStatus::Committed, OutcomeStatus::Rejected);
    let expected =
        [(committed, None), (committed, None), (rejected, Some("SNK-0061")), (rejected, Some("SNK-0060"))];
    assert_eq!(told, expected);
    let there = customers(&world).await;
    assert_eq!(there.keys().collect::<Vec<_>>(), ["C-1"]);
    let text = there["C-1"].to_string();
    assert!(text.contains("ANN") && text.contains("by-the-base") && text.contains("from acme"), "{text}");
    let mut letters: Vec<_> =
        world.dead_letters().await.iter().map(|l| common::header(l, "cf-message").unwrap()).collect();
    letters.sort();
    assert!(
        letters[0].contains("persons are not kept there") && letters[0].contains("customer.vrl"),
        "{letters:?}"
    );
    assert_eq!(letters[1], "name: a customer has a name");
}

/// A mapping that cannot be is said at the start, with its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_does_not_start_with_a_mapping_that_does_not_compile() {
    let world = World::start("upsert").await;
    let connectors = configure(&world, ".website = .nmae");
    let options = sink::Options { connectors: Some(connectors), ..world.options() };
    let examined = sink::examine(
        &tenancy::TenantSet::load(&options.tenants, &tenancy::Offline).unwrap(),
        "tenants",
        options.connectors.as_deref(),
    );
    let told = examined.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(told.contains("customer.vrl:1:12: CFG-0220") && told.contains("did you mean `name`?"), "{told}");
}

/// A mapping that refuses now what an earlier one let out does not make "it was sent, perhaps" into "it was not".
#[tokio::test(flavor = "multi_thread")]
async fn what_was_perhaps_sent_before_the_mapping_changed_is_in_doubt_and_not_rejected() {
    for class in ["keyed", "upsert"] {
        let world = World::start(class).await;
        let connectors = configure(&world, ".note = \"before\"");
        let options = || sink::Options { connectors: Some(connectors.clone()), ..world.options() };
        world.change(Change { drop_answer_next: Some(1_000), ..Change::default() });
        let sink = world.sink_with(options()).await;
        world.customer("C-1", 1, |_| {}).await;
        common::eventually("the effect", async || world.totals().documents == 1).await;
        sink.stop().await; // it was never answered
        configure(&world, "abort \"nothing goes there any more\"");
        world.change(Change { drop_answer_next: Some(0), ..Change::default() });
        let sink = world.sink_with(options()).await;
        world.customer("C-2", 1, |_| {}).await;
        let outcomes = world.settled(2).await;
        sink.stop().await;
        let of = |entity: &str| outcomes.iter().rfind(|outcome| outcome.entity == entity).unwrap();
        assert_eq!(of("C-1").status, OutcomeStatus::InDoubt, "{class}: {:?}", of("C-1"));
        // Of this one nothing was sent for certain; at class K nobody can tell, if an earlier owner's range covers it.
        let sure = [OutcomeStatus::Rejected, OutcomeStatus::InDoubt].contains(&of("C-2").status);
        assert!(sure, "{class}: {:?}", of("C-2"));
        assert_eq!(world.totals().documents, 1, "{class}");
    }
}
