//! One account: its documents, its protection against repeats, its faults and its oracle, behind one short lock.

mod bulk;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    answer::Answer,
    collection::Collection,
    effects::{Effect, Effects},
    faults::{Faults, Verdict},
    keys::{Keys, Seen},
    log::{Fate, Log},
    recent::Recent,
    refusal::Refusal,
    report::{AccountSummary, Requests, Totals},
    settings::{Change, Idempotency, Settings},
    shelf::{Content, Shelf},
    write::{Verb, Write},
};

pub(crate) use bulk::Body;

/// Changes an account takes before it refuses more; bounds its memory.
const MAX_EFFECTS: u64 = 5_000_000;
/// Writes with a delay an account works on at once.
const MAX_PENDING: u64 = 20_000;

/// What becomes of a request, before its body is read.
pub(crate) enum Admission {
    /// Go on after this delay.
    Admitted(Duration),
    Refused(Refusal),
    HangUp,
}

/// What becomes of a write.
pub(crate) enum Step {
    /// It is done.
    Done(Reply),
    /// Carry it out after a delay, then answer.
    Later(Duration, Box<Write>, Verdict),
}

/// The end of a request.
pub(crate) enum Reply {
    Answer {
        answer: Answer,
        replayed: bool,
    },
    /// Applied, or about to be: close the connection without an answer.
    HangUp,
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        Self::Answer { answer: refusal.into(), replayed: false }
    }
}

pub(crate) struct Account {
    pub(crate) name: Box<str>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    token: Option<SecretString>,
    faults: Faults,
    keys: Keys,
    pub(crate) shelves: BTreeMap<Collection, Shelf>,
    pub(crate) effects: Effects,
    pub(crate) requests: Requests,
    pub(crate) recent: Recent,
    pub(crate) log: Log,
    pending: u64,
}

impl Account {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), state: Mutex::default() }
    }

    /// The account's state. Never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the settings, and answers with all of them.
    pub(crate) fn change(&self, mut change: Change) -> Result<Settings, Refusal> {
        change.check()?;
        let mut state = self.lock();
        if let Some(token) = change.take_token() {
            state.settings.token_required = token.is_some();
            state.token = token;
        }
        if let Some(seed) = change.seed {
            state.faults.seed(seed);
        }
        state.settings.change(&change);
        Ok(state.settings.clone())
    }

    /// Counts a request and decides whether it gets in.
    pub(crate) fn admit(&self, write: bool, bearer: Option<&str>) -> Admission {
        let mut state = self.lock();
        state.requests.requests += 1;
        let kind = if write { &mut state.requests.writes } else { &mut state.requests.reads };
        *kind += 1;
        if state.settings.down {
            state.requests.hung_up += 1;
            return Admission::HangUp;
        }
        if let Some(token) = &state.token {
            let presented = bearer.unwrap_or_default().as_bytes();
            if !bool::from(token.expose_secret().as_bytes().ct_eq(presented)) {
                return Admission::Refused(state.refuse(Refusal::Unauthorized));
            }
        }
        let limit = state.settings.throttle_per_second;
        if !state.faults.within(limit, Instant::now()) {
            return Admission::Refused(state.refuse(Refusal::Throttled(limit)));
        }
        let State { settings, faults, .. } = &mut *state;
        Admission::Admitted(faults.delay(settings))
    }

    /// The requests that the account has in a second, and how many are left of this one; none where it has no limit.
    pub(crate) fn allowance(&self) -> Option<(u32, u32)> {
        let state = self.lock();
        let limit = state.settings.throttle_per_second;
        state.faults.left(limit, Instant::now()).map(|left| (limit, left))
    }

    /// Counts a request that was refused before it reached the state.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Reply {
        self.lock().requests.count(refusal);
        refusal.into()
    }

    /// Takes a write on. Without a delay it is carried out at once, under the same lock.
    pub(crate) fn begin(&self, mut write: Write, delay: Duration) -> Step {
        let mut state = self.lock();
        if state.settings.log_requests {
            write.logged = state.log.write(&write);
        }
        match state.begin_key(&write) {
            Ok(None) => {}
            Ok(Some(answer)) => {
                state.requests.replayed += 1;
                state.log.ended(write.logged, Fate::Replayed);
                return Step::Done(Reply::Answer { answer, replayed: true });
            }
            Err(refusal) => {
                state.log.ended(write.logged, Fate::Refused);
                return Step::Done((&state.refuse(refusal)).into());
            }
        }
        let State { settings, faults, .. } = &mut *state;
        let verdict = faults.verdict(settings);
        if delay.is_zero() && !matches!(verdict, Verdict::ApplyLate(_)) {
            return Step::Done(state.carry_out(&self.name, write, verdict));
        }
        if state.pending >= MAX_PENDING {
            state.release_key(&write);
            state.log.ended(write.logged, Fate::Refused);
            return Step::Done((&state.refuse(Refusal::Busy)).into());
        }
        state.pending += 1;
        state.requests.answers_dropped += u64::from(matches!(verdict, Verdict::ApplyLate(_)));
        Step::Later(delay, Box::new(write), verdict)
    }

    /// Carries out a write that had to wait.
    pub(crate) fn complete(&self, write: Write, verdict: Verdict) -> Reply {
        let mut state = self.lock();
        state.pending -= 1;
        state.carry_out(&self.name, write, verdict)
    }

    /// The oracle's sums.
    pub(crate) fn summary(&self) -> AccountSummary {
        let state = self.lock();
        let sums = state.effects.sums();
        let collections: BTreeMap<_, _> =
            state.shelves.iter().map(|(collection, shelf)| (*collection, shelf.len() as u64)).collect();
        let totals = Totals {
            documents: collections.values().sum(),
            effects: sums.effects,
            created: sums.created,
            updated: sums.updated,
            requests: state.requests.requests,
            duplicates: sums.duplicates,
            duplicate_effects: sums.duplicate_effects,
            duplicate_documents: sums.duplicate_documents,
            out_of_order: sums.out_of_order,
            pending: state.pending,
        };
        AccountSummary { idempotency: state.settings.idempotency, totals, collections }
    }
}

