//! From a record to postings: decode, check, route.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use contract::{
    DecodeError, DecodedEvent, Decoder, REPLAY_HEADER, Replay, ReplayShare, WriterSchema, decode_event,
    split_wire,
};
use delivery::{ErrorClass, NewPosting, Reason, Urgency};
use event::{EntityId, Envelope, PostingKey, RecordKey, TenantId};
use kafka::{AssignmentId, Fetched, Label};
use mapping::Refusal;
use serde_json::{Value, json};
use target::Posting;

use crate::{
    evidence::Poison,
    plan::{Fate, Plan, Standing, Way},
};

/// The same within a process is enough: locks are held in memory.
static LOCKS: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);

/// A route that is gone.
const WITHDRAWN: &str = "SNK-0042";

/// In a millisecond.
const MICROS: i64 = 1_000;

/// What cannot be written for the target.
const UNFIT: &str = "SNK-0014";

/// What all postings of one record share.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) assignment: AssignmentId,
    pub(crate) offset: i64,
    pub(crate) envelope: Envelope,
    pub(crate) key: Label,
    pub(crate) value: Bytes,
}

/// A posting with everything needed to carry it out.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) new: NewPosting,
    pub(crate) posting: Arc<Posting>,
    /// Why nothing of it can be sent: it is answered with this, as the target would refuse it.
    pub(crate) refused: Option<Reason>,
    /// Whether its route is gone from the configuration.
    pub(crate) withdrawn: bool,
    /// Whether its route leads elsewhere by now.
    pub(crate) strayed: bool,
    pub(crate) way: Arc<Way>,
    pub(crate) source: Arc<Source>,
}

/// What a record turned out to be.
pub(crate) enum Reading {
    /// An event, with a job for each route; none if nobody wants it.
    Jobs(Vec<Job>),
    /// Nothing that will ever be readable.
    Poison(Poison),
    /// A record whose schema must be fetched first.
    NeedsSchema(u32),
    /// An event of a tenant that is not known.
    Stranger(TenantId),
}

/// Reads a record. Never waits.
pub(crate) fn read(record: &Fetched, decoder: &Decoder, plan: &Plan) -> Reading {
    let Some(value) = &record.value else {
        return poison("SNK-0012", "the record has no value; events are never deleted".into());
    };
    let (id, datum) = match split_wire(value) {
        Ok(split) => split,
        Err(error) => return undecodable(&error),
    };
    let Some(schema) = decoder.cached(id) else { return Reading::NeedsSchema(id) };
    match decode(record, value, &schema, datum, plan) {
        Ok(reading) => reading,
        Err(poison) => Reading::Poison(poison),
    }
}

fn decode(
    record: &Fetched,
    value: &Bytes,
    schema: &WriterSchema,
    datum: &[u8],
    plan: &Plan,
) -> Result<Reading, Poison> {
    let DecodedEvent { envelope, data } = decode_event(schema, datum)
        .map_err(|error| Poison { code: error.code(), message: error.to_string() })?;
    check_key(&record.key, &envelope)?;
    let Some(ways) = plan.ways(&envelope.tenant, envelope.event_type) else {
        return Ok(Reading::Stranger(envelope.tenant));
    };
    if ways.is_empty() {
        return Ok(Reading::Jobs(Vec::new()));
    }
    let body = bytes(&data).map_err(|message| Poison { code: UNFIT, message })?;
    let entity = EntityId::of_record_key(&record.key);
    let source = Arc::new(Source {
        assignment: record.id,
        offset: record.offset,
        envelope,
        key: record.key.clone(),
        value: value.clone(),
    });
    let replay = replay(&record.key);
    let wanted = ways.iter().filter(|way| replay.as_ref().is_none_or(|replay| replay.is_about(&way.name)));
    let event = Event { source: &source, entity, data: &data, body: &body, replay: replay.as_ref() };
    let mut jobs: Vec<Job> = wanted.map(|way| job(way, &event)).collect();
    if plan.stands(&source.envelope.tenant, Standing::Removed) {
        jobs.iter_mut().for_each(Job::withdraw);
    }
    Ok(Reading::Jobs(jobs))
}

impl Job {
    /// Brings a posting that is not over to what is configured now. What it says stays.
    pub(crate) fn renew(&mut self, plan: &Plan) {
        let envelope = &self.source.envelope;
        let fate = plan.fate(&envelope.tenant, envelope.event_type, &self.way);
        self.strayed = matches!(fate, Fate::Elsewhere);
        match fate {
            Fate::On(way) if Arc::ptr_eq(&way, &self.way) => {}
            Fate::On(way) => {
                if let Ok(posting) = way.endpoint.readdress(&self.posting) {
                    (self.posting, self.way) = (Arc::new(posting), way);
                }
            }
            Fate::Elsewhere => {}
            Fate::Withdrawn => self.withdraw(),
        }
    }

    /// Nothing of it is sent any more.
    fn withdraw(&mut self) {
        self.withdrawn = true;
        let route = &self.way.name;
        let gone =
            || refuse(WITHDRAWN, &format!("route `{route}` or its tenant is gone from the configuration"));
        self.refused.get_or_insert_with(gone);
    }
}

/// What the postings of an event are made of.
struct Event<'a> {
    source: &'a Arc<Source>,
    entity: EntityId,
    data: &'a Value,
    body: &'a Bytes,
    replay: Option<&'a Replay>,
}

