//! Tryton: an ERP with sales, invoices and statements, whose API is used as an integration uses it.
//!
//! What it is like, seen with release 8.2.1: it has no idempotency keys and takes any `reference` twice, so a client
//! that got no answer has to look its reference up. Create and post are two calls, and a second post is refused. REST
//! refuses in JSON with 400 what the user did wrong, and with a page of HTML and 500 what the client did wrong (an
//! unknown field, a domain whose base64 has no padding). JSON-RPC refuses with 200. A new record has no `write_date`
//! until it is written again.

mod client;
mod company;
mod install;

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

pub use client::{Answer, Client, base64url, date, decimal};
pub use company::{Company, Customer};

use crate::{Process, Scratch, free_port, pip};

const START_WITHIN: Duration = Duration::from_secs(120);
const READY: &str = "Running on";
/// The key of the integration user, and every user's password.
const KEY: &str = "f6d4a1c0b8e24d7f9a3e5c7b1d0f2a48";
/// Takes the right to write from everybody else, for as long as it runs.
const LOCK: &str = "import sqlite3, sys, threading
database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
database.execute('BEGIN IMMEDIATE')
print('locked', flush=True)
threading.Event().wait()";
const INVOICES: &str = include_str!("../assets/tryton/invoices.py");
const BILLED: &str = include_str!("../assets/tryton/billed.py");

/// A running server with one company in it: a chart of accounts, open books, the products `WIDGET` and `CARE`, a bank
/// journal and an integration user. It ends on drop.
#[derive(Debug)]
pub struct Tryton {
    port: u16,
    client: Client,
    process: Process,
    scratch: Scratch,
}

/// A customer invoice, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Its reference: ours.
    pub reference: String,
    /// `draft`, `validated`, `posted`, `paid` or `cancelled`.
    pub state: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many posted account moves it has: 1 once it is posted.
    pub booked: u64,
}

/// What a customer invoice is for, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    /// Its reference: ours.
    pub reference: String,
    /// The code of the party that it goes to.
    pub customer: String,
    /// The amount of its lines, with two decimals.
    pub amount: String,
}

impl Tryton {
    /// Starts a server with a database of its own, installing it from PyPI on first use, and waits until it answers.
    /// Blocks.
    ///
    /// # Errors
    /// When Python is missing, the install fails or the server does not start.
    pub fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let port = free_port()?;
        let server = install::server(scratch.path(), port)?;
        let process = Process::spawn("trytond", server, &scratch.path().join("trytond.log"))?;
        process.wait_for_line(READY, START_WITHIN)?;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), KEY)?;
        Ok(Self { port, client, process, scratch })
    }

    /// The server's address, without a final slash. Its database is `erp`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The server's loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that REST takes, as `Authorization: Bearer <key>`; JSON-RPC takes it as the password of `integration`.
    pub fn key(&self) -> &str {
        KEY
    }

    /// Calls the server as its integration user.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        self.process.tail()
    }

    /// The process of the server.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Every customer invoice in the server's own database, which is read behind the server's back. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn invoices(&self) -> anyhow::Result<Vec<Invoice>> {
        let rows: Vec<(Option<String>, String, u64, u64)> =
            serde_json::from_slice(&self.database(INVOICES)?).context("the invoices cannot be read")?;
        let invoice = |(reference, state, lines, booked): (Option<String>, _, _, _)| Invoice {
            reference: reference.unwrap_or_default(),
            state,
            lines,
            booked,
        };
        Ok(rows.into_iter().map(invoice).collect())
    }

    /// What every customer invoice of the database bills to whom, oldest first. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn billed(&self) -> anyhow::Result<Vec<Billed>> {
        let rows: Vec<(Option<String>, Option<String>, String)> =
            serde_json::from_slice(&self.database(BILLED)?).context("the invoices cannot be read")?;
        let billed = |(reference, customer, amount): (Option<String>, Option<String>, _)| Billed {
            reference: reference.unwrap_or_default(),
            customer: customer.unwrap_or_default(),
            amount,
        };
        Ok(rows.into_iter().map(billed).collect())
    }

    /// What a script reads of the database's file.
    fn database(&self, script: &str) -> anyhow::Result<Vec<u8>> {
        let mut python = std::process::Command::new("python3");
        pip::run(python.args(["-c", script]).arg(install::database(self.scratch.path())))
    }

    /// Keeps the server's database from being written to by the server, until the process is dropped: a call that
    /// writes waits for ten seconds and gets 503. Blocks.
    ///
    /// # Errors
    /// When the database cannot be locked.
    pub fn lock(&self) -> anyhow::Result<Process> {
        let mut python = std::process::Command::new("python3");
        python.args(["-c", LOCK]).arg(install::database(self.scratch.path()));
        let holder = Process::spawn("lock", python, &self.scratch.path().join("lock.log"))?;
        holder.wait_for_line("locked", START_WITHIN)?;
        Ok(holder)
    }

    /// Calls JSON-RPC with `params` as the integration user; refusals come with status 200.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn rpc(&self, method: &str, params: Value) -> anyhow::Result<Answer> {
        let body = json!({ "id": 1, "method": method, "params": params });
        self.client.rpc("integration", KEY, &body).await
    }
}
