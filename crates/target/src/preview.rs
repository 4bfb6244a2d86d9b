//! What an endpoint would send and understand, without a system: for the tests of connectors, and for whoever writes one.

use std::collections::BTreeMap;

use bytes::Bytes;
use delivery::Answer;
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use crate::{
    Endpoint, Posting, Walk,
    bulk::of_all,
    call::{Call, Impossible},
    each::Each,
    endpoint::Step,
    feed::Ask,
    finder::Sight,
    operation::{Exchange, change_of},
    references,
    template::{Scope as Names, plain},
};

/// A request as it would go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// `lookup`, `write`, `update`, or the name of a step; of a write that becomes a job `job`, `task`, `result`.
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
    /// Of a write: it is a job now, or was one already, and this is its id.
    Job(Option<String>),
    /// Of a question about a job: it is under way.
    Running,
    /// It has ended; where there is a word for failed ones, well.
    Done,
    /// It has failed.
    Failed,
    /// It could not be read, and is asked for again.
    Unread,
    /// Of anything else, and of a look that failed.
    Answer(Answer),
}

impl Endpoint {
    /// Every request of the operation for `posting`, in order: the look, the write, the change, the steps, and behind a write or change
    /// that becomes a job what is asked about it. `id` and `version` stand for what the target would answer, `JOB-1` and `TASK-1` for a job. A reference stands as `<object>-<reference>`, since nothing is looked up, and what signing in
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
        let mut head = payload.clone();
        self.cut(&mut head);
        let (id, version) = (Value::from(id), Some(version));
        let captured = self.would_capture();
        let names = |payload| Names::of(posting, payload, &captured);
        let mut previews = Vec::new();
        if let Some(finder) = &self.finder {
            previews.push(self.sketch("lookup", &finder.call, &names(&sent), false)?);
        }
        previews.push(self.sketch("write", &self.write, &names(&head), true)?);
        let nothing = Value::Null;
        let about_job = Names { job: Some("JOB-1"), task: Some("TASK-1"), ..names(&nothing) };
        for (name, call) in self.jobs.of(false).iter().flat_map(|job| job.requests()) {
            previews.push(self.sketch(name, call, &about_job, false)?);
        }
        if let Some(update) = &self.update {
            let later = Names { id: Some(&id), version, step: change_of(self.class()), ..names(&head) };
            previews.push(self.sketch("update", &update.call, &later, true)?);
            for (name, call) in self.jobs.of(true).iter().flat_map(|job| job.requests()) {
                previews.push(self.sketch(name, call, &about_job, false)?);
            }
        }
        for step in &self.steps {
            let names = Names { id: Some(&id), step: Some(&step.name), ..names(&payload) };
            match step.done.each() {
                None => previews.push(self.sketch(&step.name, &step.call, &names, true)?),
                Some(each) => previews.extend(self.sketch_each((step, each), &names)?),
            }
        }
        Ok(previews)
    }

    /// The requests of a step for each element: the look for them, the writes, the change of the first and the removal of one.
    fn sketch_each(&self, (step, each): (&Step, &Each), names: &Names<'_>) -> Result<Vec<Preview>, String> {
        let elements = each.elements(names.payload)?;
        let mut previews = Vec::new();
        if let Some(look) = &each.look {
            previews.push(self.sketch(&format!("{}.found", step.name), look, names, false)?);
        }
        for (at, chunk) in elements.chunks(each.at_once).enumerate() {
            let items = chunk.iter().map(|element| each.item(names, element));
            let items = items.collect::<Result<Value, _>>().map_err(|Impossible(what)| what)?;
            let key = format!("{}-{}", step.name, at * each.at_once + 1);
            let names = Names { step: Some(&key), each: chunk.first(), items: Some(&items), ..*names };
            previews.push(self.sketch(&step.name, &step.call, &names, true)?);
        }
        if let Some(((call, _), first)) = each.change.as_ref().zip(elements.first()) {
            let names = Names { each: Some(first), ..*names };
            previews.push(self.sketch(&format!("{}.change", step.name), call, &names, true)?);
        }
        if let Some((call, _)) = &each.remove {
            previews.push(self.sketch(&format!("{}.remove", step.name), call, names, true)?);
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
        let items = postings.iter().map(|posting| bulk.item(self, posting).map(|(item, _)| item));
        let whole = match items.collect::<Result<Vec<_>, _>>() {
            Ok(items) => bulk.whole(items),
            Err(Impossible(what)) => return Some(Err(what)),
        };
        let (nobody, captured) = (Posting::asking(), self.would_capture());
        let names = Names { items: Some(&whole.items), ..Names::of(&nobody, &Value::Null, &captured) };
        Some(self.draw("bulk", &whole.call, (&names, &whole.raw), (None, false)))
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
        let names = postings.iter().map(|posting| bulk.item(self, posting).ok().and_then(|(_, name)| name));
        let names: Vec<Option<String>> = names.collect();
        let answers = bulk.answers(self, (status, headers, body), &names);
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
        let raw = payload.to_string().into();
        Some(self.draw("changes", feed.call(ask), (&names, &raw), (ask.link(), false)))
    }

    fn sketch(&self, request: &str, call: &Call, names: &Names<'_>, writes: bool) -> Result<Preview, String> {
        self.draw(request, call, (names, &names.payload.to_string().into()), (None, writes))
    }

    fn draw(
        &self,
        request: &str,
        call: &Call,
        (names, raw): (&Names<'_>, &Bytes),
        (uri, writes): (Option<&Uri>, bool),
    ) -> Result<Preview, String> {
        let wire = self.headers(names, writes).and_then(|headers| call.wire(names, uri, &headers, raw));
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

    /// What an answer to one of the operation's requests means: `lookup`, `update`, the name of a step, `job`, `result`,
    /// `failed_result`, or another word for the write. None if the operation has no such request.
    pub fn understands(
        &self,
        request: &str,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Meaning> {
        if let Some(meaning) = self.understands_job(request, (status, headers, body)) {
            return Some(meaning);
        }
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
            step => self.understands_step(step, (status, headers.clone(), Bytes::copy_from_slice(body)))?,
        })
    }

    /// The same of a step, and of the other requests of one that is made for each element: `<step>.found`, `.change`, `.remove`.
    fn understands_step(&self, request: &str, exchange: Exchange) -> Option<Meaning> {
        let (name, of) = request.split_once('.').unwrap_or((request, ""));
        let step = self.steps.iter().find(|one| one.name == name)?;
        let (status, headers, body) = &exchange;
        let plainly = |ok: &[u16]| self.is_ok(ok, *status, headers, body);
        let result = match (of, step.done.each()) {
            ("", None) => plainly(&step.ok),
            ("", Some(each)) => {
                let json = serde_json::from_slice(body).unwrap_or(Value::Null);
                let said = each.answers.as_ref().and_then(|list| list.items(&json)).map_or(1, Vec::len);
                self.stepped_for(step, each, &exchange, said)
            }
            ("found", Some(each)) => match each.see(&self.classifier, (*status, headers, body)) {
                Ok(there) if there.is_empty() => return Some(Meaning::Absent),
                Ok(_) => return Some(Meaning::Found(None)),
                Err(answer) => Err(answer),
            },
            ("change", Some(each)) => plainly(&each.change.as_ref()?.1),
            ("remove", Some(each)) => plainly(&each.remove.as_ref()?.1),
            _ => return None,
        };
        Some(Meaning::Answer(result.err().unwrap_or(Answer::Applied { document: None })))
    }
}
