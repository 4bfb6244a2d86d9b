//! One operation on one connection, compiled: what is sent; `answers` has what comes back.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use delivery::{Class, OnExisting, OnUnknown};
use event::PostingKey;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Authenticator, Misfit, auth,
    bulk::Bulk,
    call::{Call, Impossible},
    classify::Classifier,
    compile::{Compiler, OPERATION_NEEDS_LOOKUP},
    definition::{Connector, DefinitionError, KeyPlace, LookupFirst, Signal},
    each::Each,
    feed::{Feed, Walk},
    finder::{Check, Finder, Place},
    job::Jobs,
    posting::Posting,
    probe::Probe,
    references::Found,
    signals::Told,
    template::{Name, Scope as Names, Text},
};

/// What a system can do against double effects, as configuration says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassChoice {
    /// K: it honours an idempotency key.
    Keyed,
    /// U: it can be written and read by our reference.
    Upsert,
    /// N: neither.
    Neither,
}

/// Why a posting cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The connector's definition does not fit.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The connection's base URL, a value or a header does not fit.
    #[error("connection to `{connector}`: {what}")]
    Connection {
        /// The connector.
        connector: String,
        /// What does not fit.
        what: String,
    },
    /// The connection does not give what the connector asks for.
    #[error("connection to `{connector}`: {misfit}")]
    Misfit {
        /// The connector.
        connector: String,
        /// What is missing, or too much.
        misfit: Box<Misfit>,
    },
}

impl EndpointError {
    pub(crate) fn misfit(connector: &Connector, misfit: Misfit) -> Self {
        Self::Misfit { connector: connector.connector.clone(), misfit: Box::new(misfit) }
    }

    /// The stable code, see docs/errors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Definition(error) => error.code(),
            Self::Connection { .. } => "CFG-0212",
            Self::Misfit { misfit, .. } => misfit.code(),
        }
    }
}

/// One tenant's account in a system.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Where the system answers; absent means where the connector says.
    pub base_url: Option<&'a str>,
    /// What the system can do, where it is not what the connector says.
    pub class: Option<ClassChoice>,
    /// What to do about an unknown outcome at class N.
    pub on_unknown: OnUnknown,
    /// What signs in on the connection; without it requests do not show whose they are.
    pub auth: Option<&'a Arc<Authenticator>>,
    /// The values that the connector's requests name `{{conn.<value>}}`.
    pub values: &'a BTreeMap<String, String>,
}

/// A step after the write.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) call: Call,
    pub(crate) ok: Vec<u16>,
    pub(crate) done: Done,
}

/// How a look tells that a step was done.
#[derive(Debug)]
pub(crate) enum Done {
    /// By the document.
    If(Check),
    /// By the elements that are there: it is made for each of a list.
    Each(Box<Each>),
}

impl Done {
    pub(crate) fn each(&self) -> Option<&Each> {
        match self {
            Self::If(_) => None,
            Self::Each(each) => Some(each),
        }
    }
}

/// The change of a document that a look has found.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) call: Call,
    pub(crate) ok: Vec<u16>,
}

