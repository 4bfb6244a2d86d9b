//! localstripe: a server with Stripe's API that sends signed webhooks.
//!
//! What it sends, seen with release 1.15.10 (recorded in `connectors/stripe/tests/`): `customer.created`,
//! `customer.updated`, `customer.deleted`, `product.created`, `plan.created`, `customer.subscription.created`,
//! `customer.subscription.deleted`, `invoice.created` (always a draft), `invoice.payment_succeeded`,
//! `invoice.payment_failed` (SEPA debit only), `payment_intent.succeeded`, `payment_intent.payment_failed`,
//! `payout.created`, `payout.paid`. It has no `invoice.finalized`, `invoice.paid` or `charge.*` events, and invoices
//! come from subscriptions only. Every event is sent once, one second after the fact, in no certain order, and never
//! again when the receiver fails.

mod install;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::{Process, Scratch};

const START_WITHIN: Duration = Duration::from_secs(30);
const READY: &str = "listening ";
/// Any key that starts with `sk_` is taken.
const API_KEY: &str = "sk_test_counterfoil";
/// A card that is always charged.
const GOOD_CARD: &str = "4242424242424242";

/// A running server with an empty store. It ends on drop.
#[derive(Debug)]
pub struct LocalStripe {
    url: String,
    client: reqwest::Client,
    process: Process,
    _scratch: Scratch,
}

impl LocalStripe {
    /// Starts a server, installing it from PyPI on first use, and waits until it listens. Blocks.
    ///
    /// # Errors
    /// When Python is missing, the install fails or the server does not start.
    pub fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let launcher = install::launcher(scratch.path())?;
        let process = Process::spawn("localstripe", launcher, &scratch.path().join("localstripe.log"))?;
        let line = process.wait_for_line(READY, START_WITHIN)?;
        let port = line.trim_start_matches(READY);
        let url = format!("http://127.0.0.1:{port}");
        Ok(Self { url, client: reqwest::Client::new(), process, _scratch: scratch })
    }

    /// The server's address, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A secret key the API accepts, as `Authorization: Bearer <key>`.
    pub fn api_key(&self) -> &str {
        API_KEY
    }

    /// The last lines of the server's log, which tell what became of each webhook.
    pub fn log_tail(&self) -> String {
        self.process.tail()
    }

    /// Has every later event sent to `url`, signed with `secret`, in the header `Stripe-Signature: t=…,v1=…`, where
    /// v1 is the HMAC-SHA256 in hex of `<t>.<body>`. The same `id` again replaces the receiver.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn register_webhook(&self, id: &str, url: &str, secret: &str) -> anyhow::Result<()> {
        self.send(&format!("/_config/webhooks/{id}"), &[("url", url), ("secret", secret)]).await.map(drop)
    }

    /// Posts a form, as Stripe's clients do (`address[city]`, `items[0][plan]`), and returns the JSON answer.
    ///
    /// # Errors
    /// When there is no answer, or one with a status other than 2xx; the text shows it.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let answer = self.send(path, form).await?;
        serde_json::from_str(&answer)
            .with_context(|| format!("POST {path} did not answer with JSON: {answer}"))
    }

    /// Creates a customer and returns its id (`customer.created`).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn customer(&self, name: &str, email: &str) -> anyhow::Result<String> {
        id(self.post("/v1/customers", &[("name", name), ("email", email)]).await?)
    }

    /// Gives a customer a card that is always charged, by default, and returns its id (`customer.updated`).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn card(&self, customer: &str) -> anyhow::Result<String> {
        let card = [
            ("type", "card"),
            ("card[number]", GOOD_CARD),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2090"),
            ("card[cvc]", "123"),
        ];
        let method = id(self.post("/v1/payment_methods", &card).await?)?;
        self.post(&format!("/v1/payment_methods/{method}/attach"), &[("customer", customer)]).await?;
        let default = [("invoice_settings[default_payment_method]", method.as_str())];
        self.post(&format!("/v1/customers/{customer}"), &default).await?;
        Ok(method)
    }

    /// Creates a product with a monthly price in cents of EUR and returns the price's id (`product.created`,
    /// `plan.created`).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn monthly_price(&self, product: &str, cents: u64) -> anyhow::Result<String> {
        let product = id(self.post("/v1/products", &[("name", product), ("type", "service")]).await?)?;
        let cents = cents.to_string();
        let plan =
            [("product", product.as_str()), ("amount", &cents), ("currency", "eur"), ("interval", "month")];
        id(self.post("/v1/plans", &plan).await?)
    }

    /// Bills a customer who has a [card](Self::card) for `quantity` of a [price](Self::monthly_price), and returns
    /// the id of the invoice, which is paid by then (`invoice.created`, `payment_intent.succeeded`,
    /// `invoice.payment_succeeded`, `customer.subscription.created`).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn paid_invoice(&self, customer: &str, price: &str, quantity: u32) -> anyhow::Result<String> {
        let quantity = quantity.to_string();
        let form =
            [("customer", customer), ("items[0][plan]", price), ("items[0][quantity]", quantity.as_str())];
        let subscription = self.post("/v1/subscriptions", &form).await?;
        let invoice = subscription["latest_invoice"].as_str().context("a subscription without an invoice")?;
        Ok(invoice.to_owned())
    }

    /// Takes a payment in cents of EUR from a customer's card and returns its id (`payment_intent.succeeded`).
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn payment(&self, customer: &str, card: &str, cents: u64) -> anyhow::Result<String> {
        let cents = cents.to_string();
        let form = [
            ("amount", cents.as_str()),
            ("currency", "eur"),
            ("customer", customer),
            ("payment_method", card),
            ("confirm", "true"),
        ];
        id(self.post("/v1/payment_intents", &form).await?)
    }

    async fn send(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.url);
        // the query part of a URL has the encoding of a form
        let body = reqwest::Url::parse_with_params(&url, form)?.query().unwrap_or_default().to_owned();
        let request = self.client.post(&url).bearer_auth(API_KEY).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.with_context(|| format!("POST {path} got no answer"))?;
        let (status, text) = (answer.status(), answer.text().await.context("an answer was cut short")?);
        anyhow::ensure!(status.is_success(), "POST {path} got {status}: {text}");
        Ok(text)
    }
}

fn id(object: Value) -> anyhow::Result<String> {
    object["id"].as_str().map(str::to_owned).with_context(|| format!("an object without an id: {object}"))
}
