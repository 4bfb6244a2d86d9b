//! The payload of a request, with the target's own ids in the place of references to other documents.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::Bytes;
use delivery::{Answer, ErrorClass, Scope};
use serde_json::Value;

use crate::{
    call::Call,
    classify::{impossible, reason},
    finder::Sight,
    operation::Run,
    references::{self, Reference},
    template::Scope as Names,
};

/// Documents that a payload refers to, by object and reference: id and everything else, or none.
type Documents = BTreeMap<(String, String), Option<(Option<Value>, Value)>>;

impl Run<'_> {
    /// The payload for a request: parsed if it needs that, with its references resolved, and its bytes. Only a step sees the lists whose
    /// elements are written one by one.
    pub(crate) async fn payload(&self, call: &Call, of_step: bool) -> Result<(Value, Bytes), Answer> {
        let raw = &self.posting.payload;
        let refers = references::may_have(raw) && call.sends_payload();
        let cuts = !of_step && self.endpoint.has_lists() && call.sends_payload();
        if !refers && !cuts && !call.needs_payload() {
            return Ok((Value::Null, raw.clone()));
        }
        let mut payload: Value = serde_json::from_slice(raw).unwrap_or(Value::Null);
        if refers {
            self.resolve_all(&mut payload).await?;
        }
        if cuts {
            self.endpoint.cut(&mut payload);
        }
        let raw = if refers || cuts { payload.to_string().into() } else { raw.clone() };
        Ok((payload, raw))
    }

    async fn resolve_all(&self, payload: &mut Value) -> Result<(), Answer> {
        let (mut found, mut documents) = (BTreeMap::new(), BTreeMap::new());
        for reference in references::collect(payload).map_err(|what| impossible(&what))? {
            let value = match self.endpoint.found.get(&reference) {
                Some(value) => value,
                None => self.resolve(&reference, &mut documents).await?,
            };
            found.insert(reference, value);
        }
        references::replace(payload, &found);
        Ok(())
    }

    /// What takes the place of a reference. A payload that wants several things of one document looks for it once.
    async fn resolve(&self, reference: &Reference, documents: &mut Documents) -> Result<Value, Answer> {
        let key = (reference.object.clone(), reference.reference.clone());
        let document = match documents.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.refer(reference).await?),
        };
        let missing = |class, what: &str| {
            reason(class, None, &format!("{} `{}` {what}", reference.object, reference.reference))
        };
        let Some((id, whole)) = document else {
            return if reference.optional {
                Ok(Value::Null)
            } else {
                let reason = missing(ErrorClass::MissingReference, "is not at the target");
                Err(Answer::Again { reason, after_ms: None, scope: Scope::Lane })
            };
        };
        reference.check(whole).map_err(|what| {
            let reason = missing(ErrorClass::Validation, &what);
            // What was applied before may have been changed since.
            if self.repeats { Answer::Stuck(reason) } else { Answer::Refused(reason) }
        })?;
        let value = reference.pick(id.as_ref(), whole).ok_or_else(|| {
            Answer::Refused(missing(ErrorClass::Validation, "has no such field at the target"))
        })?;
        if !reference.is_conditional() {
            self.endpoint.found.put(reference.clone(), value.clone());
        }
        Ok(value)
    }

    /// The document that a reference names, with its id; none if it is not at the target.
    async fn refer(&self, reference: &Reference) -> Result<Option<(Option<Value>, Value)>, Answer> {
        let (object, text) = (&reference.object, &reference.reference);
        let finder = self.endpoint.finders.get(object).ok_or_else(|| {
            impossible(&format!("the payload refers to a `{object}`, which the connector cannot look up"))
        })?;
        let posting = self.posting.referring(text);
        let names = Names { posting: &posting, ..self.names(&Value::Null, None, None) };
        match self.sight(finder, &names).await {
            Sight::Found { id, whole, .. } => Ok(Some((id, whole))),
            Sight::Absent => Ok(None),
            Sight::Several => {
                let what = format!("{object} `{text}` is there several times at the target");
                Err(Answer::Refused(reason(ErrorClass::AmbiguousKey, None, &what)))
            }
            // Nothing was written yet.
            Sight::Failed(Answer::Unknown(reason)) => {
                self.rest(true);
                Err(Answer::Again { reason, after_ms: None, scope: Scope::Lane })
            }
            Sight::Failed(answer) => Err(answer),
        }
    }
}
