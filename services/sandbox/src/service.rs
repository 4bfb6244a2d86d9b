//! Bind, run, drain.

use std::{net::SocketAddr, time::Duration};

use sandbox::{Handle, Sandbox};
use service_kit::{Admin, Readiness, Shutdown};
use telemetry::Metrics;

use crate::{
    gauges::Gauges,
    options::{Options, StartError},
};

const GAUGES_EVERY: Duration = Duration::from_secs(1);

/// The sandbox, bound and serving.
pub struct Service {
    sandbox: Sandbox,
    erp: Handle,
    control: Option<Handle>,
    admin: Admin,
    readiness: Readiness,
    gauges: Gauges,
}

impl Service {
    /// Sets the accounts up and binds every listener. Requests are served from here on.
    ///
    /// # Errors
    /// If an address is taken, or an account's settings are refused.
    pub async fn build(options: Options) -> Result<Self, StartError> {
        let sandbox = Sandbox::new();
        for (account, change) in options.accounts {
            sandbox.configure(&account, change).map_err(|source| StartError::Account { account, source })?;
        }
        let metrics = Metrics::new("sandbox")?;
        let gauges = Gauges::new(&metrics)?;
        let readiness = Readiness::new();
        let on = |address| move |source| StartError::Listen { address, source };
        let (erp, control) = match options.control_listen {
            None => (sandbox.start(options.listen).await.map_err(on(options.listen))?, None),
            Some(address) => {
                let control = sandbox.start_admin(address).await.map_err(on(address))?;
                (sandbox.start_erp(options.listen).await.map_err(on(options.listen))?, Some(control))
            }
        };
        let admin = Admin::start(options.admin_listen, metrics, readiness.clone())
            .await
            .map_err(on(options.admin_listen))?;
        tracing::info!(erp = %erp.addr, admin = %admin.local_addr(), "sandbox listens");
        Ok(Self { sandbox, erp, control, admin, readiness, gauges })
    }

    /// Where the ERP listens.
    pub fn addr(&self) -> SocketAddr {
        self.erp.addr
    }

    /// Where the sandbox's admin API and page listen.
    pub fn control_addr(&self) -> SocketAddr {
        self.control.as_ref().unwrap_or(&self.erp).addr
    }

    /// Where health and metrics listen.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// The sandbox itself, for a caller in the same process.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(GAUGES_EVERY);
        let mut stopped = std::pin::pin!(shutdown.triggered());
        loop {
            tokio::select! {
                () = &mut stopped => break,
                _ = ticks.tick() => self.gauges.update(&self.sandbox),
            }
        }
        self.readiness.drain();
        self.erp.shutdown().await;
        if let Some(control) = self.control {
            control.shutdown().await;
        }
        self.admin.stop().await;
        tracing::info!("sandbox stopped");
    }
}
