//! A tenant, and its `tenant.yaml`.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    sync::Arc,
};

use event::{EventType, TenantId};
use secrecy::SecretString;

use crate::{
    connection::Connection,
    fields::Fields,
    node::Node,
    problem::{Position, Report, code},
    route::Route,
    secret::{self, SecretSource},
    value,
};

/// Ids that no tenant may have, since topics and events of the platform itself carry them.
pub(crate) const RESERVED: [&str; 2] = ["platform", "unattributed"];
/// The shortest API key, in characters.
const MIN_API_KEY: usize = 16;
const DEFAULT_SHARDS: u32 = 4;
const DEFAULT_EVENTS_PER_SECOND: u32 = 500;

/// How many events a tenant may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Sustained, per second.
    pub events_per_second: NonZeroU32,
    /// At once, after a pause; also the largest batch.
    pub burst: NonZeroU32,
}

/// A tenant and everything configured for it.
#[derive(Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name, for people.
    pub name: String,
    /// Where its data lives: the second part of its topics' names.
    pub region: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// How many partitions of a pooled topic it is spread over.
    pub shards: u32,
    /// How many events it may send.
    pub quota: Quota,
    /// How many requests it sends in its turn when a sink's requests are all in flight.
    pub weight: u32,
    /// Its connections by name.
    pub connections: BTreeMap<String, Arc<Connection>>,
    /// Its routes, ordered by name.
    pub routes: Vec<Arc<Route>>,
    /// A hash of its files and of what its secrets say: as long as it is the same, nothing about the tenant has changed.
    pub print: [u8; 32],
    pub(crate) by_type: HashMap<EventType, Vec<Arc<Route>>>,
}

impl Tenant {
    /// The routes that an event of this type takes, ordered by name; none if nobody wants it.
    pub fn routes_for(&self, event_type: EventType) -> &[Arc<Route>] {
        self.by_type.get(&event_type).map_or(&[], Vec::as_slice)
    }
}

/// An API key as the file names it.
pub(crate) struct ApiKey {
    pub id: String,
    pub secret: SecretString,
    pub at: Position,
}

/// The content of a `tenant.yaml`.
pub(crate) struct TenantFile {
    pub id: TenantId,
    pub name: String,
    pub region: String,
    pub owner: Option<String>,
    pub shards: u32,
    pub quota: Quota,
    pub weight: u32,
    pub api_keys: Vec<ApiKey>,
}

/// Reads `<place>/tenant.yaml`.
pub(crate) fn read(
    report: Report<'_>,
    node: &Node,
    place: &str,
    source: &dyn SecretSource,
) -> Option<TenantFile> {
    const KNOWN: &[&str] = &["tenant", "name", "region", "api_keys", "quota", "shards", "owner", "weight"];
    let fields = Fields::open(report, node, KNOWN)?;
    let id = value::name_of_file(&fields, "tenant", place).and_then(|id| unreserved(&fields, id));
    let name = fields.text("name");
    let region = value::name(&fields, "region");
    let owner = match fields.get("owner") {
        Some(_) => fields.optional_text("owner").map(|(text, _)| Some(text.to_owned())),
        None => Some(None),
    };
    let shards = fields.integer("shards", 1..=1024, DEFAULT_SHARDS);
    let quota = read_quota(report, &fields);
    let weight = fields.integer("weight", 1..=100, 1);
    let api_keys = read_api_keys(report, &fields, source);
    Some(TenantFile {
        id: id?,
        name: name?.0.to_owned(),
        region: region?.to_owned(),
        owner: owner?,
        shards: shards?,
        quota: quota?,
        weight: weight?,
        api_keys: api_keys?,
    })
}

fn unreserved(fields: &Fields<'_>, id: &str) -> Option<TenantId> {
    if RESERVED.contains(&id) {
        fields.report.add(
            code::BAD_VALUE,
            fields.at,
            format!("tenant id `{id}` is reserved for the platform"),
        );
        return None;
    }
    id.parse().ok()
}

fn read_quota(report: Report<'_>, fields: &Fields<'_>) -> Option<Quota> {
    let quota = |rate: u32, burst: u32| {
        Some(Quota { events_per_second: NonZeroU32::new(rate)?, burst: NonZeroU32::new(burst)? })
    };
    let Some(node) = fields.get("quota") else {
        return quota(DEFAULT_EVENTS_PER_SECOND, DEFAULT_EVENTS_PER_SECOND);
    };
    let fields = Fields::open(report, node, &["events_per_second", "burst"])?;
    let rate = fields
        .require("events_per_second")
        .and_then(|_| fields.integer("events_per_second", 1..=1_000_000, 1));
    let burst = fields.integer("burst", 1..=10_000_000, rate.unwrap_or(1));
    quota(rate?, burst?)
}

/// A tenant without keys is one that only vendors' webhooks feed.
fn read_api_keys(report: Report<'_>, fields: &Fields<'_>, source: &dyn SecretSource) -> Option<Vec<ApiKey>> {
    if fields.get("api_keys").is_none() {
        return Some(Vec::new());
    }
    let keys: Vec<_> =
        fields.list("api_keys")?.iter().map(|node| read_api_key(report, node, source)).collect();
    keys.into_iter().collect()
}

fn read_api_key(report: Report<'_>, node: &Node, source: &dyn SecretSource) -> Option<ApiKey> {
    let fields = Fields::open(report, node, &["id", "secret"])?;
    let id = value::name(&fields, "id");
    let (text, at) = fields.text("secret")?;
    let secret = secret::resolve(report, text, at, MIN_API_KEY, source);
    Some(ApiKey { id: id?.to_owned(), secret: secret?, at })
}