impl State {
    fn refuse(&mut self, refusal: Refusal) -> Refusal {
        self.requests.count(&refusal);
        refusal
    }

    /// The stored answer, if the write's key has one.
    fn begin_key(&mut self, write: &Write) -> Result<Option<Answer>, Refusal> {
        let Some(key) = self.key_of(write) else { return Ok(None) };
        let window = Duration::from_millis(self.settings.key_window_ms);
        match self.keys.begin(key, write.fingerprint, Instant::now(), window)? {
            Seen::New => Ok(None),
            Seen::Answered(answer) => Ok(Some(answer)),
        }
    }

    fn key_of<'a>(&self, write: &'a Write) -> Option<&'a Arc<str>> {
        write.key.as_ref().filter(|_| self.settings.idempotency == Idempotency::Key)
    }

    fn release_key(&mut self, write: &Write) {
        if let Some(key) = &write.key {
            self.keys.release(key);
        }
    }

    fn carry_out(&mut self, account: &str, write: Write, verdict: Verdict) -> Reply {
        let (key, logged) = (write.key.clone(), write.logged);
        let result = match verdict {
            Verdict::Fail if self.settings.fail_status == 500 => Err(Refusal::Internal),
            Verdict::Fail => Err(Refusal::Unavailable),
            Verdict::Apply | Verdict::ApplyLate(_) => self.apply(account, write),
        };
        let stored = match &result {
            Ok(answer) => Some(answer.clone()),
            Err(refusal @ (Refusal::Unavailable | Refusal::Internal)) if self.settings.store_failures => {
                Some(refusal.into())
            }
            Err(_) => None,
        };
        if let Some(key) = &key {
            match stored {
                Some(answer) => self.keys.finish(key, answer),
                None => self.keys.release(key),
            }
        }
        let applied = result.is_ok();
        let reply = self.reply(result, verdict);
        self.log.ended(logged, Fate::of(applied, &reply));
        reply
    }

    fn reply(&mut self, result: Result<Answer, Refusal>, verdict: Verdict) -> Reply {
        // A late application's connection is gone already, whatever came of it.
        if matches!(verdict, Verdict::ApplyLate(_)) {
            return Reply::HangUp;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(refusal) => return (&self.refuse(refusal)).into(),
        };
        // With late application the dice were thrown before the write was taken on.
        if self.settings.apply_late_ms == 0 && self.faults.drops_answer(&mut self.settings) {
            self.requests.answers_dropped += 1;
            return Reply::HangUp;
        }
        Reply::Answer { answer, replayed: false }
    }

    fn apply(&mut self, account: &str, write: Write) -> Result<Answer, Refusal> {
        self.check(&write)?;
        let Write { collection, verb, external_id, data, key, event_id, source_version, .. } = write;
        let shelf = self.shelves.entry(collection).or_default();
        let content = Content { event_id: event_id.clone(), source_version, data };
        let change = match verb {
            Verb::Create => shelf.create(collection, &external_id, content),
            Verb::Upsert { .. } => shelf.upsert(collection, &external_id, content),
        };
        self.recent.note(collection, change.index);
        let document = shelf.at(change.index);
        self.effects.record(&Effect {
            collection,
            external_id: &external_id,
            document_id: &document.id,
            created: change.created,
            event_id: event_id.as_ref(),
            source_version,
            key: key.as_ref(),
        });
        Ok(Answer::written(account, collection, &document.id, &external_id, document.version, change.created))
    }

    fn check(&self, write: &Write) -> Result<(), Refusal> {
        if self.effects.sums().effects >= MAX_EFFECTS {
            return Err(Refusal::Full);
        }
        if self.settings.strict_references
            && write.collection.refers_to_customer()
            && let Some(customer) = &write.customer_id
            && !self.shelves.get(&Collection::Customers).is_some_and(|customers| customers.holds(customer))
        {
            return Err(Refusal::MissingReference(customer.clone()));
        }
        let closed = &self.settings.books_closed_before;
        // Dates of this form sort as text.
        if write.collection == Collection::Invoices && write.issued_on.as_ref().is_some_and(|on| on < closed)
        {
            return Err(Refusal::ClosedPeriod(closed.clone()));
        }
        let existing =
            self.shelves.get(&write.collection).and_then(|shelf| shelf.by_external_id(&write.external_id));
        match (&write.verb, existing) {
            (Verb::Create, Some(document)) if self.settings.idempotency == Idempotency::Upsert => {
                let external_id = write.external_id.to_string();
                Err(Refusal::Duplicate { external_id, document: document.id.to_string() })
            }
            (Verb::Upsert { condition }, existing) if !condition.holds(existing.map(|d| d.version)) => {
                Err(Refusal::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }
}

impl Requests {
    pub(crate) fn count(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Throttled(_) => self.throttled += 1,
            Refusal::Unavailable | Refusal::Internal => self.failed += 1,
            refusal if refusal.status().is_client_error() => self.refused += 1,
            _ => {}
        }
    }
}
