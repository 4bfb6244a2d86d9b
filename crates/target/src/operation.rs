//! One operation at a target: a look where it is needed, the write, and the steps that follow it, all before one deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use delivery::{Answer, Class, ErrorClass, OnExisting, ReadBack, Reason, Scope};
use http::{HeaderMap, Uri};
use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    Client, Endpoint, Posting, Standing,
    auth::{Prepared, Session},
    bulk::Whole,
    call::{Call, Impossible},
    classify::{Broken, impossible, reason},
    endpoint::{Change as Update, Done, Step, nothing_captured},
    finder::{Finder, Sight},
    signals::{Told, retry_after},
    template::{Scope as Names, plain},
};

/// What the change of a document that a look has found is called beside the steps, whose names come from definitions: at class keyed it has
/// a key of its own, since under that of the write it would only be told again what became of that.
pub(crate) fn change_of(class: Class) -> Option<&'static str> {
    matches!(class, Class::Keyed { .. }).then_some("~u")
}

/// An operation under way.
pub(crate) struct Run<'a> {
    pub(crate) client: &'a Client,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) posting: &'a Posting,
    /// Whether an attempt went before this one.
    pub(crate) repeats: bool,
    pub(crate) deadline: Instant,
    /// What the last request was signed with.
    pub(crate) session: Mutex<Option<Arc<Session>>>,
    /// How long the last answer asked to wait, in milliseconds.
    pub(crate) retry_after: Mutex<Option<u64>>,
}

/// Status, headers and body.
pub(crate) type Exchange = (u16, HeaderMap, Bytes);

