//! The oracle: what really changed, how often, in which order. It looks at applied changes only and takes part in none
//! of the account's own protection, so that it sees where that protection failed.

use std::sync::Arc;

use ahash::{AHashMap, RandomState};
use indexmap::{IndexMap, IndexSet};

use crate::{
    collection::Collection,
    report::{EffectRow, EntityRow},
};

/// A durable change, as it was applied.
pub(crate) struct Effect<'a> {
    pub(crate) collection: Collection,
    pub(crate) external_id: &'a Arc<str>,
    pub(crate) document_id: &'a Arc<str>,
    pub(crate) created: bool,
    pub(crate) event_id: Option<&'a Arc<str>>,
    pub(crate) source_version: Option<u64>,
    pub(crate) key: Option<&'a Arc<str>>,
}

/// The sums of an account's effects.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sums {
    pub(crate) effects: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    /// Effects that were a duplicate effect or a duplicate document, each counted once.
    pub(crate) duplicates: u64,
    /// Σ over event ids of effects - 1.
    pub(crate) duplicate_effects: u64,
    /// Documents that share an external id, beyond the first.
    pub(crate) duplicate_documents: u64,
    /// Effects whose source version is below one already applied to the same external id.
    pub(crate) out_of_order: u64,
}

type Entity = (Collection, Arc<str>);

#[derive(Default)]
struct EventRow {
    effects: u64,
    document_ids: IndexSet<Arc<str>, RandomState>,
    source_versions: Vec<u64>,
}

#[derive(Default)]
struct EntityState {
    created: u64,
    updated: u64,
    source_versions: Vec<u64>,
    highest: Option<u64>,
    out_of_order: u64,
    keys: IndexSet<Arc<str>, RandomState>,
}

/// Every effect of one account.
#[derive(Default)]
pub(crate) struct Effects {
    sums: Sums,
    per_event: AHashMap<Arc<str>, u64>,
    rows: IndexMap<(Option<Arc<str>>, Entity), EventRow, RandomState>,
    entities: IndexMap<Entity, EntityState, RandomState>,
}

impl Effects {
    pub(crate) fn sums(&self) -> Sums {
        self.sums
    }

    pub(crate) fn record(&mut self, effect: &Effect<'_>) {
        let duplicate_document = self.record_entity(effect);
        let duplicate_effect = self.record_event(effect);
        self.sums.effects += 1;
        self.sums.duplicate_effects += u64::from(duplicate_effect);
        self.sums.duplicate_documents += u64::from(duplicate_document);
        self.sums.duplicates += u64::from(duplicate_effect || duplicate_document);
    }

    /// Says whether this is a second document of one external id.
    fn record_entity(&mut self, effect: &Effect<'_>) -> bool {
        let entity = self.entities.entry((effect.collection, Arc::clone(effect.external_id))).or_default();
        if effect.created {
            entity.created += 1;
            self.sums.created += 1;
        } else {
            entity.updated += 1;
            self.sums.updated += 1;
        }
        if let Some(version) = effect.source_version {
            if entity.highest.is_some_and(|highest| version < highest) {
                entity.out_of_order += 1;
                self.sums.out_of_order += 1;
            }
            entity.highest = entity.highest.max(Some(version));
            entity.source_versions.push(version);
        }
        entity.keys.extend(effect.key.cloned());
        effect.created && entity.created > 1
    }

    /// Says whether the event had an effect before.
    fn record_event(&mut self, effect: &Effect<'_>) -> bool {
        let entity = (effect.collection, Arc::clone(effect.external_id));
        let row = self.rows.entry((effect.event_id.cloned(), entity)).or_default();
        row.effects += 1;
        row.source_versions.extend(effect.source_version);
        row.document_ids.insert(Arc::clone(effect.document_id));
        let Some(event_id) = effect.event_id else { return false };
        let effects = self.per_event.entry(Arc::clone(event_id)).or_default();
        *effects += 1;
        *effects > 1
    }

