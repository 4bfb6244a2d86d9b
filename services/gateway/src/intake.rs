//! The one path that every event takes, from whatever door: quota → validate all → encode → publish all → answer.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use contract::Contracts;
use event::{EventType, RecordKey, TenantId};
use serde::Serialize;
use serde_json::Value;
use tenancy::{QuotaError, Tenant};

use crate::{
    clock::Clock,
    incoming::{Draft, Wrong},
    metrics::GatewayMetrics,
    objects::OpenObjects,
    problem::{FieldError, ItemResult, Problem, codes, field_codes},
    publish::{PublishError, PublishErrorKind, Publisher, Record},
    tenants::Served,
};

/// When to come back while the brokers or the registry are away.
pub(crate) const RETRY_LATER: Duration = Duration::from_secs(2);
/// The most field errors of one answer; the rest are counted in its detail.
const MAX_ERRORS: usize = 100;
/// How much longer than the client library's own deadline to wait for its verdict.
const VERDICT_GRACE: Duration = Duration::from_secs(3);

/// Everything the path needs.
pub struct Intake {
    /// The contracts of the objects.
    pub contracts: &'static Contracts,
    /// The objects whose topic and schema are known to be as they should.
    pub open: OpenObjects,
    /// The way to the brokers.
    pub publisher: Arc<dyn Publisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: GatewayMetrics,
    /// How long the brokers may take to acknowledge.
    pub produce_deadline: Duration,
    /// The region this gateway serves.
    pub region: String,
}

