//! What is asked for when a system is read for changes, page by page, and what its answers say.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use http::Uri;
use serde::Deserialize;
use serde_json::Value;

use super::{Case, Sent, endpoint, headers, text};
use crate::{
    Connector, Endpoint, Page, Preview, Walk, WalkError,
    feed::{Ask, Feed, Reply},
};

/// One walk of `changes.yaml`: from a moment through pages to the end, and where the next one begins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangesCase {
    /// Its name.
    pub name: String,
    /// The document that it was taken from.
    pub source: String,
    /// The object.
    pub object: String,
    /// What the connection gives.
    #[serde(default)]
    pub conn: BTreeMap<String, String>,
    /// The moment at which the walk begins, in RFC 3339.
    pub since: String,
    /// Its pages, in order. After the last one it has come to its end.
    pub pages: Vec<PageCase>,
    /// The first request of the next walk: as far as this one has read the system, less the overlap; where it has found nothing, as this
    /// one.
    pub resumes: Sent,
}

/// A page: the request for it, the answer, and what that says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageCase {
    /// The request.
    pub expect: Sent,
    /// The status of the answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON, or a text that is sent as it is.
    pub body: Value,
    /// The records that are told, by their ids: moments in RFC 3339, in UTC.
    pub records: Vec<(Value, String)>,
    /// How far the system was read with it; absent where only a later page can say.
    pub read_to: Option<String>,
}

fn ok() -> u16 {
    200
}

impl Case for ChangesCase {
    const FILE: &'static str = "changes.yaml";

    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, connector: &Connector) -> Result<(), String> {
        if self.source.is_empty() {
            return Err("it names no source".to_owned());
        }
        let endpoint = endpoint(connector, &self.object, None, &self.conn)?;
        let none = || format!("the definition says no `changes` of `{}`", self.object);
        let feed = endpoint.feed.as_ref().ok_or_else(none)?;
        let since = micros(&self.since)?;
        let mut walk = feed.walk(since);
        let mut read_to = None;
        for (number, page) in self.pages.iter().enumerate() {
            let before = number.checked_sub(1).and_then(|before| self.pages.get(before));
            let told = page.run(&endpoint, feed, &mut walk, before);
            let told = told.map_err(|what| format!("page {}: {what}", number + 1))?;
            read_to = told.read_to.map(|place| place.modified_us).or(read_to);
        }
        if let Some(more) = endpoint.preview_page(&walk) {
            return Err(format!("the walk is not at its end: it asks {}", more?.send));
        }
        let next = feed.walk(read_to.map_or(since, |read_to| read_to.saturating_sub(feed.overlap_us())));
        let sent = endpoint.preview_page(&next).ok_or("nothing is asked for")??;
        self.resumes.is(&sent).map_err(|what| format!("the next walk: {what}"))
    }
}

impl PageCase {
    /// Takes the page; `before` is the one before it.
    fn run(
        &self,
        endpoint: &Endpoint,
        feed: &Feed,
        walk: &mut Walk,
        before: Option<&Self>,
    ) -> Result<Page, String> {
        let ask = walk.ask().ok_or("the walk is at its end already")?.clone();
        let sent = self.asked(endpoint, walk, &ask)?;
        // A page by its number is asked for again, behind the next one. Here the list has not moved.
        if let (Some(ask), Some(before)) = (walk.again().cloned(), before) {
            let again = before.asked(endpoint, walk, &ask)?;
            let reply = before.reply(endpoint, feed, &again)?;
            walk.compare(&reply).map_err(|error| error.to_string())?;
        }
        let reply = self.reply(endpoint, feed, &sent)?;
        let page = walk.take(feed, reply).map_err(|error| error.to_string())?;
        let told =
            page.changes.iter().map(|change| (change.place.id.to_string(), utc(change.place.modified_us)));
        let told: Vec<(String, String)> = told.collect();
        let said = self.records.iter().map(|(id, at)| Ok((text(id), utc(micros(at)?))));
        let said = said.collect::<Result<Vec<(String, String)>, String>>()?;
        if told != said {
            return Err(format!("it tells {told:?}, and not {said:?}"));
        }
        let read_to = page.read_to.as_ref().map(|place| utc(place.modified_us));
        let expected = self.read_to.as_deref().map(|at| micros(at).map(utc)).transpose()?;
        if read_to == expected {
            Ok(page)
        } else {
            Err(format!("it reads to {read_to:?}, and not {expected:?}"))
        }
    }

    fn asked(&self, endpoint: &Endpoint, walk: &Walk, ask: &Ask) -> Result<Preview, String> {
        let sent = endpoint.preview_ask(walk, ask).ok_or("nothing is asked for")??;
        self.expect.is(&sent)?;
        Ok(sent)
    }

    fn reply(&self, endpoint: &Endpoint, feed: &Feed, sent: &Preview) -> Result<Reply, String> {
        let (_, address) = sent.send.split_once(' ').unwrap_or_default();
        let uri = Uri::try_from(address).map_err(|error| format!("{address}: {error}"))?;
        let (headers, body) = (headers(&self.headers)?, text(&self.body));
        let reply = feed.read(&endpoint.classifier, uri, (self.status, headers, body.as_bytes()));
        reply.map_err(|answer| WalkError::from(answer).to_string())
    }
}

fn micros(moment: &str) -> Result<i64, String> {
    let parsed =
        DateTime::parse_from_rfc3339(moment).map_err(|error| format!("`{moment}` is no moment: {error}"));
    Ok(parsed?.timestamp_micros())
}

fn utc(micros: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
