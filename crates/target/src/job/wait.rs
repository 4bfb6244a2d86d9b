//! Asking for a job until it has ended, or the operation's deadline has come.

use std::time::{Duration, Instant};

use bytes::Bytes;
use delivery::{Answer, ErrorClass};
use serde_json::Value;

use super::{End, Job, State, is_result, named};
use crate::{
    call::Call,
    classify::unended,
    endpoint::Change,
    operation::{Exchange, Run},
    signals::retry_after,
    template::Scope as Names,
};

/// Why a question about a job brought nothing. It says nothing about the write.
struct Trouble {
    what: String,
    wait_ms: Option<u64>,
}

/// What a question about a job has brought.
struct Asked {
    /// None while it is running.
    end: Option<End>,
    wait_ms: Option<u64>,
}

impl Run<'_> {
    /// What the answer to a write, or to a change, means; of one that was taken as a job, what its result means. From the moment it is
    /// taken it may be applied, whatever becomes of the questions: they lead to no answer but unknown.
    pub(crate) async fn understand(
        &self,
        change: Option<&Change>,
        (status, headers, body): &Exchange,
    ) -> Result<Option<Value>, Answer> {
        let endpoint = self.endpoint;
        let job = endpoint.jobs.of(change.is_some());
        let taken = job.and_then(|job| {
            let taken = job.taken(&endpoint.classifier, (*status, headers, body))?;
            Some((job, taken))
        });
        let Some((job, taken)) = taken else { return endpoint.written(change, *status, headers, body) };
        self.judge(&mut Answer::Applied { document: None }); // we were let in
        let Some(id) = &taken.id else {
            let what = "the target has taken it as a job, and does not say which";
            return Err(unended(ErrorClass::Unsupported, Some(*status), what));
        };
        let first = if taken.earlier { Duration::ZERO } else { job.every };
        let end = self.wait_for(job, id, first).await?;
        endpoint.concluded(job, change, &end, &taken)
    }

    async fn wait_for(&self, job: &Job, id: &str, first: Duration) -> Result<End, Answer> {
        let (mut rest, mut seen, mut trouble) = (first, false, None);
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if rest >= left {
                return Err(not_ended(id, seen, trouble));
            }
            tokio::time::sleep(rest).await;
            let (wait_ms, what) = match self.ask_for(job, id).await {
                Ok(Asked { end: Some(end), .. }) => return Ok(end),
                Ok(Asked { wait_ms, .. }) => (wait_ms, None),
                Err(Trouble { what, wait_ms }) => (wait_ms, Some(what)),
            };
            seen |= what.is_none();
            trouble = what;
            rest = job.every.max(Duration::from_millis(wait_ms.unwrap_or(0)));
        }
    }

    /// Asks for the job and, once it has ended, for its result.
    async fn ask_for(&self, job: &Job, id: &str) -> Result<Asked, Trouble> {
        let mut names = Names { job: Some(id), ..self.names(&Value::Null, None, None) };
        let polled = self.ask_about(&job.call, &names, |status| (200..300).contains(&status)).await?;
        let wait_ms = retry_after(&polled.1);
        let failed = match job.state(&polled.2) {
            Some(State::Running) => return Ok(Asked { end: None, wait_ms }),
            Some(state) => state == State::Failed,
            None => {
                let what = "the answer about it is no JSON".to_owned();
                return Err(Trouble { what, wait_ms });
            }
        };
        let mut task = None;
        if let Some((call, at)) = &job.task {
            let (_, headers, body) =
                self.ask_about(call, &names, |status| (200..300).contains(&status)).await?;
            let missing = || Trouble { what: "the answer names no task of it".to_owned(), wait_ms: None };
            task = Some(named(at, &headers, &body).ok_or_else(missing)?);
        }
        names.task = task.as_deref();
        let result = match &job.result {
            Some(call) => self.ask_about(call, &names, is_result).await?,
            None => polled,
        };
        Ok(Asked { end: Some(End { failed, result }), wait_ms })
    }

    /// One question, with an answer of a status that counts as one.
    async fn ask_about(
        &self,
        call: &Call,
        names: &Names<'_>,
        counts: impl Fn(u16) -> bool,
    ) -> Result<Exchange, Trouble> {
        // One that is never answered leaves time for another one.
        let patience = self.deadline.saturating_duration_since(Instant::now()) / 2;
        let nothing = Bytes::new();
        let asked = self.exchange_at(call, names, None, &nothing, false);
        let asked = tokio::time::timeout(patience, asked).await.map_err(|_| Trouble {
            what: format!("no answer within {:.0} ms", patience.as_secs_f64() * 1_000.0),
            wait_ms: None,
        })?;
        let (_, exchange) = asked.map_err(|answer| Trouble { what: text(&answer), wait_ms: None })?;
        let (status, headers, body) = &exchange;
        if counts(*status) {
            *self.retry_after.lock() = None; // a wait of this job, not of the connection
            return Ok(exchange);
        }
        let mut answer = self.endpoint.classifier.classify(*status, headers, body);
        self.judge(&mut answer); // turned away: the next question goes out with another token
        Err(Trouble { what: text(&answer), wait_ms: retry_after(headers) })
    }
}

/// The time is over; `seen` says that it could be read at least once.
fn not_ended(id: &str, seen: bool, trouble: Option<String>) -> Answer {
    let what = match (seen, trouble) {
        (_, None) => format!("job {id} was still running when the time was over"),
        (true, Some(last)) => {
            format!("job {id} was still running when it was last read; the last question: {last}")
        }
        (false, Some(last)) => format!("job {id} could not be read before the time was over: {last}"),
    };
    unended(ErrorClass::InFlight, None, &what)
}

/// What an answer says.
fn text(answer: &Answer) -> String {
    match answer {
        Answer::Applied { .. } => "a rule calls the answer applied".to_owned(),
        Answer::Refused(reason)
        | Answer::Stuck(reason)
        | Answer::Unknown(reason)
        | Answer::Replayed(reason)
        | Answer::Again { reason, .. }
        | Answer::Unfinished { reason, .. } => match reason.status {
            Some(status) => format!("{status}: {}", reason.message),
            None => reason.message.to_string(),
        },
    }
}