/// One operation on one object of a system, on one connection, under one class.
#[derive(Debug)]
pub struct Endpoint {
    class: Class,
    lag_ms: u64,
    on_existing: OnExisting,
    /// Set where the hash of a posting must tell more than method, address and payload do.
    fingerprint: Option<String>,
    max_reference: Option<usize>,
    reference_chars: Option<String>,
    looks_first: bool,
    repeats_harm: bool,
    /// Whether what the write answers to with ok was not there before.
    creates: bool,
    pub(crate) write: Call,
    /// How several are written at once.
    pub(crate) bulk: Option<Bulk>,
    pub(crate) ok: Vec<u16>,
    pub(crate) id: Option<Place>,
    /// What the write and the change become where the system takes them as jobs.
    pub(crate) jobs: Jobs,
    pub(crate) update: Option<Change>,
    pub(crate) steps: Vec<Step>,
    pub(crate) finder: Option<Finder>,
    /// How it is asked for what has changed.
    pub(crate) feed: Option<Feed>,
    /// How other objects are found that a payload refers to.
    pub(crate) finders: BTreeMap<String, Finder>,
    pub(crate) found: Found,
    pub(crate) auth: Option<Arc<Authenticator>>,
    /// The header that shows whose a request is.
    pub(crate) auth_header: Option<HeaderName>,
    /// What signing in brings, by name.
    pub(crate) captures: Vec<String>,
    headers: HeaderMap,
    /// Headers that name what signing in brings.
    later: Vec<(HeaderName, Text)>,
    key: Option<HeaderName>,
    event_id: Option<HeaderName>,
    source_version: Option<HeaderName>,
    pub(crate) classifier: Classifier,
    /// Where answers tell what is left of limits.
    pub(crate) signals: Vec<Signal>,
    /// Questions for what is left of them.
    pub(crate) probes: Vec<Probe>,
}

impl Endpoint {
    /// An endpoint of `connector` for `account`; `object` is `<object>` or `<object>.<operation>`.
    ///
    /// # Errors
    /// The connector has no such object or operation, cannot carry it out in this class, or a value does not fit.
    pub fn new(connector: &Connector, object: &str, account: &Account<'_>) -> Result<Self, EndpointError> {
        let compiler = Compiler::new(connector, account)?;
        let (definition, operation) = compiler.operation(object)?;
        let path = compiler.path(&definition.path);
        let finder = definition.lookup.as_ref().map(|l| compiler.finder(l, &definition.path)).transpose()?;
        let (class, write) = compiler.class(object, operation, account, finder.is_some())?;
        let on_existing = compiler.on_existing(object, operation, write, class, finder.as_ref())?;
        let steps = compiler.steps(operation, &path, class)?;
        let looks_first = operation.lookup_first == LookupFirst::Always;
        if (looks_first || !steps.is_empty()) && finder.is_none() && !matches!(class, Class::Keyed { .. }) {
            return Err(compiler.wrong(format!("`{object}` {OPERATION_NEEDS_LOOKUP}")));
        }
        let call = compiler.write(&write.request, &path, class)?;
        let bulk = compiler.bulk(object, operation, write, (class, &path))?;
        let writes = (write, operation.update.as_ref());
        let jobs = Jobs::compile(&compiler, object, writes, &path, (class, finder.is_some()))?;
        let update = operation.update.as_ref();
        let update = update.map(|u| {
            Ok::<_, EndpointError>(Change { call: compiler.call(&u.request, &path)?, ok: u.ok.clone() })
        });
        let update: Option<Change> = update.transpose()?;
        let plain = steps.is_empty() && !looks_first && !call.has_body_of_its_own();
        let keyed = matches!(class, Class::Keyed { .. });
        let replayed =
            connector.key.as_ref().filter(|_| keyed).map(|key| key.replayed.clone()).unwrap_or_default();
        let in_header = |key: &&crate::definition::Key| keyed && key.place == KeyPlace::Header;
        let (headers, later) = compiler.headers()?;
        Ok(Self {
            class,
            // A job may still write when its request's deadline is over.
            lag_ms: compiler.lag(definition.lookup.as_ref())? + jobs.within_ms(),
            on_existing,
            fingerprint: (!plain).then(|| format!("{}@{}/{object}", connector.connector, connector.revision)),
            max_reference: definition.reference.max_len,
            reference_chars: definition.reference.chars.clone(),
            looks_first,
            repeats_harm: !steps.is_empty() || class == Class::Upsert && operation.upsert.is_none(),
            creates: !operation.upsert.as_ref().is_some_and(|upsert| std::ptr::eq(upsert, write)),
            bulk,
            write: call,
            ok: write.ok.clone(),
            id: write.id.as_deref().map(Place::parse).transpose().map_err(|what| compiler.wrong(what))?,
            jobs,
            update,
            steps,
            finder,
            feed: definition.changes.as_ref().map(|c| compiler.feed(c, &path)).transpose()?,
            finders: compiler.finders()?,
            found: Found::default(),
            auth: account.auth.map(Arc::clone),
            auth_header: auth::header(&connector.auth).map(|header| compiler.header(header)).transpose()?,
            captures: auth::captures(&connector.auth).into_iter().map(str::to_owned).collect(),
            headers,
            later,
            key: connector.key.as_ref().filter(in_header).map(|k| compiler.header(&k.name)).transpose()?,
            event_id: connector.event_id.as_ref().map(|h| compiler.header(&h.header)).transpose()?,
            source_version: connector
                .source_version
                .as_ref()
                .map(|h| compiler.header(&h.header))
                .transpose()?,
            classifier: Classifier::new(&connector.errors, replayed).map_err(|what| compiler.wrong(what))?,
            signals: connector.signals.iter().filter(|signal| signal.probe.is_none()).cloned().collect(),
            probes: compiler.probes()?,
        })
    }

