//! The two sides of a plan: what a folder has, and what is applied in a region.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use control::{Desired, State};
use service_kit::config::Flags;
use sink::{Examined, Guarantee};
use tenancy::{Offline, TenantSet};

use super::validate;
use crate::{
    error::{self, CommandError},
    settings::{Settings, SettingsArgs, TopicSettingsArgs},
};

/// Which region, and how to reach its brokers.
#[derive(Debug, Args)]
pub(super) struct RegionArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    topics: TopicSettingsArgs,
    /// Folder of connectors on top of the built-in ones, as the services have it
    #[arg(long, value_name = "DIR")]
    connectors: Option<String>,
}

impl RegionArgs {
    /// The settings in force; none if they were only to be printed.
    pub(super) fn load(&self) -> anyhow::Result<Option<Settings>> {
        let flags = Flags::new().set("--connectors", "connectors", self.connectors.clone());
        self.settings.load(self.topics.flags(flags))
    }
}

/// A folder that is valid.
pub(super) struct Checkout {
    /// The tenants of the region.
    pub desired: Desired,
    /// What their routes guarantee.
    pub guarantees: Vec<Guarantee>,
}

/// What one says who removes the last tenant.
#[derive(Debug, Args)]
pub(super) struct EmptyArgs {
    /// The folder holds no tenant any more, and that is meant: the last one is to be removed
    #[arg(long)]
    allow_empty: bool,
}

/// Reads the folder of the settings, and checks it as `validate` does. Problems are printed on standard error. One without any tenant is a
/// wrong folder or half a checkout, unless it is allowed.
pub(super) fn checkout(settings: &Settings, empty: &EmptyArgs) -> anyhow::Result<Checkout> {
    let dir = settings.tenants.display().to_string();
    let dir = dir.trim_end_matches('/');
    let connectors = settings.connectors.as_deref();
    let mut is_empty = false;
    let mut read = || {
        let folders = TenantSet::read_folders(&settings.tenants)?;
        if folders.is_empty() && empty.allow_empty {
            return Ok((folders, TenantSet::default()));
        }
        is_empty = folders.is_empty();
        TenantSet::from_folders(dir, &folders, &Offline).map(|set| (folders, set))
    };
    let problems = match read() {
        Ok((folders, set)) => {
            let Examined { guarantees, problems, connectors } = sink::examine(&set, dir, connectors);
            if problems.is_empty() {
                let desired = Desired::new(&set, &folders, &settings.region).with(connectors);
                return Ok(Checkout { desired, guarantees });
            }
            problems
        }
        Err(errors) => errors.problems().to_vec(),
    };
    problems.iter().for_each(|problem| eprintln!("{}", validate::line(problem)));
    if is_empty {
        eprintln!(
            "if the last tenant is to be removed, say so with --allow-empty, and name it to `apply` with --remove"
        );
    }
    Err(error::command(CommandError::NotValid { dir: settings.tenants.clone(), problems: problems.len() }))
}

/// The control topic of the region.
pub(super) fn topic(settings: &Settings) -> Arc<str> {
    Arc::from(topics::names::control(&settings.region))
}

/// Asks for the topic first: a reader waits long for one that is not there.
async fn there(settings: &Settings) -> anyhow::Result<()> {
    kafka::admin::end_offsets(&settings.kafka, &topic(settings)).await.map(drop).map_err(error::admin)
}

/// What is applied, all of it.
pub(super) async fn state(settings: &Settings) -> anyhow::Result<State> {
    there(settings).await?;
    let (kafka, topic) = (settings.kafka.clone(), topic(settings));
    let read = tokio::task::spawn_blocking(move || control::read_whole(&kafka, &topic)).await?;
    read.map_err(error::apply)
}

/// What is applied, as far as this build can read it.
pub(super) async fn readable(settings: &Settings) -> anyhow::Result<State> {
    there(settings).await?;
    let (kafka, topic) = (settings.kafka.clone(), topic(settings));
    let read = tokio::task::spawn_blocking(move || control::read(&kafka, &topic, |_| ())).await?;
    Ok(read.with_context(|| "TOP-0101".to_owned())?.0)
}

/// What the routes of an applied tenant guarantee; nothing where this build does not find it valid.
pub(super) fn applied_guarantees(revision: &tenancy::Revision, settings: &Settings) -> Vec<Guarantee> {
    let folder = BTreeMap::from([(revision.tenant.to_string(), revision.files.clone())]);
    let set = TenantSet::from_folders("applied", &folder, &Offline).unwrap_or_default();
    sink::examine(&set, "applied", settings.connectors.as_deref()).guarantees
}

/// Milliseconds since 1970-01-01 as people write them, UTC.
pub(super) fn instant(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}
