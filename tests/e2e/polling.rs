//! A real ERP as a source: a sale that is changed in Tryton reaches the sandbox, whatever happens in between.

use std::{collections::BTreeSet, fs, process::Command};

use chrono::NaiveDate;
use sandbox::Collection;
use serde_json::{Value, json};
use testkit::{
    Process,
    tryton::{Company, Tryton},
};

use crate::harness::{
    World, blocking,
    services::{Admin, address},
    tenants::{Target, Tenant},
    until,
};

const STUCK: &str = "counterfoil_source_stuck_count";

/// Tryton with a company that sells, and how the tenant of a world polls it.
struct Shop {
    tryton: Tryton,
    company: Company,
}

impl Shop {
    async fn open(world: &World) -> Self {
        let tryton = blocking(|| Tryton::start().unwrap()).await;
        let user = tryton.client().read("res.user.application", 1, &["create_date"]).await.unwrap();
        let part = |name: &str| user["create_date"][name].clone();
        let today =
            json!({"__class__": "date", "year": part("year"), "month": part("month"), "day": part("day")});
        let company = Company::of(tryton.client(), today).await.unwrap();
        let folder = world.folder().join("acme");
        let key = world.path("tryton.key");
        fs::write(&key, tryton.key()).unwrap();
        let connection = format!(
            "connection: tryton\nconnector: tryton\nbase_url: \"{}\"\nvalues: {{database: erp}}\ntoken: \"file:{}\"\n\
             egress: {{allow_private: true}}\n\
             poll: {{source: tryton, objects: [order], every: 200ms, api_key: \"env:ACME_KEY\"}}\n",
            tryton.url(),
            key.display()
        );
        fs::write(folder.join("connections/tryton.yaml"), connection).unwrap();
        fs::write(folder.join("routes/orders.yaml"), "route: orders\non: [\"order.*\"]\nto: erp\n").unwrap();
        Self { tryton, company }
    }

    /// A sale that somebody in Tryton has quoted: its id.
    async fn quoted(&self, reference: &str) -> u64 {
        let customer = self.company.customer(&format!("C-{reference}"), "Müller & Söhne").await.unwrap();
        let sale = self.company.sale(reference, customer, 3).await.unwrap();
        self.tryton.client().press("sale.sale", sale, "quote").await.unwrap();
        sale
    }

    async fn press(&self, sale: u64, button: &str) {
        self.tryton.client().press("sale.sale", sale, button).await.unwrap();
    }

    /// When a sale was changed last, as Tryton says it.
    async fn changed(&self, sale: u64) -> i64 {
        let read = self.tryton.client().read("sale.sale", sale, &["write_date"]).await.unwrap();
        let part = |name: &str| u32::try_from(read["write_date"][name].as_u64().unwrap()).unwrap();
        let day = NaiveDate::from_ymd_opt(part("year") as i32, part("month"), part("day")).unwrap();
        let at = day.and_hms_micro_opt(part("hour"), part("minute"), part("second"), part("microsecond"));
        at.unwrap().and_utc().timestamp_micros()
    }
}

struct Source {
    admin: Admin,
    process: Process,
}

impl Source {
    async fn start(world: &World, gateway: &str) -> Self {
        let admin = address();
        let mut command: Command = crate::harness::counterfoil(&["serve", "source"]);
        command.args(["--admin-listen", &admin, "--gateway", gateway, "--tenants"]).arg(world.folder());
        command.arg("--state").arg(world.path("state")).env("COUNTERFOIL_REGION", &world.region);
        command.envs(world.tenants.iter().flat_map(Tenant::secrets));
        let process = Process::spawn("source", command, &world.path("source.log")).unwrap();
        let source = Self { admin: Admin::new(admin, world.http.clone()), process };
        source.admin.ready(&source.process).await;
        source
    }

    async fn is_stuck(&self) -> bool {
        self.admin.metric(STUCK, "acme/tryton/order").await > 0.0
    }

    async fn kill(self) {
        blocking(move || {
            self.process.sigkill().unwrap();
            assert!(self.process.was_killed().unwrap());
        })
        .await;
    }
}

/// The versions of an order that the sandbox applied, in their order.
async fn versions(world: &World, reference: &str) -> Vec<u64> {
    let effects = world.erp.effects("acme").await;
    effects
        .into_iter()
        .filter(|row| row.external_id == reference)
        .flat_map(|row| row.source_versions)
        .collect()
}

/// How far Tryton was read.
fn place(world: &World) -> Option<i64> {
    let kept = fs::read(world.path("state/acme/tryton/order.json")).ok()?;
    serde_json::from_slice::<Value>(&kept).unwrap()["modified_us"].as_i64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_that_is_changed_in_tryton_reaches_the_sandbox() {
    let acme = Tenant::new("acme", Target::Upsert);
    let world = World::start(std::slice::from_ref(&acme)).await;
    let shop = Shop::open(&world).await;
    let first = shop.quoted("SO-1").await;

    // without a gateway nothing is acknowledged, so nothing is passed over
    let door = address();
    let source = Source::start(&world, &format!("http://{door}")).await;
    until("a poll without a gateway", async || source.is_stuck().await).await;
    assert!(!world.path("state/acme/tryton/order.json").exists(), "the place moved on");
    let gateway = world.gateway_at(&door).await;
    let sink = world.sink("ledger");
    until("the sale", async || versions(&world, "SO-1").await.len() == 1).await;
    assert!(!source.is_stuck().await);

    // changed there: it arrives as a newer version of the same document
    shop.press(first, "confirm").await;
    until("the change", async || versions(&world, "SO-1").await.len() >= 2).await;

    // changed while nobody asks; what was told before the kill is told again, and posted once
    source.kill().await;
    let second = shop.quoted("SO-2").await;
    shop.press(second, "confirm").await;
    let source = Source::start(&world, &format!("http://{door}")).await;
    until("the second sale", async || !versions(&world, "SO-2").await.is_empty()).await;
    until("an outcome of the last change of each", async || {
        let last = [("SO-1", shop.changed(first).await), ("SO-2", shop.changed(second).await)];
        let outcomes = world.outcomes.by_event();
        let is_over = |(entity, version): &(&str, i64)| {
            outcomes.values().any(|outcome| outcome.entity == *entity && outcome.source_version == *version)
        };
        last.iter().all(is_over) && place(&world) == Some(last[1].1)
    })
    .await;
    assert!(source.process.status().unwrap().is_none(), "it ended: {}", source.process.tail());

    let events: Vec<String> = world.outcomes.by_event().into_keys().collect();
    world.proven(&acme, &events).await;
    for reference in ["SO-1", "SO-2"] {
        let applied = versions(&world, reference).await;
        let distinct: BTreeSet<u64> = applied.iter().copied().collect();
        assert_eq!(distinct.len(), applied.len(), "{reference} was applied twice: {applied:?}");
    }
    assert_eq!(world.erp.documents("acme", Collection::Orders).await, 2);
    assert!(world.topics.dead_letters(Some(&acme.id())).await.is_empty());
    sink.drains().await;
    gateway.drains().await;
}
