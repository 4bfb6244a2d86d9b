//! What an endpoint would send and understand, without a system: for the tests of connectors, and for whoever writes one.

use std::collections::BTreeMap;

use delivery::Answer;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use crate::{
    Endpoint, Posting, Walk,
    bulk::of_all,
    call::{Call, Impossible},
    feed::Ask,
    finder::Sight,
    references,
    template::{Scope as Names, plain},
};

/// A request as it would go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// `lookup`, `write`, `update`, or the name of a step.
    pub request: String,
    /// Method and address.
    pub send: String,
    /// Its headers; what is secret shows as `***`.
    pub headers: Vec<(String, String)>,
    /// Its body, as text.
    pub body: String,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Of a look: it is there, and this is the target's own id of it.
    Found(Option<String>),
    /// Of a look: it is not there.
    Absent,
    /// Of a look: there are several.
    Several,
    /// Of anything else, and of a look that failed.
    Answer(Answer),
}

impl Endpoint {
    /// Every request of the operation for `posting`, in order: the look, the write, the change, the steps. `id` and `version` stand
    /// for what the target would answer. A reference stands as `<object>-<reference>`, since nothing is looked up, and what signing in
    /// would bring as `https://<name>.example`.
    ///
    /// # Errors
    /// A request cannot be made of the posting: what is missing.
    pub fn preview(&self, posting: &Posting, id: &str, version: &str) -> Result<Vec<Preview>, String> {
        let sent: Value = serde_json::from_slice(&posting.payload).map_err(|error| error.to_string())?;
        let mut payload = sent.clone();
        let found = references::collect(&payload)?;
        let found = found.into_iter().map(|r| (r.clone(), json!(format!("{}-{}", r.object, r.reference))));
        references::replace(&mut payload, &found.collect());
        let (id, version) = (Value::from(id), Some(version));
        let mut previews = Vec::new();
        let mut add = |request: &str, call: &Call, names: &Names<'_>, writes: bool| {
            previews.push(self.sketch(request, call, names, writes)?);
            Ok::<_, String>(())
        };
        let captured = self.would_capture();
        let names = |payload| Names::of(posting, payload, &captured);
        if let Some(finder) = &self.finder {
            add("lookup", &finder.call, &names(&sent), false)?;
        }
        add("write", &self.write, &names(&payload), true)?;
        let later = Names { id: Some(&id), version, ..names(&payload) };
        if let Some(update) = &self.update {
            add("update", &update.call, &later, true)?;
        }
        for step in &self.steps {
            add(&step.name, &step.call, &Names { step: Some(&step.name), version: None, ..later }, true)?;
        }
        Ok(previews)
    }

    /// The look for another object of the system, as a reference to it would make it: `posting` stands for that object. None if
    /// there is no such object, or it cannot be looked up.
    ///
    /// # Errors
    /// The request cannot be made: what is missing.
    pub fn preview_look(&self, object: &str, posting: &Posting) -> Option<Result<Preview, String>> {
        let finder = self.finders.get(object)?;
        let (payload, captured) = (Value::Null, self.would_capture());
        Some(self.sketch("lookup", &finder.call, &Names::of(posting, &payload, &captured), false))
    }

    /// The request for all of `postings`, as a connection that wants that would send it; none if they cannot share one.
    ///
    /// # Errors
    /// It cannot be made of them: what is missing.
    pub fn preview_together(&self, postings: &[&Posting]) -> Option<Result<Preview, String>> {
        let bulk = self.bulk.as_ref()?;
        let items = postings.iter().map(|posting| bulk.item(posting).map(|(item, _)| item));
        let items = match items.collect::<Result<Vec<Value>, _>>() {
            Ok(items) => Value::Array(items),
            Err(Impossible(what)) => return Some(Err(what)),
        };
        let (nobody, captured) = (Posting::asking(), self.would_capture());
        let names = Names { items: Some(&items), ..Names::of(&nobody, &Value::Null, &captured) };
        Some(self.sketch("bulk", &bulk.call, &names, false))
    }

    /// What the answer to that request means for each of `postings`; none if they cannot share one.
    pub fn understands_together(
        &self,
        postings: &[&Posting],
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Vec<Answer>> {
        let bulk = self.bulk.as_ref()?;
        let names = postings.iter().map(|posting| bulk.item(posting).ok().and_then(|(_, name)| name));
        let names: Vec<Option<String>> = names.collect();
        let answers = bulk.answers(&self.classifier, (status, headers, body), &names);
        Some(answers.unwrap_or_else(|answer| vec![of_all(answer); names.len()]))
    }

    /// What signing in would bring.
    fn would_capture(&self) -> BTreeMap<String, String> {
        let stand_in = |name: &String| (name.clone(), format!("https://{}.example", name.replace('_', "-")));
        self.captures.iter().map(stand_in).collect()
    }

    /// What is asked for next on a walk through what has changed; none at its end, and where it cannot be asked.
    ///
    /// # Errors
    /// The request cannot be made: what is missing.
    pub fn preview_page(&self, walk: &Walk) -> Option<Result<Preview, String>> {
        self.preview_ask(walk, walk.ask()?)
    }

    pub(crate) fn preview_ask(&self, walk: &Walk, ask: &Ask) -> Option<Result<Preview, String>> {
        let feed = self.feed.as_ref()?;
        let (nobody, captured) = (Posting::asking(), self.would_capture());
        let payload = feed.payload(walk.since_us, ask);
        let names = Names::of(&nobody, &payload, &captured);
        Some(self.sketch_at("changes", feed.call(ask), &names, (ask.link(), false)))
    }

    fn sketch(&self, request: &str, call: &Call, names: &Names<'_>, writes: bool) -> Result<Preview, String> {
        self.sketch_at(request, call, names, (None, writes))
    }

    fn sketch_at(
        &self,
        request: &str,
        call: &Call,
        names: &Names<'_>,
        (uri, writes): (Option<&Uri>, bool),
    ) -> Result<Preview, String> {
        let raw = names.payload.to_string().into();
        let wire = self.headers(names, writes).and_then(|headers| call.wire(names, uri, &headers, &raw));
        let wire = wire.map_err(|Impossible(what)| what)?;
        let value = |value: &http::HeaderValue| match value.is_sensitive() {
            true => "***".to_owned(),
            false => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        let signed = self.auth_header.iter().map(|name| (name.to_string(), "***".to_owned()));
        let headers = wire.headers.iter().map(|(name, v)| (name.to_string(), value(v)));
        Ok(Preview {
            request: request.to_owned(),
            send: format!("{} {}", wire.method, wire.uri),
            headers: headers.chain(signed).collect(),
            body: String::from_utf8_lossy(&wire.body).into_owned(),
        })
    }

    /// What an answer to one of the operation's requests means: `lookup`, `update`, the name of a step, or anything else for the
    /// write. None if the operation has no such request.
    pub fn understands(
        &self,
        request: &str,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Meaning> {
        let done = |id: Option<Value>| Answer::Applied { document: id.map(|id| plain(&id).into()) };
        Some(match request {
            "lookup" => match self.finder.as_ref()?.see(&self.classifier, status, headers, body) {
                Sight::Absent => Meaning::Absent,
                Sight::Several => Meaning::Several,
                Sight::Failed(answer) => Meaning::Answer(answer),
                Sight::Found { id, .. } => Meaning::Found(id.map(|id| plain(&id))),
            },
            "update" => {
                let change = Some(self.update.as_ref()?);
                Meaning::Answer(
                    self.written(change, status, headers, body).map_or_else(|answer| answer, done),
                )
            }
            "write" | "create" | "upsert" | "keyed" => Meaning::Answer(self.meaning(status, headers, body)),
            step => {
                let step = self.steps.iter().find(|one| one.name == step)?;
                let answer = self.stepped(step, status, headers, body).err();
                Meaning::Answer(answer.unwrap_or_else(|| done(None)))
            }
        })
    }
}
