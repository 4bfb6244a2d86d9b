//! Dead letters: the original bytes and headers, and headers that say where they came from and why they are here.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use delivery::Reason;
use event::TenantId;
use kafka::Label;

use crate::outbox::Letter;

type Header = (Cow<'static, str>, Vec<u8>);

/// Where a record stood.
pub(crate) struct Origin<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Why a record cannot be read as an event.
#[derive(Clone, Debug)]
pub(crate) struct Poison {
    /// Stable code.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
}

/// A dead letter for a record that cannot be read. Its key is its origin: nothing else about it is certain.
pub(crate) fn of_poison(
    topic: Arc<str>,
    tenant: Option<&TenantId>,
    origin: &Origin<'_>,
    label: &Label,
    value: Option<&Bytes>,
    poison: &Poison,
) -> Letter {
    let mut headers = origin_headers(origin);
    headers.push(own("cf-code", poison.code.into()));
    headers.push(own("cf-message", poison.message.clone().into()));
    headers.push(own("cf-original-key", label.key.to_vec()));
    if let Some(tenant) = tenant {
        headers.push(own("cf-tenant", tenant.as_str().into()));
    }
    if value.is_none() {
        headers.push(own("cf-tombstone", b"true".to_vec()));
    }
    let name = format!("{}/{}/{}", origin.topic, origin.partition, origin.offset);
    headers.extend(original_headers(label));
    Letter { topic, partition: None, key: name.into(), value: value.cloned().unwrap_or_default(), headers }
}

/// What a rejected posting was about.
pub(crate) struct Rejection<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) event_id: String,
    pub(crate) route: &'a str,
    pub(crate) generation: u16,
    pub(crate) reason: &'a Reason,
}

/// A dead letter for a posting that the target refuses.
pub(crate) fn of_rejection(
    topic: Arc<str>,
    origin: &Origin<'_>,
    label: &Label,
    value: &Bytes,
    rejection: &Rejection<'_>,
) -> Letter {
    let reason = rejection.reason;
    let mut headers = origin_headers(origin);
    headers.push(own("cf-code", reason.code.as_bytes().to_vec()));
    headers.push(own("cf-class", class_name(reason).into()));
    headers.push(own("cf-message", reason.message.as_bytes().to_vec()));
    if let Some(status) = reason.status {
        headers.push(own("cf-status", status.to_string().into()));
    }
    headers.push(own("cf-tenant", rejection.tenant.as_str().into()));
    headers.push(own("cf-event-id", rejection.event_id.clone().into()));
    headers.push(own("cf-route", rejection.route.into()));
    headers.push(own("cf-generation", rejection.generation.to_string().into()));
    headers.extend(original_headers(label));
    Letter { topic, partition: None, key: label.key.clone(), value: value.clone(), headers }
}

fn origin_headers(origin: &Origin<'_>) -> Vec<Header> {
    vec![
        own("cf-origin-topic", origin.topic.into()),
        own("cf-origin-partition", origin.partition.to_string().into()),
        own("cf-origin-offset", origin.offset.to_string().into()),
    ]
}

fn own(name: &'static str, value: Vec<u8>) -> Header {
    (Cow::Borrowed(name), value)
}

/// What the record carried itself, after ours. A name that could be taken for one of ours is told apart.
fn original_headers(label: &Label) -> impl Iterator<Item = Header> {
    label.headers.iter().flat_map(|headers| headers.iter()).map(|(name, value)| {
        let ours = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cf-"));
        let name = if ours { format!("cf-original-{name}") } else { name.clone() };
        (Cow::Owned(name), value.to_vec())
    })
}

/// The class as the connector vocabulary writes it.
fn class_name(reason: &Reason) -> String {
    match serde_json::to_value(reason.class) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{:?}", reason.class),
    }
}
