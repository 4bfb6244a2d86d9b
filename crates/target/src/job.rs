//! Writes that a system takes as jobs: what their answers say (docs/adr/0028).

pub(crate) mod meaning;
mod wait;

use std::time::Duration;

use delivery::{Answer, Class, ErrorClass};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    Endpoint, EndpointError,
    call::Call,
    classify::{Classifier, lowered, unended},
    compile::{Compiler, MAX_LAG},
    definition::{self, Request, When, Write},
    endpoint::Change,
    finder::{Check, Place, json_path},
    operation::Exchange,
    path::JsonPath,
    template::Name,
};

/// No system is asked more often.
const MIN_EVERY: Duration = Duration::from_millis(50);

/// The jobs that an operation's requests become.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    write: Option<Job>,
    update: Option<Job>,
}

/// How a write is followed that the system has taken as a job, compiled.
#[derive(Debug)]
pub(crate) struct Job {
    accepted: Vec<u16>,
    at: Place,
    earlier: Option<(When, Place)>,
    call: Call,
    every: Duration,
    done: Check,
    failed: Option<Check>,
    task: Option<(Call, Place)>,
    result: Option<Call>,
    status: Option<JsonPath>,
    within_ms: u64,
}

/// The requests about a job.
struct Calls {
    job: Call,
    task: Option<Call>,
    result: Option<Call>,
}

/// What an answer to a write says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its id; none where the answer does not say it.
    pub(crate) id: Option<String>,
    /// Whether it is the job of an earlier request with the same key: its result will be the same for every other one.
    earlier: bool,
}

/// What an answer about a job says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Done,
    Failed,
}

/// A job that has ended.
pub(crate) struct End {
    failed: bool,
    /// The answer that has its result.
    result: Exchange,
}

impl Jobs {
    /// Compiles the jobs of an operation's write and change; `looks` says whether its documents can be looked up.
    pub(crate) fn compile(
        compiler: &Compiler<'_>,
        object: &str,
        (write, update): (&Write, Option<&Write>),
        path: &str,
        (class, looks): (Class, bool),
    ) -> Result<Self, EndpointError> {
        let wrong = |what: String| compiler.wrong(format!("`job` of `{object}`: {what}"));
        let job = |write: &Write| {
            let Some(job) = &write.job else { return Ok(None) };
            check(job, &write.ok, class, looks).map_err(wrong)?;
            let calls = Calls::compile(compiler, job, path)?;
            let job = Job::compile(job, calls).map_err(wrong)?;
            job.check_names().map_err(wrong)?;
            Ok::<_, EndpointError>(Some(job))
        };
        Ok(Self { write: job(write)?, update: update.map(job).transpose()?.flatten() })
    }

    /// The job that a write becomes, or a change.
    pub(crate) fn of(&self, changes: bool) -> Option<&Job> {
        if changes { self.update.as_ref() } else { self.write.as_ref() }
    }

    /// The longest that one of them may live.
    pub(crate) fn within_ms(&self) -> u64 {
        self.write.iter().chain(&self.update).map(|job| job.within_ms).max().unwrap_or(0)
    }
}

impl Calls {
    fn compile(compiler: &Compiler<'_>, job: &definition::Job, path: &str) -> Result<Self, EndpointError> {
        let asking = |request: &Request| compiler.asking(request, path);
        Ok(Self {
            job: asking(&job.request)?,
            task: job.task.as_ref().map(|task| asking(&task.request)).transpose()?,
            result: job.result.as_ref().map(asking).transpose()?,
        })
    }
}

impl Job {
    fn compile(job: &definition::Job, calls: Calls) -> Result<Self, String> {
        let earlier = job.earlier.as_ref().map(|earlier| {
            let at = Place::parse(earlier.at.as_deref().unwrap_or(&job.at))?;
            Ok::<_, String>((lowered(&earlier.when), at))
        });
        let task_at = job.task.as_ref().map(|task| Place::parse(&task.at)).transpose()?;
        Ok(Self {
            accepted: job.accepted.clone(),
            at: Place::parse(&job.at)?,
            earlier: earlier.transpose()?,
            call: calls.job,
            every: Duration::from_millis(job.every_ms),
            done: Check::compile(&job.done)?,
            failed: job.failed.as_ref().map(Check::compile).transpose()?,
            task: calls.task.zip(task_at),
            result: calls.result,
            status: job.status.as_deref().map(json_path).transpose()?,
            within_ms: job.within_ms,
        })
    }

    /// What its requests may name: a job is asked for when nothing else of the posting is at hand any more.
    fn check_names(&self) -> Result<(), String> {
        let known = |name: &Name| matches!(name, Name::Job | Name::Reference | Name::Captured(_));
        let job = |call: &Call| call.has(&|name| *name == Name::Job);
        let task = |call: &Call| call.has(&|name| *name == Name::Task);
        let wrong = |what: &str| Err(what.to_owned());
        if self.requests().any(|(_, call)| call.has(&|name| *name != Name::Task && !known(name))) {
            return wrong(
                "its requests can name {{job}}, {{task}}, {{ref}} and what the connection and signing in give",
            );
        }
        if !job(&self.call) || self.task.as_ref().is_some_and(|(call, _)| !job(call)) {
            return wrong("`request`, and that of `task`, say {{job}}: which one is asked for");
        }
        if task(&self.call) || self.task.as_ref().is_some_and(|(call, _)| task(call)) {
            return wrong("only `result` can say {{task}}");
        }
        match (&self.task, &self.result) {
            (Some(_), None) => wrong("a `task` is there for the `result` that is asked for by it"),
            (Some(_), Some(result)) if !task(result) => {
                wrong("`result` says {{task}}, since there is a `task`")
            }
            (None, Some(result)) if task(result) => wrong("`result` says {{task}}, but there is no `task`"),
            (None, Some(result)) if !job(result) => wrong("`result` says {{job}}: whose it is"),
            _ => Ok(()),
        }
    }

