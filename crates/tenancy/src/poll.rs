//! Connections whose system is asked for what has changed.

use std::time::Duration;

use secrecy::SecretString;

use crate::{
    fields::Fields,
    node::Node,
    problem::{Position, Report, code},
    secret::{self, SecretSource},
    value,
};

/// The shortest key, in characters.
const MIN_SECRET: usize = 8;
const DEFAULT_EVERY: Duration = Duration::from_secs(30);
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
/// The most objects of one connection.
const MAX_OBJECTS: usize = 50;

/// What of a system is asked for its changes.
#[derive(Debug)]
pub struct Poll {
    /// The `source` of the events that come of it; unique among a tenant's sources, for event ids derive from it.
    pub source: String,
    /// The connector's objects; each has `changes` in its definition. At least one.
    pub objects: Vec<String>,
    /// How long to wait after everything was told.
    pub every: Duration,
    /// The key of the tenant with which the events are brought to the gateway.
    pub api_key: SecretString,
    /// Where its file says so.
    pub at: Position,
}

/// Reads the section `poll` of a connection.
pub(crate) fn read(
    report: Report<'_>,
    node: &Node,
    connector: Option<&str>,
    source: &dyn SecretSource,
) -> Option<Poll> {
    let fields = Fields::open(report, node, &["source", "objects", "every", "api_key"])?;
    let events_source = match fields.get("source") {
        Some(_) => value::name(&fields, "source"),
        None => connector,
    };
    let every = fields.duration("every", EVERY, DEFAULT_EVERY);
    let api_key =
        fields.text("api_key").and_then(|(text, at)| secret::resolve(report, text, at, MIN_SECRET, source));
    let nodes = fields.list("objects")?;
    if nodes.len() > MAX_OBJECTS {
        let message = format!("`objects` may hold at most {MAX_OBJECTS}, not {}", nodes.len());
        report.add(code::BAD_VALUE, fields.at, message);
        return None;
    }
    let objects: Vec<_> = nodes.iter().map(|node| fields.as_text("objects", node)).collect();
    let objects = objects.into_iter().map(|found| found.map(|(text, _)| text.to_owned()));
    Some(Poll {
        source: events_source?.to_owned(),
        objects: objects.collect::<Option<_>>()?,
        every: every?,
        api_key: api_key?,
        at: fields.at,
    })
}
