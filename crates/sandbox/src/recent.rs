//! The documents changed last, over all accounts.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{account::Account, collection::Collection, shelf::Document, world::Sandbox};

/// Changes an account remembers for the page.
const REMEMBERED: usize = 50;

/// The changes of one account, newest last.
#[derive(Default)]
pub(crate) struct Recent(VecDeque<(Collection, usize)>);

impl Recent {
    /// Notes a change of the document at `index` of its collection.
    pub(crate) fn note(&mut self, collection: Collection, index: usize) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((collection, index));
    }

    /// Each document once.
    fn documents(&self) -> Vec<(Collection, usize)> {
        let mut all: Vec<_> = self.0.iter().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A document in the page's list.
pub(crate) struct Row {
    pub(crate) changed_at: DateTime<Utc>,
    pub(crate) account: String,
    pub(crate) id: Arc<str>,
    pub(crate) external_id: Arc<str>,
    pub(crate) version: u64,
    pub(crate) event_id: Option<Arc<str>>,
    pub(crate) about: String,
    pub(crate) amount: String,
}

/// The `limit` documents changed last, newest first.
pub(crate) fn latest(sandbox: &Sandbox, limit: usize) -> Vec<Row> {
    let mut rows: Vec<_> = sandbox.all().iter().flat_map(|account| of_account(account)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.changed_at));
    rows.truncate(limit);
    rows
}

fn of_account(account: &Account) -> Vec<Row> {
    let state = account.lock();
    let documents = state.recent.documents().into_iter();
    documents
        .filter_map(|(collection, index)| Some(row(&account.name, state.shelves.get(&collection)?.at(index))))
        .collect()
}

fn row(account: &str, document: &Document) -> Row {
    let data: Value = serde_json::from_str(document.data.get()).unwrap_or_default();
    Row {
        changed_at: document.changed_at,
        account: account.to_owned(),
        id: Arc::clone(&document.id),
        external_id: Arc::clone(&document.external_id),
        version: document.version,
        event_id: document.event_id.clone(),
        about: first_text(&data, &["name", "title", "description", "customer_id", "product_id", "sku"]),
        amount: amount(&data),
    }
}

fn first_text(data: &Value, members: &[&str]) -> String {
    members.iter().find_map(|member| data.get(member)?.as_str()).unwrap_or_default().to_owned()
}

fn amount(data: &Value) -> String {
    let Some(money) = ["total", "amount"].iter().find_map(|m| data.get(m)).filter(|m| !m.is_null()) else {
        return String::new();
    };
    let number = money.get("amount").unwrap_or(money);
    let currency =
        money.get("currency").or_else(|| data.get("currency")).and_then(Value::as_str).unwrap_or_default();
    let number = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
    format!("{number} {currency}").trim_end().to_owned()
}
