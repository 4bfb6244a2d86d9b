//! What answers to the requests of an endpoint mean.

use delivery::Answer;
use http::HeaderMap;
use serde_json::Value;

use crate::{
    Endpoint,
    classify::lost,
    each::Each,
    endpoint::{Change, Step},
    operation::Exchange,
};

impl Endpoint {
    /// What the answer to a write, or to a change, means: the document's own id, or why not.
    pub(crate) fn written(
        &self,
        change: Option<&Change>,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Option<Value>, Answer> {
        if !change.map_or(&self.ok, |change| &change.ok).contains(&status) {
            return Err(self.classifier.classify_write(status, headers, body));
        }
        if self.id.is_none() && !self.classifier.looks_into_ok() {
            return Ok(None);
        }
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if self.classifier.is_error(&json) {
            return Err(self.classifier.classify_write(status, headers, body));
        }
        Ok(self.id.as_ref().and_then(|place| place.value(&json, headers)))
    }

    /// What the answer to a step means, whose statuses `ok` say that it is done.
    pub(crate) fn is_ok(
        &self,
        ok: &[u16],
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Answer> {
        let failed = || Err(self.classifier.classify_write(status, headers, body));
        if !ok.contains(&status) {
            return failed();
        }
        if !self.classifier.looks_into_ok() {
            return Ok(());
        }
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if self.classifier.is_error(&json) { failed() } else { Ok(()) }
    }

    /// What the answer to a step for `number` elements means.
    pub(crate) fn stepped_for(
        &self,
        step: &Step,
        each: &Each,
        (status, headers, body): &Exchange,
        number: usize,
    ) -> Result<(), Answer> {
        let Some(list) = each.answers.as_ref().filter(|_| step.ok.contains(status)) else {
            return self.is_ok(&step.ok, *status, headers, body);
        };
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let Some(items) = list.items(&json).filter(|items| items.len() == number) else {
            self.is_ok(&step.ok, *status, headers, body)?;
            return Err(lost("the answer does not say of each element what became of it"));
        };
        let answers = items.iter().map(|item| list.means(&self.classifier, (*status, headers), item));
        worst(answers)
    }

    /// What the answer to a posting means, as the tests of connectors ask.
    pub fn meaning(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Answer {
        match self.written(None, status, headers, body) {
            Ok(id) => Answer::Applied { document: id.map(|id| crate::template::plain(&id).into()) },
            Err(answer) => answer,
        }
    }
}

/// What several answers mean together: what nobody knows counts more than what is refused for good, and that more than what may come.
fn worst(answers: impl Iterator<Item = Answer>) -> Result<(), Answer> {
    let weight = |answer: &Answer| match answer {
        Answer::Applied { .. } => 0,
        Answer::Again { .. } | Answer::Unfinished { .. } => 1,
        Answer::Refused(_) | Answer::Stuck(_) => 2,
        Answer::Unknown(_) | Answer::Replayed(_) => 3,
    };
    // Of those that weigh the same, the first.
    let worst = answers.reduce(|worst, next| if weight(&next) > weight(&worst) { next } else { worst });
    worst.filter(|answer| weight(answer) > 0).map_or(Ok(()), Err)
}
