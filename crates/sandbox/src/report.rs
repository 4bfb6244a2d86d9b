//! What the admin API answers: the oracle's findings. Clients of the admin API can parse its answers into these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{collection::Collection, settings::Idempotency};

/// The changes of an account, or of all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Documents held.
    pub documents: u64,
    /// Durable changes: documents created plus updates.
    pub effects: u64,
    /// Effects that created a document.
    pub created: u64,
    /// Effects that changed one.
    pub updated: u64,
    /// Requests seen, whatever became of them.
    pub requests: u64,
    /// Effects too many: `duplicate_effects` and `duplicate_documents`, one that is both counted once.
    pub duplicates: u64,
    /// Σ over event ids of effects beyond the first.
    pub duplicate_effects: u64,
    /// Documents that share an external id with an earlier one.
    pub duplicate_documents: u64,
    /// Effects whose source version is below one already applied to the same external id.
    pub out_of_order: u64,
    /// Writes received and not yet applied (latency, late application). 0 = what is shown is final.
    pub pending: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.effects += other.effects;
        self.created += other.created;
        self.updated += other.updated;
        self.requests += other.requests;
        self.duplicates += other.duplicates;
        self.duplicate_effects += other.duplicate_effects;
        self.duplicate_documents += other.duplicate_documents;
        self.out_of_order += other.out_of_order;
        self.pending += other.pending;
    }
}

/// One account in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSummary {
    /// How the account protects itself against repeats.
    pub idempotency: Idempotency,
    /// Its sums.
    #[serde(flatten)]
    pub totals: Totals,
    /// Documents held, by collection; empty collections are left out.
    pub collections: BTreeMap<Collection, u64>,
}

/// `GET /admin/summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The sums over all accounts.
    #[serde(flatten)]
    pub totals: Totals,
    /// Each account by name.
    pub accounts: BTreeMap<String, AccountSummary>,
}

/// The requests of an account, `GET /admin/accounts/{account}/requests/count`. A request may count in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// All requests seen.
    pub requests: u64,
    /// Of them, POST and PUT.
    pub writes: u64,
    /// Of them, GET.
    pub reads: u64,
    /// Answered from the stored answer of their idempotency key.
    pub replayed: u64,
    /// Refused as the client's fault: 4xx other than 429.
    pub refused: u64,
    /// Refused by the throttle, 429.
    pub throttled: u64,
    /// Failed on purpose, 503.
    pub failed: u64,
    /// Applied (or to be applied late) with the connection closed instead of an answer.
    pub answers_dropped: u64,
    /// Connections closed because the account is down.
    pub hung_up: u64,
}

/// The effects of one event on one external id. Requests that named no event share the row without `event_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRow {
    /// 1, 2, …, in the order of first effects; pass it as `after` to go on behind this row.
    pub position: usize,
    /// `X-Counterfoil-Event-Id` of the requests.
    pub event_id: Option<String>,
    /// The collection.
    pub collection: Collection,
    /// The source's id of the document.
    pub external_id: String,
    /// Durable changes; more than 1 is a duplicate if there is an event id.
    pub effects: u64,
    /// The documents created or changed.
    pub document_ids: Vec<String>,
    /// `X-Counterfoil-Source-Version` of the effects, in the order they were applied.
    pub source_versions: Vec<u64>,
}

/// `GET /admin/accounts/{account}/effects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectPage {
    /// The rows.
    pub effects: Vec<EffectRow>,
    /// The `after` of the next page; absent on the last one.
    pub next: Option<usize>,
}

/// The effects on one external id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRow {
    /// 1, 2, …, in the order of first effects.
    pub position: usize,
    /// The collection.
    pub collection: Collection,
    /// The source's id.
    pub external_id: String,
    /// Documents created under this external id; more than 1 is a duplicate.
    pub created: u64,
    /// Updates of them.
    pub updated: u64,
    /// Effects whose source version was below one already applied.
    pub out_of_order: u64,
    /// Source versions in the order they were applied.
    pub source_versions: Vec<u64>,
    /// The idempotency keys of the effects, each once.
    pub idempotency_keys: Vec<String>,
}

/// `GET /admin/accounts/{account}/entities`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityPage {
    /// The rows.
    pub entities: Vec<EntityRow>,
    /// The `after` of the next page; absent on the last one.
    pub next: Option<usize>,
}