/// What an operator asked for with the record, if it was published once more for that.
fn replay(label: &Label) -> Option<Replay> {
    let headers = label.headers.as_deref()?.iter();
    headers.filter(|(name, _)| name == REPLAY_HEADER).find_map(|(_, value)| Replay::from_header(value))
}

fn urgency(replay: &Replay) -> Urgency {
    match replay.share {
        ReplayShare::Redrive => Urgency::Redrive,
        ReplayShare::Backfill => Urgency::Backfill,
    }
}

fn job(way: &Arc<Way>, event: &Event<'_>) -> Job {
    let Event { source, entity, data, body, replay } = *event;
    let envelope = &source.envelope;
    let generation = replay.map_or(0, |replay| replay.generation);
    let key = PostingKey { event: envelope.event_id, route: way.route, generation };
    // A new posting is as old as the wish for it.
    let since =
        replay.filter(|replay| replay.generation > 0).map_or(envelope.received_at, |replay| replay.at);
    let (posting, refused) = match posting(way, envelope, key, (data, body)) {
        Ok(posting) => (posting, None),
        Err(reason) => (Posting::nothing(key, &envelope.entity, envelope.source_version), Some(reason)),
    };
    let new = NewPosting {
        key,
        entity,
        connection: way.connection,
        class: way.endpoint.class(),
        source_version: envelope.source_version,
        request_hash: posting.hash(&way.endpoint),
        lag_ms: way.endpoint.lag_ms(),
        on_existing: way.endpoint.on_existing(),
        alone: way.endpoint.needs_own_intent(),
        conflate: way.conflate,
        lock: way.serialize_on.as_deref().and_then(|path| lock(data, path)),
        bulk: way.endpoint.share(&posting, way.bulk).filter(|_| refused.is_none()),
        urgency: replay.map_or(Urgency::Live, urgency),
        accepted_at: since / MICROS,
    };
    Job {
        new,
        posting: Arc::new(posting),
        refused,
        withdrawn: false,
        strayed: false,
        way: Arc::clone(way),
        source: Arc::clone(source),
    }
}

/// What is sent on a way, or why nothing can be.
fn posting(
    way: &Way,
    envelope: &Envelope,
    key: PostingKey,
    (data, body): (&Value, &Bytes),
) -> Result<Posting, Reason> {
    let body = match &way.mapping {
        None => body.clone(),
        Some(mapping) => {
            let payload = mapping.apply(data, &seen(envelope)).map_err(|refusal| reason(&refusal))?;
            bytes(&payload).map_err(|message| unfit(&message))?
        }
    };
    way.endpoint
        .posting(key, &envelope.entity, envelope.source_version, body)
        .map_err(|message| unfit(&message))
}

fn bytes(value: &Value) -> Result<Bytes, String> {
    let written = serde_json::to_vec(value).map(Bytes::from);
    written.map_err(|error| format!("it cannot be written as JSON: {error}"))
}

/// What a mapping sees of an event as `%event`.
fn seen(envelope: &Envelope) -> Value {
    let instant = DateTime::from_timestamp_micros(envelope.occurred_at).unwrap_or_default();
    json!({
        "id": envelope.event_id.to_string(),
        "object": envelope.event_type.object().name(),
        "type": envelope.event_type.to_string(),
        "entity_id": envelope.entity,
        "tenant": envelope.tenant.as_str(),
        "source_version": envelope.source_version,
        "occurred_at": instant.to_rfc3339_opts(SecondsFormat::Micros, true),
    })
}

fn reason(refusal: &Refusal) -> Reason {
    let field = refusal.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    refuse(refusal.code, &format!("{field}{}", refusal.message))
}

fn unfit(message: &str) -> Reason {
    refuse(UNFIT, message)
}

fn refuse(code: &str, message: &str) -> Reason {
    const LONGEST: usize = 500;
    let message: String = message.chars().take(LONGEST).collect();
    Reason { code: Arc::from(code), class: ErrorClass::Validation, status: None, message: message.into() }
}

/// What the target locks, hashed: the text or number that the path `a.b.c` leads to. Without one there is nothing to lock.
fn lock(data: &Value, path: &str) -> Option<u64> {
    let found = path.split('.').try_fold(data, |value, field| value.get(field))?;
    match found {
        Value::String(text) => Some(LOCKS.hash_one(text)),
        Value::Number(number) => Some(LOCKS.hash_one(number.to_string())),
        _ => None,
    }
}

/// The key decides the partition and so the order: a record under another entity's key would break both.
fn check_key(key: &Bytes, envelope: &Envelope) -> Result<(), Poison> {
    let wrong = |message: String| Poison { code: "SNK-0011", message };
    let parsed = RecordKey::parse(key).map_err(|error| wrong(error.to_string()))?;
    let same = parsed.tenant == envelope.tenant
        && parsed.object == envelope.event_type.object()
        && parsed.entity == envelope.entity;
    if same {
        return Ok(());
    }
    Err(wrong(format!(
        "the record's key is `{}`, its envelope says `{}/{}/{}`",
        String::from_utf8_lossy(key),
        envelope.tenant,
        envelope.event_type.object(),
        envelope.entity
    )))
}

fn undecodable(error: &DecodeError) -> Reading {
    poison(error.code(), error.to_string())
}

fn poison(code: &'static str, message: String) -> Reading {
    Reading::Poison(Poison { code, message })
}
