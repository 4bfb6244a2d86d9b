//! What single answers about jobs mean, for the tests of connectors.

use http::HeaderMap;

use super::{End, Job, State, Taken};
use crate::{Endpoint, Meaning, definition, endpoint::Change, template::plain};

/// Requests of a case that are about a job.
pub(crate) const ABOUT_JOBS: [&str; 3] = ["job", "result", "failed_result"];

impl Endpoint {
    /// What an answer to a request that is named `job`, `result`, or `failed_result` (the result of a job that has failed) means, or one
    /// to a write or change that takes it as a job. None where the answer or the request has nothing to do with one.
    pub(crate) fn understands_job(
        &self,
        request: &str,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
    ) -> Option<Meaning> {
        let change = (request == "update").then_some(self.update.as_ref()).flatten();
        let job = self.jobs.of(change.is_some())?;
        match request {
            "job" => Some(match job.state(body).filter(|_| (200..300).contains(&status)) {
                Some(State::Running) => Meaning::Running,
                Some(State::Done) => Meaning::Done,
                Some(State::Failed) => Meaning::Failed,
                None => Meaning::Unread,
            }),
            "result" | "failed_result" => {
                let end = End {
                    failed: request != "result",
                    result: (status, headers.clone(), body.to_vec().into()),
                };
                Some(self.result_means(job, change, &end))
            }
            "write" | "create" | "upsert" | "keyed" | "update" => {
                let taken = job.taken(&self.classifier, (status, headers, body));
                taken.map(|taken| Meaning::Job(taken.id))
            }
            _ => None,
        }
    }

    fn result_means(&self, job: &Job, change: Option<&Change>, end: &End) -> Meaning {
        if !super::is_result(end.result.0) {
            return Meaning::Unread;
        }
        let taken = Taken { id: None, earlier: false };
        let document = |id: serde_json::Value| plain(&id).into();
        Meaning::Answer(match self.concluded(job, change, end, &taken) {
            Ok(id) => delivery::Answer::Applied { document: id.map(document) },
            Err(answer) => answer,
        })
    }
}

/// Whether an operation is followed as a job where it is written under a key.
pub(crate) fn is_keyed_job(operation: &definition::Operation) -> bool {
    operation.keyed.as_ref().is_some_and(|write| write.job.is_some())
}
