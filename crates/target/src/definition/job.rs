//! Writes that a system takes as jobs.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Condition, Request, When,
    value::{DurationText, duration_ms},
};

/// A write that the system takes as a job: it is asked for until it has ended, and its result says what became of the document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The statuses of an answer that says that the write is a job now.
    #[serde(default = "accepted")]
    pub accepted: Vec<u16>,
    /// Where that answer says which: `header.Location`, or `$.id`. Of an address its last segment is the job's id.
    pub at: String,
    /// How an answer looks that names the job of an earlier request with the same key: class keyed goes on with that one.
    pub earlier: Option<EarlierJob>,
    /// How the job is asked for; `{{job}}` is its id.
    pub request: Request,
    /// How long it is left alone between two questions; an answer's `Retry-After` counts where it is longer.
    #[serde(default = "second", deserialize_with = "duration_ms", rename = "every")]
    #[schemars(with = "DurationText")]
    pub every_ms: u64,
    /// How the answer says that it has ended; with `failed`, that it has done what was asked.
    pub done: Condition,
    /// How the answer says that it has failed. Absent: only the result tells.
    pub failed: Option<Condition>,
    /// A part of the job that has a result of its own, where the result is asked for by it.
    pub task: Option<JobTask>,
    /// How the result is asked for; its answer is read like the one to a write. Absent: the last answer about the job is the result.
    pub result: Option<Request>,
    /// Where the result says the status that error rules see; absent means that of the answer.
    pub status: Option<String>,
    /// The longest that a job may live once it was taken. A look is not believed before.
    #[serde(default, deserialize_with = "duration_ms", rename = "within")]
    #[schemars(with = "DurationText")]
    pub within_ms: u64,
}

/// How an answer looks that names an earlier job.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlierJob {
    /// What it says, as in an error rule.
    pub when: When,
    /// Where it names the job; absent means where a new one is named.
    pub at: Option<String>,
}

/// The part of a job that has the result.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobTask {
    /// How it is asked for; `{{job}}` is the job's id.
    pub request: Request,
    /// Where the answer names it; `{{task}}` in `result` stands for it. Of an address its last segment counts.
    pub at: String,
}

fn accepted() -> Vec<u16> {
    vec![202]
}

fn second() -> u64 {
    1_000
}
