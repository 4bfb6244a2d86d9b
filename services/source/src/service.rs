//! Load, bind, poll, drain.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use control::Origin;
use service_kit::{Admin, Check, Readiness, Shutdown};
use target::{Client, ClientOptions};
use telemetry::Metrics;
use tenancy::{Environment, InForce, TenantSet, TenantsFrom, revision::Files};

use crate::{Options, SourceError, keeper::Keeper, maker::Maker, poll::Counters, polls::Polls};

/// The source, with everything checked that is known already.
pub struct Service {
    keeper: Keeper,
    admin: Admin,
    readiness: Readiness,
    tenants: Check,
}

impl Service {
    /// Reads the tenants where a folder says which there are, and checks every poll. Nothing is asked yet.
    ///
    /// # Errors
    /// Everything that keeps a poll from beginning.
    pub async fn build(options: Options) -> Result<Self, SourceError> {
        let start = |what: &dyn std::fmt::Display| SourceError::Start(what.to_string());
        let metrics = Metrics::new("source").map_err(|e| start(&e))?;
        let counters = counters(&metrics).map_err(|e| start(&e))?;
        let troubled = metrics.gauges(
            "troubled_tenants_count",
            "tenants whose newest configuration cannot be put in force here",
            &[],
        );
        let troubled = troubled.map_err(|e| start(&e))?.with_label_values::<&str>(&[]);
        let client = ClientOptions { connect_timeout: options.connect_timeout, ..ClientOptions::default() };
        let client = Client::new(client).map_err(|e| start(&e))?;
        let maker = Arc::new(Maker::new(options.clone(), client, counters.clone())?);
        let origin = match options.tenants_from {
            TenantsFrom::Control => Origin::Control(Box::default()),
            TenantsFrom::Folder => folder(&options, &maker)?,
        };
        let readiness = Readiness::new();
        let tenants = readiness.check("tenants");
        let admin = Admin::start(options.admin_listen, metrics, readiness.clone()).await;
        let admin = admin.map_err(|source| SourceError::Listen { address: options.admin_listen, source })?;
        tracing::info!(admin = %admin.local_addr(), "source listens");
        let polls = Polls::new(counters);
        let keeper = Keeper::new(origin, (options.kafka, options.region), maker, polls, troubled);
        Ok(Self { keeper, admin, readiness, tenants })
    }

    /// Where health and metrics listen.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr()
    }

    /// Polls until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let readiness = self.readiness;
        let stopping = async {
            shutdown.triggered().await;
            readiness.drain();
        };
        self.keeper.run(&self.tenants, stopping).await;
        self.admin.stop().await;
        tracing::info!("source stopped");
    }
}

/// The tenants of the folder, each of whose polls could begin.
fn folder(options: &Options, maker: &Maker) -> Result<Origin, SourceError> {
    let name = options.tenants.display().to_string();
    let folders: BTreeMap<String, Files> = TenantSet::read_folders(&options.tenants)?;
    let built = InForce::of_folder(&name, &folders, &Environment)?;
    for tenant in built.set.iter().filter(|tenant| maker.serves(tenant)) {
        for (_, poll) in maker.polls(tenant)? {
            poll.open()?;
        }
    }
    Ok(Origin::Folder { name, folders })
}

pub(crate) fn counters(metrics: &Metrics) -> Result<Counters, telemetry::MetricsError> {
    Ok(Counters {
        told: metrics.counters("records_total", "records that the gateway has acknowledged", &["poll"])?,
        failed: metrics.counters("failures_total", "rounds that failed", &["poll", "code"])?,
        stuck: metrics.gauges("stuck_count", "1 for a poll whose last round failed", &["poll"])?,
    })
}