    /// Up to `limit` rows after position `after`, in the order of their first effect.
    pub(crate) fn rows(&self, after: usize, limit: usize) -> Vec<EffectRow> {
        let page = self.rows.iter().enumerate().skip(after).take(limit);
        page.map(|(index, ((event_id, (collection, external_id)), row))| EffectRow {
            position: index + 1,
            event_id: event_id.as_deref().map(str::to_owned),
            collection: *collection,
            external_id: external_id.to_string(),
            effects: row.effects,
            document_ids: row.document_ids.iter().map(|id| id.to_string()).collect(),
            source_versions: row.source_versions.clone(),
        })
        .collect()
    }

    /// Up to `limit` external ids after position `after`, in the order of their first effect.
    pub(crate) fn entities(&self, after: usize, limit: usize) -> Vec<EntityRow> {
        let page = self.entities.iter().enumerate().skip(after).take(limit);
        page.map(|(index, ((collection, external_id), entity))| EntityRow {
            position: index + 1,
            collection: *collection,
            external_id: external_id.to_string(),
            created: entity.created,
            updated: entity.updated,
            out_of_order: entity.out_of_order,
            source_versions: entity.source_versions.clone(),
            idempotency_keys: entity.keys.iter().map(|key| key.to_string()).collect(),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(
        effects: &mut Effects,
        event: Option<&str>,
        entity: &str,
        document: &str,
        created: bool,
        version: u64,
    ) {
        effects.record(&Effect {
            collection: Collection::Orders,
            external_id: &entity.into(),
            document_id: &document.into(),
            created,
            event_id: event.map(Arc::from).as_ref(),
            source_version: Some(version),
            key: Some(&format!("key-{version}").into()),
        });
    }

    #[test]
    fn one_effect_per_event_in_order_is_no_duplicate() {
        let mut effects = Effects::default();
        apply(&mut effects, Some("e1"), "SO-1", "D1", true, 1);
        apply(&mut effects, Some("e2"), "SO-1", "D1", false, 2);
        apply(&mut effects, Some("e3"), "SO-1", "D1", false, 2);
        let sums = effects.sums();
        assert_eq!((sums.effects, sums.created, sums.updated), (3, 1, 2));
        assert_eq!((sums.duplicates, sums.out_of_order), (0, 0));
    }

    #[test]
    fn a_repeated_create_is_one_duplicate_though_it_is_both_kinds() {
        let mut effects = Effects::default();
        apply(&mut effects, Some("e1"), "SO-1", "D1", true, 1);
        apply(&mut effects, Some("e1"), "SO-1", "D2", true, 1);
        let sums = effects.sums();
        assert_eq!((sums.duplicates, sums.duplicate_effects, sums.duplicate_documents), (1, 1, 1));
        assert_eq!(effects.rows(0, 9)[0].document_ids, ["D1", "D2"]);
    }

    #[test]
    fn a_second_document_counts_without_an_event_id() {
        let mut effects = Effects::default();
        apply(&mut effects, None, "SO-1", "D1", true, 1);
        apply(&mut effects, None, "SO-1", "D2", true, 1);
        let sums = effects.sums();
        assert_eq!((sums.duplicates, sums.duplicate_effects, sums.duplicate_documents), (1, 0, 1));
    }

    #[test]
    fn an_event_counts_across_entities() {
        let mut effects = Effects::default();
        apply(&mut effects, Some("e1"), "SO-1", "D1", true, 1);
        apply(&mut effects, Some("e1"), "SO-2", "D2", true, 1);
        assert_eq!(effects.sums().duplicate_effects, 1);
        assert_eq!(effects.rows(0, 9).len(), 2);
        assert_eq!(effects.rows(1, 9)[0].position, 2);
    }

    #[test]
    fn a_lower_version_is_out_of_order_against_the_highest_seen() {
        let mut effects = Effects::default();
        for (event, version) in [("a", 3), ("b", 1), ("c", 2), ("d", 3)] {
            apply(&mut effects, Some(event), "SO-1", "D1", false, version);
        }
        assert_eq!(effects.sums().out_of_order, 2);
        let entity = &effects.entities(0, 9)[0];
        assert_eq!(entity.source_versions, [3, 1, 2, 3]);
        assert_eq!(entity.idempotency_keys, ["key-3", "key-1", "key-2"]);
    }
}
