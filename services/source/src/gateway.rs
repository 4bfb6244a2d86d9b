//! Brings events to the gateway.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use target::RecordId;

use crate::SourceError;

const ANSWER: Duration = Duration::from_secs(30);
/// The most that is kept of what it says, in characters.
const MAX_SAID: usize = 500;

/// The way to the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    http: reqwest::Client,
    url: String,
}

impl Gateway {
    pub(crate) fn new(base: &str) -> Result<Self, SourceError> {
        let http = reqwest::Client::builder().timeout(ANSWER).build();
        let http = http.map_err(|error| SourceError::Start(error.to_string()))?;
        Ok(Self { http, url: format!("{}/v1/events", base.trim_end_matches('/')) })
    }

    /// Brings events; on success the gateway has acknowledged all of them. `first` and `last` are the records that they are of.
    pub(crate) async fn bring(
        &self,
        key: &SecretString,
        events: &[Value],
        (first, last): (&RecordId, &RecordId),
    ) -> Result<(), SourceError> {
        let request = self.http.post(&self.url).bearer_auth(key.expose_secret()).json(events);
        let answer = request.send().await.map_err(|error| SourceError::Gateway(error.to_string()))?;
        let status = answer.status().as_u16();
        if status == 202 {
            return Ok(());
        }
        let said: String = answer.text().await.unwrap_or_default().chars().take(MAX_SAID).collect();
        match status {
            400 | 404 | 409 | 413 | 415 | 422 => {
                Err(SourceError::Refused { first: first.clone(), last: last.clone(), status, said })
            }
            _ => Err(SourceError::Gateway(format!("it answers {status}: {said}"))),
        }
    }
}
