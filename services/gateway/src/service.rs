//! The running gateway.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::Router;
use kafka::Producer;
use service_kit::{Admin, Check, Limits, Readiness, Shutdown, serve, spawn};
use telemetry::Metrics;
use tenancy::Environment;
use tokio::net::TcpListener;

use crate::{
    Options, Setup,
    objects::{Opener, chain},
    tenants::Keeper,
};

/// How often the brokers are asked whether they are there, and how long they may take to say so.
const PING_PAUSE: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// The part of the drain deadline that is kept for the flush.
const FLUSH_SHARE: u32 = 4;

/// A gateway that has bound its address and not begun to serve.
pub struct Service {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) router: Router,
    pub(crate) producer: Producer,
    pub(crate) opener: Opener,
    pub(crate) readiness: Readiness,
    pub(crate) options: Options,
    pub(crate) keeper: Option<(Keeper, Check)>,
}

/// How the drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut with a request in flight.
    pub cut: usize,
    /// Whether every record got its acknowledgement or its refusal.
    pub flushed: bool,
}

impl Service {
    /// Where it takes events.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains: not ready, no new connections, requests in flight finish, records are flushed.
    pub async fn run(self, shutdown: Shutdown) -> Drained {
        let keeper = self.keeper.map(|(keeper, check)| spawn("keep tenants", keeper.run(check)));
        let opener = spawn("open objects", self.opener.run());
        let pinger = spawn("ping kafka", ping(self.producer.clone(), self.readiness.check("kafka")));
        let draining = self.readiness.clone();
        let begun = shutdown.triggered();
        drop(spawn("drain", async move {
            begun.await;
            draining.drain();
        }));
        tracing::info!(address = %self.address, "gateway listens");
        let flush = self.options.drain_deadline / FLUSH_SHARE;
        let limits = Limits {
            connections: self.options.limits.connections,
            header_read_timeout: self.options.limits.header_read_timeout,
            drain: self.options.drain_deadline - flush,
        };
        let cut = serve(self.listener, self.router, shutdown, limits).await;
        opener.abort();
        pinger.abort();
        keeper.iter().for_each(|task| task.abort());
        let flushed = self.producer.flush(flush).await;
        if let Err(error) = &flushed {
            // Their requests were not answered with 202, so nothing was promised.
            tracing::warn!(error = chain(error), "records were left unacknowledged");
        }
        tracing::info!(cut, flushed = flushed.is_ok(), "gateway drained");
        Drained { cut, flushed: flushed.is_ok() }
    }
}

/// An error under its code, for the last line of a process that did not start.
fn coded(error: crate::StartError) -> anyhow::Error {
    let code = error.code();
    anyhow::Error::new(error).context(code)
}

async fn ping(producer: Producer, check: Check) {
    loop {
        match producer.ping(PING_TIMEOUT).await {
            Ok(()) => check.pass(),
            Err(error) => check.fail(chain(&error)),
        }
        tokio::time::sleep(PING_PAUSE).await;
    }
}

/// Runs the gateway as a process of its own: admin server, signals, drain.
///
/// # Errors
/// When it cannot start, or the drain left something behind.
pub async fn run_process(options: Options) -> anyhow::Result<()> {
    let setup = Setup::load(options, &Environment).map_err(coded)?;
    let (metrics, readiness, shutdown) = (Metrics::new("gateway")?, Readiness::new(), Shutdown::new());
    let (admin, drain) = (setup.options.admin_listen, setup.options.drain_deadline);
    let service = setup.build(&metrics, readiness.clone()).await.map_err(coded)?;
    let admin = Admin::start(admin, metrics, readiness).await.context("the admin server does not start")?;
    shutdown.on_signals(drain + Duration::from_secs(1))?;
    let drained = service.run(shutdown).await;
    admin.stop().await;
    anyhow::ensure!(drained.cut == 0 && drained.flushed, "the drain was not complete: {drained:?}");
    Ok(())
}
