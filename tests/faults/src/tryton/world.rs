//! An installation whose only target is Tryton, with a proxy between the two.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail, ensure};
use contract::Outcome;
use serde_json::Value;
use testkit::{Scratch, free_port};
use tokio::time::Instant;

use super::company::{Bill, Company};
use crate::{
    cluster::{Cluster, Size},
    sinks::Sink,
    topic::{Behind, Outcomes, Topics},
    world::{self, Gateway, Manner, Pace, Place},
};

/// The proxy between the sinks and the ERP.
pub const TRYTON: &str = "tryton";
const TENANT: &str = "shop";
const API_KEY: &str = "shop-key-0123456789";
/// How long the ERP is waited for: an operation takes it about a second, and more on a busy machine.
const TIMEOUT: &str = "5s";
/// How long a request at the gateway may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the gateway may refuse before the run gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// The most events of a request to the gateway.
const BATCH: usize = 50;

pub struct World {
    pub cluster: Cluster,
    pub company: Company,
    pub sinks: Vec<Sink>,
    topics: Topics,
    outcomes: Outcomes,
    gateway: Gateway,
    group: String,
    http: reqwest::Client,
    proxy: u16,
    _scratch: Option<Scratch>,
}

impl World {
    /// Starts everything, and one sink.
    pub async fn start(keep: Option<std::path::PathBuf>) -> anyhow::Result<Self> {
        let company = Company::start().await.context("the ERP")?;
        let cluster = Cluster::start(Size::One, None, None).await?;
        let region = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let (dir, scratch) = world::folder(keep)?;
        let http = reqwest::Client::new();
        let proxy = free_port()?;
        cluster.proxies.proxy(TRYTON, proxy, &format!("127.0.0.1:{}", company.tryton.port())).await?;
        tenant(&dir.join("tenants"), &region, proxy)?;
        world::prepare(&cluster, &region, &dir.join("tenants")).await?;
        let topics = Topics::new(&cluster.bootstrap, &region)?;
        let outcomes = Outcomes::watch(&topics, &cluster.registry).await?;
        let secrets = vec![
            ("SHOP_KEY".to_owned(), API_KEY.to_owned()),
            ("TRYTON_KEY".to_owned(), company.tryton.key().to_owned()),
        ];
        let place = Place { cluster: &cluster, region: &region, dir: &dir, secrets };
        let gateway = Gateway::start(&place, &http).await?;
        let group = format!("{region}-sink");
        let manner = Manner { pace: Pace::Default, each_intent: false, redb_too: false };
        let mut sinks = world::sinks(&place, &group, manner, &http)?;
        sinks.truncate(2);
        sinks[0].spawn()?;
        Ok(Self { cluster, company, sinks, topics, outcomes, gateway, group, http, proxy, _scratch: scratch })
    }

    /// The ERP's address, as the sinks know it.
    pub fn through_proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy)
    }

    /// Sends events until the gateway has taken all of them.
    pub async fn deliver(&self, bills: &[Bill]) -> anyhow::Result<()> {
        for batch in bills.chunks(BATCH) {
            let events: Vec<Value> =
                batch.iter().map(|bill| bill.event(&self.company.today)).collect::<anyhow::Result<_>>()?;
            let deadline = Instant::now() + PATIENCE;
            while let Some(refusal) = self.offer(&events).await? {
                ensure!(Instant::now() < deadline, "the gateway does not take the events: {refusal}");
                tokio::time::sleep(POLL).await;
            }
            self.company.issue(batch);
        }
        Ok(())
    }

    /// Sends once: why the gateway does not take them now, or nothing.
    async fn offer(&self, events: &[Value]) -> anyhow::Result<Option<String>> {
        let request =
            self.http.post(format!("http://{}/v1/events", self.gateway.listen)).bearer_auth(API_KEY);
        let answer = request.json(events).timeout(ANSWER).send().await.context("the gateway")?;
        match answer.status().as_u16() {
            202 => Ok(None),
            429 | 503 => Ok(Some(answer.text().await?)),
            status => bail!("the gateway says {status}: {}", answer.text().await?),
        }
    }

    /// How many events have an outcome.
    pub fn settled(&self) -> anyhow::Result<usize> {
        Ok(self.outcomes.by_event().len())
    }

    /// Requests under way at the ERP.
    pub async fn requests(&self) -> f64 {
        let mut all = 0.0;
        for sink in &self.sinks {
            all += sink.now("counterfoil_sink_load_count", "what=\"requests\"").await;
        }
        all
    }

    /// Fails if a part ended that nobody touched; sinks that ended are started again, and complained of.
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        for sink in &mut self.sinks {
            sink.supervise()?;
        }
        self.gateway.alive()
    }

    /// Partitions whose end the group has not committed, in the time that it is given for that.
    pub async fn behind(&self) -> anyhow::Result<Vec<Behind>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let behind = self.topics.behind(&self.group).await?;
            if behind.is_empty() || Instant::now() > deadline {
                return Ok(behind);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sinks that ended although nobody told them to.
    pub fn complaints(&self) -> Vec<&str> {
        self.sinks.iter().flat_map(|sink| &sink.ended_by_itself).map(String::as_str).collect()
    }

    /// Waits until so many events have an outcome, and gives the last outcome of each.
    pub async fn rest(&mut self, events: usize, patience: Duration) -> anyhow::Result<Vec<Outcome>> {
        let deadline = Instant::now() + patience;
        while self.settled()? < events && Instant::now() < deadline {
            self.supervise()?;
            tokio::time::sleep(POLL).await;
        }
        Ok(self.outcomes.by_event().into_values().filter_map(|mut of_event| of_event.pop()).collect())
    }
}

/// One tenant, one connection, one route. The connection takes one posting after the other, as the raw calls are made.
fn tenant(folder: &Path, region: &str, proxy: u16) -> anyhow::Result<()> {
    let file = |path: &str, text: String| -> anyhow::Result<()> {
        let path = folder.join(TENANT).join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    file(
        "tenant.yaml",
        format!(
            "tenant: {TENANT}\nname: Shop\nregion: {region}\napi_keys: [{{id: one, secret: \"env:SHOP_KEY\"}}]\n\
             quota: {{events_per_second: 10000, burst: 10000}}\n"
        ),
    )?;
    file(
        "connections/erp.yaml",
        format!(
            "connection: erp\nconnector: tryton\nbase_url: \"http://127.0.0.1:{proxy}\"\nvalues: {{database: erp}}\ntoken: \"env:TRYTON_KEY\"\n\
             egress: {{allow_private: true}}\nlimits: {{concurrency: 1}}\ntimeout: {TIMEOUT}\n"
        ),
    )?;
    file("routes/invoices.yaml", "route: invoices\non: [\"invoice.posted\"]\nto: erp\n".to_owned())
}
