//! Several documents in one request: each is written or refused by itself, and the faults of a request are those of all.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Account, Reply, State};
use crate::{
    answer::Answer,
    collection::Collection,
    faults::Verdict,
    log::Fate,
    refusal::Refusal,
    settings::Idempotency,
    write::{Condition, Verb, Write},
};

/// Documents in a request.
const MAX_ITEMS: usize = 200;

/// The body of a request for several.
#[derive(Deserialize)]
pub(crate) struct Body {
    items: Vec<Item>,
}

/// One of them.
#[derive(Deserialize)]
struct Item {
    external_id: String,
    event_id: Option<Arc<str>>,
    source_version: Option<i64>,
    key: Option<Arc<str>>,
    data: Box<RawValue>,
}

/// A document of the request, or why it cannot be one.
pub(crate) struct Asked {
    external_id: String,
    write: Result<Box<Write>, Refusal>,
}

impl Body {
    /// Each item as a write of its own, `create`d or by its external id.
    pub(crate) fn writes(self, collection: Collection, create: bool) -> Result<Vec<Asked>, Refusal> {
        if self.items.len() > MAX_ITEMS {
            return Err(Refusal::field("items", format!("at most {MAX_ITEMS} `items`")));
        }
        let verb = if create { Verb::Create } else { Verb::Upsert { condition: Condition::None } };
        Ok(self.items.into_iter().map(|item| item.write(collection, verb.clone())).collect())
    }
}

impl Item {
    fn write(self, collection: Collection, verb: Verb) -> Asked {
        let Self { external_id, event_id, source_version, key, data } = self;
        let version = source_version.map(u64::try_from).transpose();
        let write = version
            .map_err(|_| Refusal::field("source_version", "`source_version` is not negative"))
            .and_then(|version| {
                let told = (key, event_id, version);
                Write::of_item(collection, verb, &external_id, told, data.get().as_bytes())
            })
            .map(Box::new);
        Asked { external_id, write }
    }
}

impl Account {
    /// What becomes of the request as a whole, before anything is written.
    pub(crate) fn begin_bulk(&self) -> Result<Verdict, Reply> {
        let mut state = self.lock();
        if state.settings.bulk_refuse_next > 0 {
            state.settings.bulk_refuse_next -= 1;
            return Err((&state.refuse(Refusal::body("the items cannot be read"))).into());
        }
        let State { settings, faults, .. } = &mut *state;
        match faults.verdict(settings) {
            Verdict::Fail if settings.fail_status == 500 => Err((&state.refuse(Refusal::Internal)).into()),
            Verdict::Fail => Err((&state.refuse(Refusal::Unavailable)).into()),
            verdict => {
                let late = matches!(verdict, Verdict::ApplyLate(_));
                state.pending += 1;
                state.requests.answers_dropped += u64::from(late);
                Ok(verdict)
            }
        }
    }

    /// Writes them, one after the other, under one lock.
    pub(crate) fn complete_bulk(&self, items: Vec<Asked>, verdict: Verdict) -> Reply {
        let mut state = self.lock();
        state.pending -= 1;
        let mut rows = Vec::new();
        let mut results: Vec<Value> =
            items.into_iter().map(|item| state.write_item(&self.name, item, &mut rows)).collect();
        let late = matches!(verdict, Verdict::ApplyLate(_));
        let State { settings, faults, .. } = &mut *state;
        let lost = late || settings.apply_late_ms == 0 && faults.drops_answer(settings);
        state.requests.answers_dropped += u64::from(lost && !late);
        if state.settings.bulk_short_next > 0 {
            state.settings.bulk_short_next -= 1;
            results.pop();
        }
        let reply = match lost {
            true => Reply::HangUp,
            false => Reply::Answer { answer: Answer::of_items(&results), replayed: false },
        };
        for (row, applied) in rows {
            state.log.ended(row, applied.map_or(Fate::Replayed, |applied| Fate::of(applied, &reply)));
        }
        reply
    }
}

impl State {
    /// What is said of one item. `rows` gets its row in the log, and whether it was applied; none if it was before.
    fn write_item(
        &mut self,
        account: &str,
        item: Asked,
        rows: &mut Vec<(Option<usize>, Option<bool>)>,
    ) -> Value {
        let Asked { external_id, write } = item;
        let written = match write {
            Err(refusal) => Err(refusal),
            Ok(write) => {
                let logged = if self.settings.log_requests { self.log.write(&write) } else { None };
                let (written, applied) = self.write_once(account, *write);
                rows.push((logged, applied));
                written
            }
        };
        match written {
            Ok(answer) => answer.as_item(),
            Err(refusal) => {
                let refusal = self.refuse(refusal);
                let error: Value = serde_json::from_str(&refusal.to_json()).unwrap_or_default();
                json!({"external_id": external_id, "status": refusal.status().as_u16(), "error": error["error"]})
            }
        }
    }

    fn write_once(&mut self, account: &str, write: Write) -> (Result<Answer, Refusal>, Option<bool>) {
        let key = write.key.clone().filter(|_| self.settings.idempotency == Idempotency::Key);
        match self.begin_key(&write) {
            Ok(Some(answer)) => {
                self.requests.replayed += 1;
                return (Ok(answer), None);
            }
            Err(refusal) => return (Err(refusal), Some(false)),
            Ok(None) => {}
        }
        let result = self.apply(account, write);
        if let Some(key) = &key {
            match &result {
                Ok(answer) => self.keys.finish(key, answer.clone()),
                Err(_) => self.keys.release(key),
            }
        }
        let applied = result.is_ok();
        (result, Some(applied))
    }
}

impl Answer {
    /// The answer to a request for several.
    fn of_items(results: &[Value]) -> Self {
        Self::plain(StatusCode::OK, json!({"results": results}).to_string())
    }
}