    /// Its requests, in order, by name.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&'static str, &Call)> {
        let task = self.task.iter().map(|(call, _)| ("task", call));
        std::iter::once(("job", &self.call))
            .chain(task)
            .chain(self.result.iter().map(|call| ("result", call)))
    }

    /// The job that an answer to the write names, if it is one.
    pub(crate) fn taken(
        &self,
        classifier: &Classifier,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
    ) -> Option<Taken> {
        if self.accepted.contains(&status) {
            return Some(Taken { id: named(&self.at, headers, body), earlier: false });
        }
        let (when, at) = self.earlier.as_ref()?;
        let is_one = classifier.is(when, (status, headers), body);
        is_one.then(|| Taken { id: named(at, headers, body), earlier: true })
    }

    /// What an answer about it says; none if that cannot be read.
    pub(crate) fn state(&self, body: &[u8]) -> Option<State> {
        let json: Value = serde_json::from_slice(body).ok()?;
        Some(match &self.failed {
            Some(failed) if failed.holds(&json) => State::Failed,
            _ if self.done.holds(&json) => State::Done,
            _ => State::Running,
        })
    }

    /// Whether its result may say why the write was not applied: where there is a word for failed jobs, only of those.
    fn may_refuse(&self, failed: bool) -> bool {
        failed || self.failed.is_none()
    }
}

impl Endpoint {
    /// What the result of a job that has ended means for the write, or the change: the document's own id, or why not. What no rule
    /// lists is unknown, whatever its status: an answer about a job is none of the write itself.
    pub(crate) fn concluded(
        &self,
        job: &Job,
        change: Option<&Change>,
        end: &End,
        taken: &Taken,
    ) -> Result<Option<Value>, Answer> {
        let (status, headers, body) = &end.result;
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let ok = change.map_or(&self.ok, |change| &change.ok);
        if !end.failed && ok.contains(status) && !self.classifier.is_error(&json) {
            return Ok(self.id.as_ref().and_then(|place| place.value(&json, headers)));
        }
        let said = job.status.as_ref().and_then(|path| path.text(&json)?.parse().ok());
        let ruled = job.may_refuse(end.failed);
        let ruled = ruled.then(|| self.classifier.ruled((said.unwrap_or(*status), headers), body)).flatten();
        let answer = ruled.unwrap_or_else(|| {
            let how = if end.failed { "has failed" } else { "has ended" };
            let said = String::from_utf8_lossy(body);
            // Without the job's id: what is said again word for word is known to be the same for ever.
            let what = format!("the job {how}, and no rule says of its result what became of it: {said}");
            unended(ErrorClass::Unsupported, Some(*status), &what)
        });
        Err(if taken.earlier { stored(answer) } else { answer })
    }
}

/// The key stands for a job that has ended: what asks for another try, or tells nothing, would be the same then.
fn stored(answer: Answer) -> Answer {
    match answer {
        Answer::Unknown(reason) | Answer::Again { reason, .. } => Answer::Replayed(reason),
        answer => answer,
    }
}

/// Whether an answer to the question for a result is the result: one that turns the question away, or does not find what it asks for,
/// is none.
fn is_result(status: u16) -> bool {
    matches!(status, 200..=299 | 400..=499) && !matches!(status, 401 | 403 | 404 | 408 | 410 | 425 | 429)
}

/// The id at a place: of an address its last segment. Jobs are asked for at the connection's own address only, wherever an answer leads.
fn named(place: &Place, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = place.text(&json, headers)?;
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let id = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    (!id.is_empty()).then(|| id.to_owned())
}

/// What does not fit together.
fn check(job: &definition::Job, ok: &[u16], class: Class, looks: bool) -> Result<(), String> {
    let wrong = |what: &str| Err(what.to_owned());
    let within = Duration::from_millis(job.within_ms);
    if job.accepted.is_empty() {
        return wrong("`accepted` names the statuses of an answer that says that the write is a job now");
    }
    if let Some(both) = job.accepted.iter().find(|status| ok.contains(status)) {
        return Err(format!("status {both} is in `accepted` and in `ok`: is it written, or only taken?"));
    }
    if Duration::from_millis(job.every_ms) < MIN_EVERY {
        return wrong("`every` is at least 50ms");
    }
    if within > MAX_LAG {
        return wrong("a job that lives longer than an hour (`within`) is not waited for");
    }
    if within.is_zero() && looks && !matches!(class, Class::Neither(_)) {
        return wrong(
            "needs `within`, the longest that a job may live, for example 15m: a look that comes before could find nothing, and the \
             job write afterwards",
        );
    }
    match &job.earlier {
        Some(_) if !matches!(class, Class::Keyed { .. }) => {
            wrong("`earlier` is of class keyed: without a key an earlier job is not known to be ours")
        }
        Some(earlier) if earlier.when == When::default() || !earlier.when.transport.is_empty() => {
            wrong("`earlier` says in `when` what the answer looks like: its status, code, message or headers")
        }
        _ => Ok(()),
    }
}