    /// What an answer tells of the limits of its account.
    pub fn left(&self, headers: &HeaderMap, body: &[u8]) -> Vec<delivery::Left> {
        let told = Told::default();
        told.hear(&self.signals, headers, body);
        told.take().left
    }

    /// How a posting may share a request with at most `most` in all, if it may.
    pub fn share(&self, posting: &Posting, most: u32) -> Option<delivery::Bulk> {
        self.bulk.as_ref()?.share(posting, most)
    }

    /// The most postings in a request; 1 where each has one of its own.
    pub fn most_together(&self) -> u32 {
        self.bulk.as_ref().map_or(1, Bulk::max_items)
    }

    /// Whether a posting of one and a posting of the other can share a request.
    pub fn shares_with(&self, other: &Self) -> bool {
        self.bulk.as_ref().zip(other.bulk.as_ref()).is_some_and(|(one, two)| one.is_same(two))
    }

    /// What the target can do on this route.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How long a write may take to show in a look-up once its request's deadline is over, milliseconds.
    pub fn lag_ms(&self) -> u64 {
        self.lag_ms
    }

    /// What to do with a document that says something else than the posting.
    pub fn on_existing(&self) -> OnExisting {
        self.on_existing
    }

    /// Whether a document is changed only in the version that a look has found.
    pub fn is_conditional(&self) -> bool {
        let named = |change: &Change| change.call.has(&|name| *name == Name::Version);
        self.on_existing == OnExisting::Overwrite && self.update.as_ref().is_some_and(named)
    }

    /// Whether the target can be read by our reference.
    pub fn is_readable(&self) -> bool {
        self.finder.is_some()
    }

    /// Whether it can be asked for what has changed, and how far back every round of asking begins, in microseconds.
    pub fn overlap_us(&self) -> Option<i64> {
        self.feed.as_ref().map(Feed::overlap_us)
    }

    /// A walk through what has changed since a moment, in microseconds; none where it cannot be asked.
    pub fn walk(&self, since_us: i64) -> Option<Walk> {
        self.feed.as_ref().map(|feed| feed.walk(since_us))
    }

    /// Whether a repeat of a posting does harm unless somebody has looked before: it creates, or has several steps.
    pub fn needs_own_intent(&self) -> bool {
        self.repeats_harm
    }

    /// Whether a look before each repeat is both needed and possible.
    pub(crate) fn is_harmed_by_repeats(&self) -> bool {
        self.repeats_harm && self.class == Class::Upsert
    }

    /// Whether a document is new once the write has answered that it is written.
    pub(crate) fn creates(&self) -> bool {
        self.creates
    }

    /// Whether there are lists whose elements are written one by one.
    pub(crate) fn has_lists(&self) -> bool {
        self.steps.iter().any(|step| step.done.each().is_some())
    }

