//! Which form a request's body has, and the events in it.

use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::{Draft, Wrong, binary_event, draft};
use crate::problem::{Problem, codes};

/// The media types that the gateway reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`: one event, an array, or `{"events": […]}`.
    Json,
    /// `application/json` with `ce-specversion`: one CloudEvent in binary mode.
    CloudBinary,
    /// `application/cloudevents+json`.
    Cloud,
    /// `application/cloudevents-batch+json`.
    CloudBatch,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Canonical event JSON.
    Canonical,
    /// A structured CloudEvent.
    Cloud,
}

/// The events of one request.
#[derive(Debug)]
pub struct Incoming {
    /// The events, unread.
    pub events: Vec<Value>,
    /// How each of them is written.
    pub form: Form,
}

impl MediaType {
    /// The media type that `headers` announce.
    ///
    /// # Errors
    /// [`codes::MEDIA_TYPE`] where it is none of these, or the body is compressed.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !matches!(text(header::CONTENT_ENCODING), "" | "identity") {
            return Err(Problem::new(codes::MEDIA_TYPE, "compressed bodies are not supported"));
        }
        let announced = text(header::CONTENT_TYPE);
        let (media, parameters) = announced.split_once(';').unwrap_or((announced, ""));
        let charset = parameters.to_ascii_lowercase();
        if charset.contains("charset") && !charset.contains("utf-8") {
            return Err(Problem::new(codes::MEDIA_TYPE, "the body must be in UTF-8"));
        }
        match media.trim().to_ascii_lowercase().as_str() {
            "application/json" if headers.contains_key("ce-specversion") => Ok(Self::CloudBinary),
            "application/json" => Ok(Self::Json),
            "application/cloudevents+json" => Ok(Self::Cloud),
            "application/cloudevents-batch+json" => Ok(Self::CloudBatch),
            _ => Err(Problem::new(
                codes::MEDIA_TYPE,
                "use application/json, application/cloudevents+json or application/cloudevents-batch+json",
            )),
        }
    }
}

impl Incoming {
    /// Takes the body apart; at least one event.
    ///
    /// # Errors
    /// [`codes::MALFORMED`] where the body is not JSON or not of the announced form.
    pub fn parse(media: MediaType, headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::new(codes::MALFORMED, format!("the body is not JSON: {error}")))?;
        let (events, form) = match (media, value) {
            (MediaType::Json, Value::Array(events)) => (events, Form::Canonical),
            (MediaType::Json, value) => (unwrap_events(value)?, Form::Canonical),
            (MediaType::Cloud, value) => (vec![value], Form::Cloud),
            (MediaType::CloudBatch, Value::Array(events)) => (events, Form::Cloud),
            (MediaType::CloudBatch, _) => {
                return Err(Problem::new(codes::MALFORMED, "a batch of CloudEvents must be an array"));
            }
            (MediaType::CloudBinary, data) => (vec![binary(headers, data)?], Form::Cloud),
        };
        if events.is_empty() {
            return Err(Problem::new(codes::MALFORMED, "the body holds no event"));
        }
        Ok(Self { events, form })
    }

    /// Reads event `index`; its object is not checked yet.
    ///
    /// # Errors
    /// Everything that is wrong outside of its object.
    pub fn draft(&self, index: usize) -> Result<Draft<'_>, Wrong> {
        let event = &self.events[index];
        let mut read = match self.form {
            Form::Canonical => Draft::read(event, None),
            Form::Cloud => Draft::read_cloud(event),
        };
        if let Err(wrong) = &mut read {
            wrong.iter_mut().for_each(|error| error.index = index);
        }
        read
    }

    /// The type and the object of event `index`, where at least those can be read.
    pub fn salvage(&self, index: usize) -> Option<(event::EventType, &Value)> {
        draft::salvage(&self.events[index])
    }
}

/// The events of `{"events": […]}`, or the one event that an object is.
fn unwrap_events(value: Value) -> Result<Vec<Value>, Problem> {
    let Value::Object(mut fields) = value else {
        return Err(Problem::new(
            codes::MALFORMED,
            "the body must be an event, an array of events, or {\"events\": […]}",
        ));
    };
    if fields.contains_key("type") || !fields.contains_key("events") {
        return Ok(vec![Value::Object(fields)]);
    }
    match fields.remove("events") {
        Some(Value::Array(events)) if fields.is_empty() => Ok(events),
        Some(Value::Array(_)) => {
            Err(Problem::new(codes::MALFORMED, "beside `events` there may be no other field"))
        }
        _ => Err(Problem::new(codes::MALFORMED, "`events` must be an array")),
    }
}

fn binary(headers: &HeaderMap, data: Value) -> Result<Value, Problem> {
    binary_event(headers, data)
        .map_err(|header| Problem::new(codes::MALFORMED, format!("the header `{header}` is not UTF-8")))
}
