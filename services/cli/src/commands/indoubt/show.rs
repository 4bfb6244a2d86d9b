//! What is printed.

use contract::{Decision, Outcome};
use serde_json::{Value, json};

use crate::out;

/// Every event in doubt, a line each.
pub(super) fn all(doubts: &[Outcome], as_json: bool) {
    if as_json {
        let rows: Vec<Value> = doubts.iter().map(row).collect();
        return out::line(format_args!("{:#}", json!({ "in_doubt": rows })));
    }
    for doubt in doubts {
        out::line(format_args!(
            "{}  {}  {}/{}  {} {}  {}",
            instant(doubt.settled_at),
            doubt.event_id,
            doubt.tenant,
            doubt.route,
            doubt.event_type,
            doubt.entity,
            doubt.error_code.as_deref().unwrap_or("-"),
        ));
    }
    out::line(format_args!("{} in doubt", doubts.len()));
}

/// One event in doubt, with its evidence.
pub(super) fn one(doubt: &Outcome, as_json: bool) {
    let row = row(doubt);
    if as_json {
        return out::line(format_args!("{row:#}"));
    }
    for (name, value) in row.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out::line(format_args!("{name:<18} {text}"));
    }
}

/// What was decided.
pub(super) fn decided(doubt: &Outcome, decision: &Decision, as_json: bool) {
    if as_json {
        return out::line(format_args!(
            "{:#}",
            json!({ "event_id": doubt.event_id.to_string(), "decision": decision })
        ));
    }
    let verdict = format!("{:?}", decision.verdict).to_lowercase();
    out::line(format_args!(
        "{} on {}/{}: decided as {verdict} by {}; its outcome event follows",
        doubt.event_id, doubt.tenant, doubt.route, decision.operator
    ));
}

fn row(doubt: &Outcome) -> Value {
    json!({
        "event_id": doubt.event_id.to_string(),
        "tenant": doubt.tenant.as_str(),
        "event_type": doubt.event_type.to_string(),
        "entity": doubt.entity,
        "source_version": doubt.source_version,
        "route": doubt.route,
        "connection": doubt.connection,
        "generation": doubt.generation,
        "attempts": doubt.attempts,
        "error_code": doubt.error_code,
        "detail": doubt.detail,
        "occurred_at": instant(doubt.occurred_at),
        "accepted_at": instant(doubt.accepted_at),
        "first_attempt_at": doubt.first_attempt_at.map(instant),
        "settled_at": instant(doubt.settled_at),
    })
}

/// Microseconds since 1970-01-01 as people write them, UTC.
fn instant(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}
