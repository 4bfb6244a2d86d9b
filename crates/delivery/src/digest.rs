//! What makes one core decide like another: its state, hashed. A model that tries every order of things must know where it
//! has been. Every `Hash` by hand here takes its type apart field by field, so that a new field cannot be forgotten.

use std::hash::{Hash, Hasher};

use ahash::AHashMap;

/// A map in the order of its keys: the order that it happens to have differs between two that are equal.
pub(crate) fn map<K: Ord + Hash, V: Hash, H: Hasher>(map: &AHashMap<K, V>, state: &mut H) {
    let mut entries: Vec<(&K, &V)> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries.hash(state);
}