    /// Takes those lists out of a payload: what is left is of the write, and of the look for the document.
    pub(crate) fn cut(&self, payload: &mut Value) {
        let Some(fields) = payload.as_object_mut() else { return };
        for each in self.steps.iter().filter_map(|step| step.done.each()) {
            fields.remove(&each.list);
        }
    }

    /// The payload without those lists, to be compared.
    pub(crate) fn head(&self, payload: &[u8]) -> Value {
        let mut head = serde_json::from_slice(payload).unwrap_or(Value::Null);
        self.cut(&mut head);
        head
    }

    pub(crate) fn method(&self) -> &Method {
        &self.write.method
    }

    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Whether an operation begins with a look.
    pub(crate) fn looks_first(&self) -> bool {
        self.looks_first
    }

    pub(crate) fn does_on_existing(&self, how: OnExisting) -> bool {
        self.on_existing == how
    }

    /// A posting of `payload` for the entity that the source calls `reference`.
    ///
    /// # Errors
    /// The target cannot hold the reference, or no address can be made of it: what is wrong.
    pub fn posting(
        &self,
        key: PostingKey,
        reference: &str,
        source_version: i64,
        payload: Bytes,
    ) -> Result<Posting, String> {
        self.check_reference(reference)?;
        let mut posting = Posting::new(key, reference, source_version, None, payload);
        if self.write.has_plain_address() {
            let names = Names::of(&posting, &Value::Null, nothing_captured());
            posting.uri = Some(self.write.uri(&names).map_err(|Impossible(what)| what)?);
        }
        Ok(posting)
    }

    /// The same posting for this endpoint: what it says stays, where it goes is made anew.
    ///
    /// # Errors
    /// As [`Endpoint::posting`].
    pub fn readdress(&self, posting: &Posting) -> Result<Posting, String> {
        self.posting(posting.key(), posting.reference(), posting.source_version(), posting.payload.clone())
    }

    fn check_reference(&self, reference: &str) -> Result<(), String> {
        if let Some(max) = self.max_reference
            && reference.chars().count() > max
        {
            return Err(format!(
                "the reference `{reference}` has more than the {max} characters that the target keeps"
            ));
        }
        let Some(allowed) = &self.reference_chars else { return Ok(()) };
        match reference.chars().find(|c| !c.is_ascii_alphanumeric() && !allowed.contains(*c)) {
            Some(odd) => {
                Err(format!("the reference `{reference}` has `{odd}`, which the target does not take"))
            }
            None => Ok(()),
        }
    }

    /// The headers of a request that writes, or of one that only looks.
    pub(crate) fn headers(&self, names: &Names<'_>, writes: bool) -> Result<HeaderMap, Impossible> {
        let mut headers = self.headers.clone();
        for (name, text) in &self.later {
            let value = HeaderValue::try_from(text.render(names)?)
                .map_err(|_| Impossible(format!("the value of header `{name}` cannot be sent")))?;
            headers.insert(name.clone(), value);
        }
        if !writes {
            return Ok(headers);
        }
        let posting = names.posting;
        let mut set = |name: &Option<HeaderName>, value: &dyn Fn() -> String| {
            if let Some(name) = name
                && let Ok(value) = HeaderValue::try_from(value())
            {
                headers.insert(name.clone(), value);
            }
        };
        set(&self.key, &|| posting.idempotency_key(names.step));
        set(&self.event_id, &|| posting.key().event.to_string());
        set(&self.source_version, &|| posting.source_version().to_string());
        Ok(headers)
    }
}

/// Before we are signed in.
pub(crate) fn nothing_captured() -> &'static BTreeMap<String, String> {
    static NOTHING: BTreeMap<String, String> = BTreeMap::new();
    &NOTHING
}

/// Whether a name is the idempotency key.
pub(crate) fn is_key(name: &Name) -> bool {
    *name == Name::Key
}
