//! `counterfoil pause|resume|paused`: what operators tell the sinks, through the control topic.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use contract::{Command, Subject, Verb};
use kafka::Producer;
use serde_json::json;
use service_kit::config::Flags;
use tenancy::{Offline, TenantSet};

use crate::{
    error::CommandError,
    out,
    settings::{Settings, SettingsArgs, TopicSettingsArgs},
};

/// Flags of `counterfoil pause` and `counterfoil resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  counterfoil pause route acme payments --reason 'books are closed' --operator ann
  counterfoil resume route acme payments --reason 'books are open' --operator ann")]
pub struct TurnArgs {
    /// Of what
    #[command(subcommand)]
    subject: SubjectArgs,
}

#[derive(Debug, Subcommand)]
enum SubjectArgs {
    /// All of a tenant's routes
    Tenant {
        /// The tenant
        tenant: String,
        #[command(flatten)]
        account: Account,
    },
    /// All routes that lead to a connection
    Connection {
        /// The tenant
        tenant: String,
        /// The connection's name
        connection: String,
        #[command(flatten)]
        account: Account,
    },
    /// One route
    Route {
        /// The tenant
        tenant: String,
        /// The route's name
        route: String,
        #[command(flatten)]
        account: Account,
    },
}

/// Who says so, and why.
#[derive(Debug, Args)]
struct Account {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    topics: TopicSettingsArgs,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who says so; it is kept
    #[arg(long, value_name = "NAME")]
    operator: String,
    /// Take a name that the tenants' configuration does not have
    #[arg(long)]
    unknown: bool,
}

/// Flags of `counterfoil paused`.
#[derive(Debug, Args)]
pub struct PausedArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    topics: TopicSettingsArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Writes the command, and waits until all in-sync replicas have it.
///
/// # Errors
/// When it says nothing of who or why, or the brokers do not take it.
pub async fn turn(verb: Verb, args: TurnArgs) -> anyhow::Result<()> {
    let (tenant, connection, route, account) = match args.subject {
        SubjectArgs::Tenant { tenant, account } => (tenant, None, None, account),
        SubjectArgs::Connection { tenant, connection, account } => (tenant, Some(connection), None, account),
        SubjectArgs::Route { tenant, route, account } => (tenant, None, Some(route), account),
    };
    let Some(settings) = account.settings.load(account.topics.flags(Flags::new()))? else { return Ok(()) };
    let command = Command {
        command: verb,
        subject: Subject { tenant, connection, route },
        operator: account.operator,
        reason: account.reason,
        at: std::time::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_millis() as i64),
    };
    if !account.unknown {
        known(&settings.tenants, &command.subject).map_err(crate::error::command)?;
    }
    let value = command.value()?;
    let topic = topics::names::control(&settings.region);
    let producer = Producer::new(&settings.kafka)?;
    producer
        .send(&topic, 0, &command.key(), &value, &[])
        .await
        .map_err(|error| crate::error::coded(error.code(), error))?;
    let done = match verb {
        Verb::Pause => "paused",
        Verb::Resume => "resumed",
    };
    out::line(format_args!("{}: {done}", command.subject));
    Ok(())
}

/// A misspelt name would pause nothing, silently. Where the configuration cannot be read nothing is refused: whoever pauses may be in
/// a hurry, on any machine.
fn known(tenants: &Path, subject: &Subject) -> Result<(), CommandError> {
    let Ok(set) = TenantSet::load(tenants, &Offline) else {
        eprintln!("{} cannot be read as tenants' configuration: the name is not checked", tenants.display());
        return Ok(());
    };
    let unknown = |what: &'static str, name: &str, have: Vec<&str>| CommandError::Unknown {
        what,
        name: name.to_owned(),
        have: have.join(", "),
    };
    let Some(tenant) = set.iter().find(|tenant| tenant.id.as_str() == subject.tenant) else {
        return Err(unknown(
            "tenant",
            &subject.tenant,
            set.iter().map(|tenant| tenant.id.as_str()).collect(),
        ));
    };
    let routes = || tenant.routes.iter();
    let named = |have: Vec<&str>, what, name: &str| {
        if have.contains(&name) { Ok(()) } else { Err(unknown(what, name, have)) }
    };
    match (&subject.connection, &subject.route) {
        (Some(name), _) => named(routes().map(|r| r.connection.name.as_str()).collect(), "connection", name),
        (_, Some(name)) => named(routes().map(|r| r.name.as_str()).collect(), "route", name),
        (None, None) => Ok(()),
    }
}

/// Shows what is paused.
///
/// # Errors
/// When the control topic cannot be read.
pub async fn paused(args: PausedArgs) -> anyhow::Result<()> {
    let Some(settings) = args.settings.load(args.topics.flags(Flags::new()))? else { return Ok(()) };
    let commands = tokio::task::spawn_blocking(move || read(&settings)).await??;
    if args.json {
        out::line(format_args!("{:#}", json!(commands)));
        return Ok(());
    }
    if commands.is_empty() {
        out::line("nothing is paused");
    }
    for command in commands {
        let Command { subject, operator, reason, at, .. } = command;
        out::line(format_args!("{subject}: paused by {operator} at {at} (ms since 1970): {reason}"));
    }
    Ok(())
}

/// The pauses that no resumption followed. Records that are no commands are passed over, as the sinks do. Blocking.
fn read(settings: &Settings) -> anyhow::Result<Vec<Command>> {
    let topic: Arc<str> = Arc::from(topics::names::control(&settings.region));
    let read = ::control::read(&settings.kafka, &topic, |_| ());
    let (state, _) = read.with_context(|| format!("the control topic `{topic}` cannot be read"))?;
    Ok(state.pauses.iter().cloned().collect())
}