impl Run<'_> {
    /// Carries the operation out, from where it stands.
    pub(crate) async fn carry_out(&self, standing: Option<&Standing>) -> Answer {
        let mut answer = self.operate(standing).await;
        self.rest(matches!(answer, Answer::Unknown(_)));
        self.judge(&mut answer);
        answer
    }

    /// What the target knows of the posting.
    pub(crate) async fn read_back(&self) -> (ReadBack, Option<Standing>) {
        let (mut seen, standing) = self.look().await;
        self.rest(matches!(seen, ReadBack::Failed(Answer::Unknown(_))));
        match &mut seen {
            ReadBack::Failed(answer) => self.judge(answer),
            _ => self.judge(&mut Answer::Applied { document: None }),
        }
        (seen, standing)
    }

    async fn operate(&self, standing: Option<&Standing>) -> Answer {
        if let Some(standing) = standing {
            return self.go_on(standing).await;
        }
        let looks = self.endpoint.looks_first() || self.repeats && self.endpoint.is_harmed_by_repeats();
        if !looks {
            return self.begin().await;
        }
        let (seen, standing) = self.look().await;
        let refused = |what: &str| Answer::Refused(reason(ErrorClass::Duplicate, None, what));
        match (seen, standing) {
            (ReadBack::Absent, _) => self.begin().await,
            (ReadBack::Several, _) => refused("the target has several documents of this reference"),
            // Nothing was written yet, so whatever became of the look can be repeated.
            (ReadBack::Failed(Answer::Unknown(reason)), _) => {
                self.rest(true);
                Answer::Again { reason, after_ms: None, scope: Scope::Lane }
            }
            (ReadBack::Failed(answer), _) => answer,
            (ReadBack::Differs { .. }, _) if self.endpoint.does_on_existing(OnExisting::Verify) => {
                refused("the target has a document of this reference that says something else")
            }
            (ReadBack::Differs { document }, _) if self.endpoint.does_on_existing(OnExisting::Skip) => {
                Answer::Applied { document }
            }
            (ReadBack::Matches { document }, _) => Answer::Applied { document },
            (ReadBack::Differs { .. } | ReadBack::Unfinished { .. }, Some(standing)) => {
                self.go_on(&standing).await
            }
            (ReadBack::Differs { document } | ReadBack::Unfinished { document }, None) => {
                Answer::Applied { document }
            }
        }
    }

    async fn look(&self) -> (ReadBack, Option<Standing>) {
        let Some(finder) = &self.endpoint.finder else {
            let failed = crate::classify::unreachable("the target cannot be read");
            return (ReadBack::Failed(failed), None);
        };
        let (id, version, whole) =
            match self.sight(finder, &self.names(&self.look_payload(finder), None, None)).await {
                Sight::Absent => return (ReadBack::Absent, None),
                Sight::Several => return (ReadBack::Several, None),
                Sight::Failed(answer) => return (ReadBack::Failed(answer), None),
                Sight::Found { id, version, whole } => (id, version, whole),
            };
        let document = id.as_ref().map(|id| plain(id).into());
        let sent = self.endpoint.head(&self.posting.payload);
        // What may be written over is, unless it is known to be right whole: a change that never came looks like one that did.
        let vouches = || !self.endpoint.does_on_existing(OnExisting::Overwrite) || finder.compares_all(&sent);
        let differs = !finder.is_same(&whole, &sent) || !vouches();
        let standing = Standing { id, version, differs, step: 0 };
        let (step, elements_differ) = match self.progress(&whole, &standing).await {
            Ok(progress) => progress,
            Err(failed) => return (failed, None),
        };
        let seen = match (differs || elements_differ, step < self.endpoint.steps.len()) {
            (true, _) => ReadBack::Differs { document },
            (false, true) => ReadBack::Unfinished { document },
            (false, false) => ReadBack::Matches { document },
        };
        (seen, Some(Standing { step, ..standing }))
    }

    /// What a look needs of the payload.
    pub(crate) fn look_payload(&self, finder: &Finder) -> Value {
        match finder.call.needs_payload() {
            true => serde_json::from_slice(&self.posting.payload).unwrap_or(Value::Null),
            false => Value::Null,
        }
    }

    pub(crate) async fn sight(&self, finder: &Finder, names: &Names<'_>) -> Sight {
        match self.exchange(&finder.call, names, None, &Bytes::new(), false).await {
            Ok((status, headers, body)) => finder.see(&self.endpoint.classifier, status, &headers, &body),
            Err(answer) => Sight::Failed(answer),
        }
    }

    /// The request for several, with all of their items.
    pub(crate) async fn ask_for_all(&self, whole: &Whole<'_>) -> Result<Exchange, Answer> {
        let names = Names { items: Some(&whole.items), ..self.names(&Value::Null, None, None) };
        self.exchange(&whole.call, &names, None, &whole.raw, false).await
    }

    /// From the beginning: the write, then all steps.
    async fn begin(&self) -> Answer {
        let write = &self.endpoint.write;
        if let Err(answer) = self.check_elements() {
            return answer;
        }
        let (payload, raw) = match self.payload(write, false).await {
            Ok(ready) => ready,
            Err(answer) => return answer,
        };
        let names = self.names(&payload, None, None);
        let exchange = self.exchange(write, &names, self.posting.uri.as_ref(), &raw, true).await;
        self.written(exchange, None, None).await
    }

    /// From where it stands: the change, if it says something else, then the steps that are not done.
    async fn go_on(&self, standing: &Standing) -> Answer {
        if !standing.differs {
            return self.steps(standing.step, standing.id.clone(), false).await;
        }
        let change = self.endpoint.update.as_ref();
        let call = change.map_or(&self.endpoint.write, |change| &change.call);
        let (payload, raw) = match self.payload(call, false).await {
            Ok(ready) => ready,
            Err(answer) => return answer,
        };
        let names = self.names(&payload, standing.id.as_ref(), standing.version.as_deref());
        let names = Names { step: change.and_then(|_| change_of(self.endpoint.class())), ..names };
        let exchange = self.exchange(call, &names, None, &raw, true).await;
        self.written(exchange, change, Some(standing)).await
    }

    async fn written(
        &self,
        exchange: Result<Exchange, Answer>,
        change: Option<&Update>,
        standing: Option<&Standing>,
    ) -> Answer {
        let exchange = match exchange {
            Ok(exchange) => exchange,
            Err(answer) => return answer,
        };
        let status = exchange.0;
        match self.understand(change, &exchange).await {
            Ok(id) => {
                let id = id.or_else(|| standing.and_then(|s| s.id.clone()));
                let fresh = standing.is_none() && self.endpoint.creates();
                self.steps(standing.map_or(0, |s| s.step), id, fresh).await
            }
            Err(answer) => {
                self.endpoint.found.forget();
                match answer {
                    // Somebody else was faster: what stands there now has to be looked at anew.
                    Answer::Refused(reason) if standing.is_some() && reason.class == ErrorClass::Stale => {
                        Answer::Unfinished { reason, after_ms: None, scope: Scope::Lane }
                    }
                    // A rule says that it was written before: a look tells which of the steps are missing.
                    Answer::Applied { .. } if !self.endpoint.steps.is_empty() => {
                        let reason =
                            reason(ErrorClass::AlreadyAccepted, Some(status), "it was written before");
                        Answer::Unfinished { reason, after_ms: None, scope: Scope::Lane }
                    }
                    answer => answer,
                }
            }
        }
    }

    /// The steps from `first` on; `fresh` says that the document was made a moment ago. What is written already stays so whatever becomes
    /// of them: none of their troubles may lead to another write without a look.
    async fn steps(&self, first: usize, id: Option<Value>, fresh: bool) -> Answer {
        for step in self.endpoint.steps.get(first..).unwrap_or_default() {
            if let Err(answer) = self.step(step, id.as_ref(), fresh).await {
                let at = |reason: Reason| {
                    let document = id.as_ref().map(plain).unwrap_or_default();
                    let message = format!("step `{}` of document {document}: {}", step.name, reason.message);
                    Reason { message: message.into(), ..reason }
                };
                return match answer {
                    Answer::Again { reason, after_ms, scope } => {
                        Answer::Unfinished { reason: at(reason), after_ms, scope }
                    }
                    Answer::Unknown(reason) => Answer::Unknown(at(reason)),
                    Answer::Replayed(reason) => Answer::Replayed(at(reason)),
                    Answer::Refused(reason) => Answer::Stuck(at(reason)),
                    Answer::Applied { .. } => continue, // a rule says that it was done before
                    other => other,
                };
            }
        }
        Answer::Applied { document: id.as_ref().map(|id| plain(id).into()) }
    }

    async fn step(&self, step: &Step, id: Option<&Value>, fresh: bool) -> Result<(), Answer> {
        if let Done::Each(each) = &step.done {
            return self.repeat((step, each), id, fresh).await;
        }
        let (payload, raw) = self.payload(&step.call, true).await?;
        let names = Names { step: Some(&step.name), ..self.names(&payload, id, None) };
        let (status, headers, body) = self.exchange(&step.call, &names, None, &raw, true).await?;
        self.endpoint.is_ok(&step.ok, status, &headers, &body)
    }

    pub(crate) fn names<'a>(
        &'a self,
        payload: &'a Value,
        id: Option<&'a Value>,
        version: Option<&'a str>,
    ) -> Names<'a> {
        Names { id, version, ..Names::of(self.posting, payload, nothing_captured()) }
    }

    /// One request and its answer.
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        names: &Names<'_>,
        uri: Option<&Uri>,
        raw: &Bytes,
        writes: bool,
    ) -> Result<Exchange, Answer> {
        self.exchange_at(call, names, uri, raw, writes).await.map(|(_, exchange)| exchange)
    }

    /// The same, with the address that was asked.
    pub(crate) async fn exchange_at(
        &self,
        call: &Call,
        names: &Names<'_>,
        uri: Option<&Uri>,
        raw: &Bytes,
        writes: bool,
    ) -> Result<(Uri, Exchange), Answer> {
        let mut again = true;
        loop {
            let with = self.prepare(call).await?;
            let captured = with.as_ref().map_or(nothing_captured(), |with| &with.session.captured);
            let names = Names { captured, ..*names };
            let mut wire = self
                .endpoint
                .headers(&names, writes)
                .and_then(|headers| call.wire(&names, uri, &headers, raw))
                .map_err(|Impossible(what)| impossible(&what))?;
            if let (Some(auth), Some(with)) = (&self.endpoint.auth, &with) {
                auth.sign(with, &mut wire).map_err(|failure| failure.answer())?;
            }
            let (left, asked) = (self.left()?, wire.uri.clone());
            *self.retry_after.lock() = None;
            self.client.told.iter().for_each(Told::asked);
            let exchange = self.client.exchange(wire, left).await;
            let (status, headers, body) =
                exchange.map_err(|broken| self.endpoint.classifier.broken(&broken))?;
            self.hear(&headers, &body);
            if let (Some(auth), Some(with)) = (&self.endpoint.auth, with) {
                // Turned away before anything was done: the same request once more, with another token.
                if auth.needs_new_csrf(&with, (status, &headers, &body)) && std::mem::take(&mut again) {
                    continue;
                }
                *self.session.lock() = Some(with.session);
            }
            return Ok((asked, (status, headers, body)));
        }
    }

    /// What an answer tells beside what it answers.
    fn hear(&self, headers: &HeaderMap, body: &[u8]) {
        let Some(told) = &self.client.told else { return };
        *self.retry_after.lock() = retry_after(headers);
        if !self.endpoint.signals.is_empty() {
            told.hear(&self.endpoint.signals, headers, body);
        }
    }

    /// Nobody knows what became of the posting, if `unknown`: the wait that the last answer asked for is one of the connection.
    pub(crate) fn rest(&self, unknown: bool) {
        if unknown && let (Some(told), Some(ms)) = (&self.client.told, self.retry_after.lock().take()) {
            told.rest(ms);
        }
    }

    /// What the request is signed with.
    async fn prepare(&self, call: &Call) -> Result<Option<Prepared>, Answer> {
        *self.session.lock() = None;
        let Some(auth) = &self.endpoint.auth else { return Ok(None) };
        let prepared = auth.prepare(self.client, &call.method, self.left()?).await;
        prepared.map(Some).map_err(|failure| failure.answer())
    }

    fn left(&self) -> Result<Duration, Answer> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let what = "no time was left for the request; it was not sent".to_owned();
            return Err(self.endpoint.classifier.broken(&Broken::Unsent(what)));
        }
        Ok(left)
    }

    /// Lets what the last request was signed with know what became of it. One that ended is replaced before the next
    /// attempt, which then need not wait.
    pub(crate) fn judge(&self, answer: &mut Answer) {
        let session = self.session.lock().take();
        let (Some(auth), Some(session)) = (&self.endpoint.auth, session) else { return };
        match answer {
            Answer::Applied { .. } => auth.accepted(&session),
            Answer::Again { reason, after_ms, .. } | Answer::Unfinished { reason, after_ms, .. } => {
                let expired = reason.class == ErrorClass::AuthExpired;
                if (expired || reason.class == ErrorClass::AuthDenied)
                    && auth.turned_away(&session, expired)
                    && after_ms.is_none()
                {
                    *after_ms = Some(0);
                }
            }
            Answer::Refused(reason)
            | Answer::Stuck(reason)
            | Answer::Unknown(reason)
            | Answer::Replayed(reason) => {
                let expired = reason.class == ErrorClass::AuthExpired;
                if expired || reason.class == ErrorClass::AuthDenied {
                    auth.turned_away(&session, expired);
                }
            }
        }
    }
}