/// One event of a request, read but not checked: its draft, or what kept it from being read and what can be salvaged of it.
pub enum Read<'a> {
    /// It could be read.
    Draft(Draft<'a>),
    /// It could not; type and object are there to find all errors at once.
    Wrong(Wrong, Option<(EventType, &'a Value)>),
}

/// An event that only waits for its place on the topic.
#[derive(Debug)]
pub struct Ready {
    event_id: String,
    entity: String,
    event_type: String,
    record: Record,
}

/// An event that the brokers have.
#[derive(Debug, Serialize)]
pub struct Accepted {
    event_id: String,
    entity: String,
    r#type: String,
    topic: Arc<str>,
    partition: i32,
    offset: i64,
}

/// The body of a 202.
#[derive(Debug, Serialize)]
pub struct AllAccepted {
    /// Every event of the request, in its order.
    pub accepted: Vec<Accepted>,
}

impl Intake {
    /// Whether the tenant may send `events` events now, and here.
    ///
    /// # Errors
    /// [`codes::MISDIRECTED`], [`codes::QUOTA`], [`codes::BATCH_TOO_LARGE`].
    pub fn admit(&self, served: &Served, tenant: &Tenant, events: usize) -> Result<(), Problem> {
        if !served.places.serves(&tenant.id) {
            let detail =
                format!("this gateway serves {}, the tenant lives in {}", self.region, tenant.region);
            return Err(Problem::new(codes::MISDIRECTED, detail));
        }
        let count = u32::try_from(events).unwrap_or(u32::MAX);
        served.quotas.check_n(&tenant.id, count).map_err(|error| match error {
            QuotaError::Exhausted { retry_after } => {
                self.metrics.quota_rejection(&tenant.id);
                Problem::new(codes::QUOTA, error.to_string()).retry_after(retry_after)
            }
            _ => Problem::new(codes::BATCH_TOO_LARGE, error.to_string()),
        })
    }

    /// Checks and encodes all events of a request.
    ///
    /// # Errors
    /// [`codes::INVALID`] with every error of every event, [`codes::FOREIGN_TENANT`], [`codes::NOT_OPEN`].
    pub fn prepare<'a>(
        &self,
        served: &Served,
        tenant: &TenantId,
        events: impl Iterator<Item = Read<'a>>,
    ) -> Result<Vec<Ready>, Problem> {
        let now = self.clock.now_micros();
        let mut ready = Vec::with_capacity(events.size_hint().0);
        let mut errors = Vec::new();
        let mut not_open = None;
        for (index, read) in events.enumerate() {
            match read {
                Read::Draft(draft) => {
                    if let Some(named) = draft.tenant.filter(|named| *named != tenant.as_str()) {
                        let detail =
                            format!("event {index} names the tenant `{named}`, the key is another's");
                        return Err(Problem::new(codes::FOREIGN_TENANT, detail));
                    }
                    match self.encode(served, tenant, (draft, now), &mut not_open) {
                        Ok(event) => ready.push(event),
                        Err(wrong) => errors.extend(indexed(wrong, index)),
                    }
                }
                Read::Wrong(wrong, rest) => {
                    self.metrics.rejected(tenant, rest.map(|(event_type, _)| event_type));
                    errors.extend(indexed(wrong, index));
                    errors.extend(indexed(self.errors_of(tenant, rest), index));
                }
            }
        }
        if !errors.is_empty() {
            return Err(invalid(errors));
        }
        match not_open {
            Some(object) => {
                let detail = format!(
                    "{object} events are not taken yet: the registry or the brokers have not confirmed their schema and topic"
                );
                Err(Problem::new(codes::NOT_OPEN, detail).retry_after(RETRY_LATER))
            }
            None => Ok(ready),
        }
    }

    fn encode(
        &self,
        served: &Served,
        tenant: &TenantId,
        (draft, now): (Draft<'_>, i64),
        not_open: &mut Option<event::ObjectKind>,
    ) -> Result<Ready, Wrong> {
        let (event_type, object) = (draft.event_type, draft.object);
        let kind = event_type.object();
        let schema = self.open.schema_id(kind).unwrap_or_else(|| {
            *not_open = Some(kind);
            0
        });
        let envelope = draft.envelope(tenant, now);
        let value = self.contracts.object(kind).encode(schema, &envelope, object).map_err(|invalid| {
            self.metrics.rejected(tenant, Some(event_type));
            contract_errors(invalid)
        })?;
        // The contract has accepted `data.id`; what a record key cannot hold is left to say.
        let key = RecordKey::new(tenant.clone(), kind, &envelope.entity)
            .map_err(|error| vec![field("data.id", field_codes::VALUE, error.to_string())])?
            .to_bytes();
        let place = served.places.of(tenant, kind).ok_or_else(|| {
            vec![field("type", field_codes::VALUE, format!("no topic carries `{kind}` events here"))]
        })?;
        let partition = place.placement.partition(&key);
        Ok(Ready {
            event_id: envelope.event_id.to_string(),
            entity: envelope.entity,
            event_type: event_type.to_string(),
            record: Record {
                topic: place.topic.clone(),
                partition,
                key,
                value,
                revision: served.fresh(tenant),
            },
        })
    }

    /// The errors of an object whose envelope is wrong, so that the sender learns of all at once.
    fn errors_of(&self, tenant: &TenantId, rest: Option<(EventType, &Value)>) -> Wrong {
        let Some((event_type, object)) = rest else { return Wrong::new() };
        let Some(data) = object.as_object() else { return Wrong::new() };
        let stand_in = Draft {
            event_type,
            object,
            data,
            source: "-",
            id: None,
            source_version: None,
            occurred_at: 0,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            extensions: Default::default(),
            tenant: None,
        };
        let envelope = stand_in.envelope(tenant, 0);
        let checked = self.contracts.object(event_type.object()).encode(0, &envelope, object);
        let mut wrong = checked.map_or_else(contract_errors, |_| Wrong::new());
        wrong.retain(|error| error.path.starts_with("data"));
        wrong
    }

    /// Publishes all events and waits for every acknowledgement.
    ///
    /// # Errors
    /// [`codes::BROKER_UNAVAILABLE`], [`codes::BROKER_REFUSES`] or [`codes::RECORD_TOO_LARGE`], with what became of each event.
    pub async fn publish(&self, tenant: &TenantId, events: Vec<Ready>) -> Result<Vec<Accepted>, Problem> {
        let start = Instant::now();
        // One after the other into the queue, for order; then all waits together.
        let mut pending = Vec::with_capacity(events.len());
        for event in &events {
            pending.push(self.publisher.enqueue(&event.record).await);
        }
        let deadline = tokio::time::Instant::now() + self.produce_deadline + VERDICT_GRACE;
        let mut outcomes = Vec::with_capacity(events.len());
        for wait in pending {
            let outcome = match wait {
                Ok(wait) => tokio::time::timeout_at(deadline, wait).await.unwrap_or_else(|late| {
                    let source = Box::new(late);
                    Err(PublishError { code: "TOP-0101", kind: PublishErrorKind::Retriable, source })
                }),
                Err(error) => Err(error),
            };
            outcomes.push(outcome);
        }
        self.metrics.produced(start.elapsed().as_secs_f64());
        if outcomes.iter().any(Result::is_err) {
            return Err(self.not_all(tenant, &events, outcomes));
        }
        let accept = |(event, position): (Ready, kafka::Position)| {
            self.metrics.accepted(tenant, &event.event_type);
            tracing::trace!(event_id = event.event_id, topic = %event.record.topic, position.offset, "event accepted");
            event.accepted(position)
        };
        Ok(events.into_iter().zip(outcomes.into_iter().flatten()).map(accept).collect())
    }

    /// The answer when at least one event was not acknowledged. Those that were stay published: a resend has the same
    /// ids, so it does them no harm.
    fn not_all(
        &self,
        tenant: &TenantId,
        events: &[Ready],
        outcomes: Vec<Result<kafka::Position, PublishError>>,
    ) -> Problem {
        let mut worst = PublishErrorKind::Retriable;
        let mut results = Vec::with_capacity(events.len());
        for (index, (event, outcome)) in events.iter().zip(&outcomes).enumerate() {
            let code = match outcome {
                Ok(_) => {
                    self.metrics.accepted(tenant, &event.event_type);
                    None
                }
                Err(error) => {
                    let cause: &dyn std::error::Error = &*error.source;
                    tracing::warn!(%tenant, event_id = event.event_id, code = error.code, cause, "event not acknowledged");
                    worst = worst.max(error.kind);
                    Some(error.code)
                }
            };
            results.push(ItemResult {
                index,
                event_id: event.event_id.clone(),
                accepted: code.is_none(),
                code,
            });
        }
        let failed = results.iter().filter(|r| !r.accepted).count();
        let detail = |advice: &str| {
            Cow::from(format!("{failed} of {} events were not acknowledged; {advice}", results.len()))
        };
        let problem = match worst {
            PublishErrorKind::TooLarge => {
                Problem::new(codes::RECORD_TOO_LARGE, detail("at least one is too large for its topic"))
            }
            PublishErrorKind::Refused => {
                let advice = "at least one is refused until the topic or its permissions are changed";
                Problem::new(codes::BROKER_REFUSES, detail(advice))
            }
            PublishErrorKind::Retriable => {
                let advice =
                    "send the whole request again: event ids are deterministic, a resend does no harm";
                Problem::new(codes::BROKER_UNAVAILABLE, detail(advice)).retry_after(RETRY_LATER)
            }
        };
        problem.results(results)
    }
}

impl Ready {
    fn accepted(self, position: kafka::Position) -> Accepted {
        Accepted {
            event_id: self.event_id,
            entity: self.entity,
            r#type: self.event_type,
            topic: self.record.topic,
            partition: position.partition,
            offset: position.offset,
        }
    }
}

fn field(path: &str, code: &str, message: String) -> FieldError {
    FieldError { index: 0, path: path.to_owned(), code: code.to_owned(), message }
}

/// What a contract says, as errors of fields.
pub(crate) fn contract_errors(invalid: contract::Invalid) -> Wrong {
    let mut wrong = Wrong::with_capacity(invalid.errors.len());
    for error in invalid.errors {
        // An absent id is told twice, as the envelope's entity and as the object's field: the latter says it better.
        wrong.retain(|earlier: &FieldError| earlier.path != error.path);
        wrong.push(field(&error.path, error.code, error.message));
    }
    if invalid.more > 0 {
        wrong.push(field("data", "CON-0100", format!("and {} more problems", invalid.more)));
    }
    wrong
}

fn indexed(wrong: Wrong, index: usize) -> impl Iterator<Item = FieldError> {
    wrong.into_iter().map(move |error| FieldError { index, ..error })
}

fn invalid(mut errors: Vec<FieldError>) -> Problem {
    let events = errors.iter().map(|e| e.index).collect::<std::collections::BTreeSet<_>>().len();
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let mut detail = format!(
        "{} problem{} in {events} event{}; nothing was published",
        errors.len(),
        plural(errors.len()),
        plural(events)
    );
    if errors.len() > MAX_ERRORS {
        detail.push_str(&format!(", the first {MAX_ERRORS} are listed"));
        errors.truncate(MAX_ERRORS);
    }
    Problem::new(codes::INVALID, detail).errors(errors)
}
