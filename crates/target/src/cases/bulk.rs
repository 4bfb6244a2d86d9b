//! What goes out for several postings, and what the answer says of each.

use std::collections::BTreeMap;

use delivery::Answer;
use serde::Deserialize;
use serde_json::Value;

use super::{Case, Means, Sent, SentPart, endpoint, headers, key, text};
use crate::{Connector, Endpoint, Meaning, Posting};

/// One request of `bulk.yaml`, for several postings, and answers to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkCase {
    /// Its name.
    pub name: String,
    /// The document that it was taken from.
    pub source: String,
    /// The object.
    pub object: String,
    /// What the connection gives.
    #[serde(default)]
    pub conn: BTreeMap<String, String>,
    /// Our reference of each posting.
    pub references: Vec<String>,
    /// What each posting posts.
    pub payloads: Vec<Value>,
    /// `KEY-0` stands for the key of the first posting.
    pub expect: Sent,
    /// The requests in its body, in order, where that is a multipart one; a list in the place of one is a change set.
    #[serde(default)]
    pub parts: Vec<SentPart>,
    /// What may be answered.
    pub answers: Vec<BulkAnswer>,
}

/// An answer to a request for several postings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkAnswer {
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: u16,
    /// Its headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON, or a text that is sent as it is; `KEY-0` stands for the key of the first posting.
    pub body: Value,
    /// One for each posting.
    pub means: Vec<Means>,
}

impl Case for BulkCase {
    const FILE: &'static str = "bulk.yaml";

    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, connector: &Connector) -> Result<(), String> {
        if self.source.is_empty() {
            return Err("it names no source".to_owned());
        }
        let (endpoint, postings) = self.postings(connector)?;
        let postings: Vec<&Posting> = postings.iter().collect();
        let apart = || format!("postings of `{}` share no request", self.object);
        let sent = endpoint.preview_together(&postings).ok_or_else(apart)??;
        if sent.send != self.expect.send {
            return Err(format!("it sends {}, and not {}", sent.send, self.expect.send));
        }
        with_keys(&self.expect, postings.len()).fits(&sent)?;
        if !self.parts.is_empty() {
            SentPart::fit(&self.parts, &sent, &|part| with_keys(part, postings.len()))?;
        }
        self.answers.iter().try_for_each(|answer| answer.run(&endpoint, &postings))
    }
}

impl BulkCase {
    fn postings(&self, connector: &Connector) -> Result<(Endpoint, Vec<Posting>), String> {
        let endpoint = endpoint(connector, &self.object, None, &self.conn)?;
        let postings = self.references.iter().zip(&self.payloads).zip(0..);
        let postings = postings
            .map(|((reference, payload), event)| {
                endpoint.posting(key(event), reference, 3, payload.to_string().into())
            })
            .collect::<Result<_, String>>()?;
        Ok((endpoint, postings))
    }

    /// What the definition makes of all its answers, for each posting.
    ///
    /// # Errors
    /// There is no such object, or nothing can be made of a payload.
    pub fn understood(&self, connector: &Connector) -> Result<Vec<Answer>, String> {
        let (endpoint, postings) = self.postings(connector)?;
        let postings: Vec<&Posting> = postings.iter().collect();
        let all = self.answers.iter().map(|answer| answer.understood(&endpoint, &postings));
        Ok(all.collect::<Result<Vec<_>, _>>()?.concat())
    }
}

impl BulkAnswer {
    /// What the definition makes of it for each posting; nothing where postings share no request.
    fn understood(&self, endpoint: &Endpoint, postings: &[&Posting]) -> Result<Vec<Answer>, String> {
        let (body, headers) = (named(&self.body, postings.len()), headers(&self.headers)?);
        let means = endpoint.understands_together(postings, self.status, &headers, body.as_bytes());
        Ok(means.unwrap_or_default())
    }

    fn run(&self, endpoint: &Endpoint, postings: &[&Posting]) -> Result<(), String> {
        let means = self.understood(endpoint, postings)?.into_iter();
        let said = means.map(|one| Means { code: None, ..Means::of(Meaning::Answer(one)) });
        let said: Vec<Means> = said.collect();
        if said == self.means {
            return Ok(());
        }
        Err(format!("{}: it means {said:?}, and not {:?}", self.name, self.means))
    }
}

/// What is expected, with the keys of the postings in their places.
fn with_keys(sent: &Sent, postings: usize) -> Sent {
    let body = sent.body.as_ref().map(|body| named(body, postings));
    let body = body.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
    let header = |(name, value): (&String, &String)| (name.clone(), keyed(value.clone(), postings));
    Sent {
        send: keyed(sent.send.clone(), postings),
        headers: sent.headers.iter().map(header).collect(),
        body,
    }
}

/// A body with the keys of the postings in their places.
fn named(body: &Value, postings: usize) -> String {
    keyed(text(body), postings)
}

fn keyed(text: String, postings: usize) -> String {
    (0..postings as u128).fold(text, |text, event| {
        text.replace(&format!("KEY-{event}"), &key(event).idempotency_key().to_string())
    })
}
