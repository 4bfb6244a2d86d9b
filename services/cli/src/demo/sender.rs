//! The tenants' systems: they send, sign, wait when told to, and now and then send something twice.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use sha2::Sha256;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    feed::{Feed, Item, Story, TENANTS},
    tally::{Accepted, Tally},
    world::World,
};

/// Systems of one tenant that send at the same time.
const WORKERS: usize = 4;
/// Most canonical events in one request.
const BATCH: usize = 50;
/// Every so many batches is sent twice, as a source does that missed the answer.
const RESEND_EVERY: usize = 20;
/// How often a request is tried before the demo gives up.
const TRIES: usize = 60;

/// Sends the feed.
pub(crate) struct Sender {
    http: Client,
    gateway: String,
    secrets: Arc<HashMap<String, String>>,
    tally: Arc<Tally>,
}

#[derive(Deserialize)]
struct Answer {
    accepted: Vec<AcceptedEvent>,
}

#[derive(Deserialize)]
struct AcceptedEvent {
    event_id: String,
}

impl Sender {
    /// A sender to the world's gateway.
    pub(crate) fn new(world: &World, tally: Arc<Tally>) -> anyhow::Result<Self> {
        let http = Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, gateway: world.gateway_url.clone(), secrets: Arc::clone(&world.secrets), tally })
    }

    /// Sends everything. Stories of one tenant go side by side, the items of a story one after the other.
    pub(crate) async fn send_all(self, feed: Feed) -> anyhow::Result<()> {
        let sender = Arc::new(self);
        let mut workers = JoinSet::new();
        let mut queues = HashMap::new();
        for tenant in TENANTS {
            for worker in 0..WORKERS {
                let (queue, stories) = mpsc::channel(16);
                queues.insert((tenant, worker), queue);
                workers.spawn(Arc::clone(&sender).work(tenant, stories));
            }
        }
        for (number, story) in feed.enumerate() {
            let queue = &queues[&(story.tenant, number / TENANTS.len() % WORKERS)];
            if queue.send(story).await.is_err() {
                break; // its worker has failed, and says why below
            }
        }
        drop(queues);
        while let Some(ended) = workers.join_next().await {
            ended.context("a sender panicked")??;
        }
        Ok(())
    }

    async fn work(
        self: Arc<Self>,
        tenant: &'static str,
        mut stories: mpsc::Receiver<Story>,
    ) -> anyhow::Result<()> {
        let (mut batch, mut batches) = (Vec::new(), 0);
        while let Some(story) = stories.recv().await {
            for item in story.items {
                match item {
                    Item::Canonical(event) => batch.push(event),
                    Item::Webhook { connection, headers, body } => {
                        self.webhook(tenant, connection, &headers, &body).await?;
                    }
                }
            }
            if batch.len() >= BATCH || stories.is_empty() {
                batches += 1;
                self.events(tenant, std::mem::take(&mut batch), batches % RESEND_EVERY == 0).await?;
            }
        }
        self.events(tenant, batch, false).await
    }

    async fn events(
        &self,
        tenant: &'static str,
        batch: Vec<serde_json::Value>,
        twice: bool,
    ) -> anyhow::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let key = self.secret(&format!("COUNTERFOIL_{}_KEY", tenant.to_uppercase()))?;
        for _ in 0..=usize::from(twice) {
            let request =
                || self.http.post(format!("{}/v1/events", self.gateway)).bearer_auth(key).json(&batch);
            self.deliver(request, &Accepted { tenant, webhook: false }).await?;
        }
        Ok(())
    }

    async fn webhook(
        &self,
        tenant: &'static str,
        connection: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> anyhow::Result<()> {
        let variable = format!("COUNTERFOIL_{}_{}_SECRET", tenant.to_uppercase(), connection.to_uppercase());
        let secret = self.secret(&variable)?;
        let request = || {
            let url = format!("{}/v1/webhooks/{tenant}/{connection}", self.gateway);
            let mut request =
                self.http.post(url).header("content-type", "application/json").body(body.to_owned());
            for (name, value) in headers.iter().filter(|(name, _)| name != "content-type") {
                request = request.header(name, value);
            }
            let (name, value) = signature(connection, secret, body);
            request.header(name, value)
        };
        self.deliver(request, &Accepted { tenant, webhook: true }).await
    }

    /// Sends until the gateway has accepted, waiting as it asks.
    async fn deliver(&self, request: impl Fn() -> RequestBuilder, accepted: &Accepted) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            let response = request().send().await.context("the gateway does not answer")?;
            let status = response.status();
            let wait = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
            match status {
                StatusCode::ACCEPTED => {
                    let answer: Answer = response.json().await.context("the gateway's answer")?;
                    self.tally.accept(answer.accepted.into_iter().map(|a| a.event_id).collect(), accepted);
                    return Ok(());
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(Duration::from_secs_f64(wait.unwrap_or(1.0))).await;
                }
                _ => bail!(
                    "the gateway refuses an event of the feed ({status}): {}",
                    response.text().await.unwrap_or_default()
                ),
            }
        }
        bail!("the gateway did not accept an event after {TRIES} tries")
    }

    fn secret(&self, variable: &str) -> anyhow::Result<&str> {
        self.secrets.get(variable).map(String::as_str).with_context(|| format!("no secret {variable}"))
    }
}

/// The vendor's signature header over `body`.
fn signature(connection: &str, secret: &str, body: &str) -> (&'static str, String) {
    let mac = |text: &[u8]| {
        // HMAC takes keys of any length.
        Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
            .unwrap_or_default()
    };
    if connection == "shopify" {
        let digest = base64::engine::general_purpose::STANDARD.encode(mac(body.as_bytes()));
        return ("X-Shopify-Hmac-Sha256", digest);
    }
    let now = unix_seconds();
    let digest = hex::encode(mac(format!("{now}.{body}").as_bytes()));
    ("Stripe-Signature", format!("t={now},v1={digest}"))
}

/// Seconds since 1970-01-01 UTC.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Microseconds since 1970-01-01 UTC.
pub(crate) fn unix_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64
}
