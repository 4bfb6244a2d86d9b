//! Connections: one tenant's account in one external system.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;

use crate::{
    access::{self, Access},
    classes::{self, Classes},
    egress::{self, Egress},
    fields::Fields,
    limits::{self, Limits},
    node::Node,
    poll::{self, Poll},
    problem::{Position, Report, code},
    secret::{self, SecretSource},
    value,
};

/// The shortest webhook secret, in characters.
const MIN_SECRET: usize = 8;
/// The most secrets of one webhook: the current one and those that it replaces.
const MAX_WEBHOOK_SECRETS: usize = 8;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);

/// One tenant's account in one external system.
#[derive(Debug)]
pub struct Connection {
    /// The name; unique within the tenant.
    pub name: String,
    /// The connector definition it uses: `sandbox`, `stripe`, …
    pub connector: String,
    /// Where its file says so.
    pub connector_at: Position,
    /// Where the system answers, without a slash at the end. Absent where the connection is only a source.
    pub base_url: Option<String>,
    /// Where its file says so.
    pub base_url_at: Position,
    /// Where it may lead besides public addresses.
    pub egress: Egress,
    /// What the target offers against double effects, where that is not what the connector says.
    pub class: Classes,
    /// What its connector calls `{{conn.<value>}}`.
    pub values: BTreeMap<String, String>,
    /// The same for what is secret. Of each the current one, then the one that it takes the place of while it is rotated.
    pub secrets: BTreeMap<String, Vec<SecretString>>,
    /// Where its file gives a value or a secret.
    pub given_at: BTreeMap<String, Position>,
    /// What its target may be asked for.
    pub limits: Limits,
    /// Where its file gives a limit that the vendor sets too.
    pub limits_at: BTreeMap<String, Position>,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How the system's webhooks are verified, if it sends any.
    pub webhook: Option<Webhook>,
    /// What of the system is asked for its changes, if anything.
    pub poll: Option<Poll>,
}

impl Connection {
    /// Whether it can be one that something is sent to.
    pub(crate) fn can_be_target(&self) -> bool {
        self.base_url.is_some() || !self.values.is_empty() || !self.secrets.is_empty()
    }
}

/// How a system's webhooks are verified.
#[derive(Debug)]
pub struct Webhook {
    /// The connector whose way of signing it is.
    pub scheme: String,
    /// The address that the vendor was given; some sign it.
    pub url: Option<String>,
    /// Every secret that is accepted; several while one is being rotated. At least one.
    pub secrets: Vec<SecretString>,
    /// The `source` of the events that come of it; unique among a tenant's webhooks, for event ids derive from it.
    pub source: String,
    /// Where its file says so.
    pub at: Position,
}

/// Reads `connections/<place>.yaml`.
pub(crate) fn read(
    report: Report<'_>,
    node: &Node,
    place: &str,
    source: &dyn SecretSource,
) -> Option<Connection> {
    const KNOWN: &[&str] = &[
        "connection",
        "connector",
        "base_url",
        "class",
        "egress",
        "values",
        "secrets",
        "token",
        "limits",
        "timeout",
        "webhook",
        "poll",
    ];
    let fields = Fields::open(report, node, KNOWN)?;
    let name = value::name_of_file(&fields, "connection", place);
    let connector = value::connector(&fields, "connector");
    let base_url =
        optional(fields.optional_text("base_url"), fields.get("base_url").is_some(), |(text, at)| {
            value::base_url(report, text, at, source)
        });
    let access = access::read(report, &fields, source);
    let class = classes::read(&fields);
    let egress = egress::read(report, &fields);
    let place = |field: &str| fields.get(field).map_or(fields.at, |node| node.at);
    let (connector_at, base_url_at) = (place("connector"), place("base_url"));
    let limits = limits::read(report, &fields);
    let timeout = fields.duration("timeout", TIMEOUTS, DEFAULT_TIMEOUT);
    let webhook = optional(fields.get("webhook"), fields.get("webhook").is_some(), |node| {
        read_webhook(report, node, connector, source)
    });
    let poll = optional(fields.get("poll"), fields.get("poll").is_some(), |node| {
        poll::read(report, node, connector, source)
    });
    let Access { values, secrets, given_at } = access?;
    Some(Connection {
        name: name?.to_owned(),
        connector: connector?.to_owned(),
        connector_at,
        base_url: base_url?,
        base_url_at,
        egress: egress?,
        class: class?,
        values,
        secrets,
        given_at,
        limits: limits?,
        limits_at: limits::places(&fields),
        timeout: timeout?,
        webhook: webhook?,
        poll: poll?,
    })
}

/// `Some(None)` if the field is absent, `None` if it was there and is wrong.
fn optional<A, T>(found: Option<A>, present: bool, read: impl FnOnce(A) -> Option<T>) -> Option<Option<T>> {
    match found {
        Some(found) => read(found).map(Some),
        None if present => None,
        None => Some(None),
    }
}

fn read_webhook(
    report: Report<'_>,
    node: &Node,
    connector: Option<&str>,
    source: &dyn SecretSource,
) -> Option<Webhook> {
    let fields = Fields::open(report, node, &["scheme", "secrets", "source", "url"])?;
    let scheme = match fields.get("scheme") {
        Some(_) => value::name(&fields, "scheme"),
        None => connector,
    };
    let events_source = match fields.get("source") {
        Some(_) => value::name(&fields, "source"),
        None => scheme,
    };
    let url = optional(fields.optional_text("url"), fields.get("url").is_some(), |(text, at)| {
        value::url(report, "url", text, at, source)
    });
    let references = fields.list("secrets")?;
    if references.len() > MAX_WEBHOOK_SECRETS {
        let message = format!("`secrets` may hold at most {MAX_WEBHOOK_SECRETS}, not {}", references.len());
        report.add(code::BAD_VALUE, fields.at, message);
        return None;
    }
    let resolve = |node| {
        let (text, at) = fields.as_text("secrets", node)?;
        secret::resolve(report, text, at, MIN_SECRET, source)
    };
    // Resolve each of them before giving up, so that each wrong one is reported.
    let secrets: Vec<_> = references.iter().map(resolve).collect();
    let secrets: Option<Vec<_>> = secrets.into_iter().collect();
    Some(Webhook {
        scheme: scheme?.to_owned(),
        url: url?,
        secrets: secrets?,
        source: events_source?.to_owned(),
        at: fields.at,
    })
}
