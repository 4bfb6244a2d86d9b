//! What has changed in a system: how it is asked for, page by page, and what the answers say.

mod ask;
mod error;
mod link;
mod moment;
mod paging;
mod read;
mod record;
mod walk;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::paging::Paging;
pub(crate) use self::paging::{Ask, onward};
pub(crate) use self::read::Reply;
pub use self::{
    error::WalkError,
    record::{Change, Page, Place, RecordId},
    walk::Walk,
};
use crate::{
    Endpoint,
    call::Call,
    definition::{self, Changes, ChangesKind, Ids, Order, TimeFormat},
    finder::json_path,
    path::JsonPath,
    template::{Name, Text},
};

/// The most records that can be asked for at once.
const MOST: u32 = 1_000;

/// How changes are asked for, compiled.
#[derive(Debug)]
pub(crate) struct Feed {
    call: Call,
    /// The request of the pages after the first, where it is another one.
    onward: Option<Call>,
    paging: Paging,
    /// None for a keyset, which has its own.
    order: Option<Order>,
    ids: Ids,
    items: JsonPath,
    empty: Option<JsonPath>,
    id: JsonPath,
    modified: JsonPath,
    format: TimeFormat,
    overlap_us: i64,
    page: u32,
    max_pages: u32,
    with: BTreeMap<String, String>,
    webhook: Option<BTreeMap<String, String>>,
}

impl Feed {
    pub(crate) fn compile(
        changes: &Changes,
        call: Call,
        onward: Option<Call>,
        known: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let ChangesKind::ModifiedSince = changes.kind;
        let paging = Paging::compile(&changes.paging)?;
        check(changes, &call)?;
        let keyset = matches!(paging, Paging::Keyset);
        Ok(Self {
            call,
            onward,
            paging,
            order: (!keyset).then(|| changes.order.unwrap_or_default()),
            ids: changes.ids,
            items: json_path(&changes.items)?,
            empty: changes.empty.as_deref().map(json_path).transpose()?,
            id: json_path(&changes.id)?,
            modified: json_path(&changes.modified)?,
            format: changes.format,
            overlap_us: i64::try_from(changes.overlap_ms).unwrap_or(i64::MAX).saturating_mul(1_000),
            page: changes.page,
            max_pages: changes.max_pages,
            webhook: changes.webhook.clone(),
            with: changes
                .with
                .iter()
                .map(|(name, text)| with(name, text, known))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn overlap_us(&self) -> i64 {
        self.overlap_us
    }

    /// The headers of a record that stands for a webhook.
    pub(crate) fn webhook(&self) -> Option<&BTreeMap<String, String>> {
        self.webhook.as_ref()
    }

    /// What the program that makes events of records gets besides.
    pub(crate) fn with(&self) -> &BTreeMap<String, String> {
        &self.with
    }

    /// A walk through what has changed since a moment.
    pub(crate) fn walk(&self, since_us: i64) -> Walk {
        Walk::new(self, since_us)
    }

    fn order(&self) -> Option<Order> {
        self.order
    }

    fn has_text_ids(&self) -> bool {
        self.ids == Ids::Text
    }

    pub(crate) fn call(&self, ask: &Ask) -> &Call {
        match (ask, &self.onward) {
            (Ask::Token(_), Some(onward)) => onward,
            _ => &self.call,
        }
    }

    /// What the request's placeholders stand for.
    pub(crate) fn payload(&self, since_us: i64, ask: &Ask) -> Value {
        let lowest = if self.has_text_ids() { json!("") } else { json!(0) };
        let (since_us, after) = match ask {
            Ask::Behind(place) => (place.modified_us, json!(place.id)),
            _ => (since_us, lowest),
        };
        let mut payload =
            json!({"since": moment::written(self.format, since_us), "after": after, "page": self.page});
        match ask {
            Ask::Token(token) => payload["cursor"] = token.clone(),
            // From the last record on that there was already.
            Ask::Offset(offset) => {
                let first = if let Paging::Offset { first, .. } = self.paging { u64::from(first) } else { 0 };
                payload["offset"] = (offset.saturating_sub(1) + first).into();
            }
            Ask::Number(number) => payload["number"] = (*number).into(),
            _ => {}
        }
        payload
    }
}

impl Endpoint {
    /// What the program that makes events of what has changed gets besides the record.
    pub fn with(&self) -> Option<&BTreeMap<String, String>> {
        self.feed.as_ref().map(Feed::with)
    }

    /// The headers that each record of what has changed comes with, where the program of the system's webhooks makes events of them.
    pub fn webhook(&self) -> Option<&BTreeMap<String, String>> {
        self.feed.as_ref().and_then(Feed::webhook)
    }
}

/// Whether the parts of `changes` go together.
fn check(changes: &Changes, call: &Call) -> Result<(), String> {
    use definition::Paging as Said;
    let (least, own): (u32, &[&str]) = match changes.paging {
        Said::Keyset => (1, &["since", "after"]),
        Said::Offset { .. } => (2, &["offset"]),
        Said::PageNumber { .. } => (1, &["number"]),
        Said::BodyLink { .. } | Said::LinkHeader | Said::Cursor { .. } => (1, &[]),
    };
    if !(least..=MOST).contains(&changes.page) {
        return Err(format!("`changes` has `page: {}`, it can be {least} to {MOST}", changes.page));
    }
    if changes.max_pages == 0 {
        return Err("`changes` has `max_pages: 0`, and nothing can be read".into());
    }
    let keyset = matches!(changes.paging, Said::Keyset);
    if keyset && changes.order.is_some() {
        return Err("`changes` with a keyset has an order of its own: leave `order` out".into());
    }
    if !keyset && changes.overlap_ms == 0 {
        return Err("`changes` without a keyset needs an `overlap`: many records can bear one moment".into());
    }
    if let Said::Offset { most: Some(most), .. } = changes.paging {
        if changes.order != Some(Order::Modified) {
            return Err(
                "`paging` with `most` needs `order: modified`: it goes on from the last moment".into()
            );
        }
        if most < changes.page {
            return Err(format!("`paging` has `most: {most}`, less than a page"));
        }
    }
    let says = |what: &str| call.has(&|name| first_of(name).is_some_and(|first| first == what));
    if let Some(missing) = own.iter().find(|name| !says(name)) {
        return Err(format!(
            "the request of `changes` says nowhere `{{{{payload.{missing}}}}}`, which its `paging` needs"
        ));
    }
    let known = |name: &str| matches!(name, "since" | "page") || own.contains(&name);
    if call.has(&|name| first_of(name).is_some_and(|first| !known(first))) {
        let known = [own, &["since", "page"]].concat().join(", payload.");
        return Err(format!("the request of `changes` can say of the payload: payload.{known}"));
    }
    Ok(())
}

/// What the connection gives stands in a text already once it is compiled; nothing else can.
fn with(name: &str, text: &str, known: &BTreeMap<String, String>) -> Result<(String, String), String> {
    let compiled = Text::compile(text, known, false)?;
    if compiled.has(|_| true) {
        return Err(format!("`with` of `changes` says at `{name}` what no connection gives: `{text}`"));
    }
    Ok((name.to_owned(), compiled.sample()))
}

/// The first name of a path into the payload.
fn first_of(name: &Name) -> Option<&str> {
    match name {
        Name::Payload(path) => Some(path.first()),
        _ => None,
    }
}
