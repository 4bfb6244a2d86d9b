//! Which partition a record goes to. docs/partitioning.md describes it for authors of other Kafka clients.
//!
//! Do not change: a different answer for the same key breaks order per entity and the ledger, which is co-partitioned.

use event::TenantId;

/// Partitions of a pooled topic that a tenant is spread over, unless its configuration says otherwise.
pub const DEFAULT_SHARDS: usize = 4;

/// Kafka's `Utils.murmur2`: 32-bit MurmurHash2 with Kafka's seed, as the signed value that Java returns.
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Java's lengths are 32 bits wide; no record is longer.
    let mut h = SEED ^ (data.len() as u32);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)) as i32
}

/// Kafka's `Utils.toPositive`: clears the sign bit. It is not `abs`.
pub const fn to_positive(hash: i32) -> u32 {
    (hash & i32::MAX) as u32
}

/// The partitions of one tenant on a pooled topic.
///
/// Tenants get overlapping but mostly different sets (shuffle sharding), so that one tenant's flood or poison reaches few
/// others in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    set: Vec<i32>,
}

impl Placement {
    /// The `shards` of `partitions` partitions that rendezvous hashing gives to `tenant`.
    ///
    /// The score of partition `p` is `murmur2("<tenant>#<p>")` as an unsigned number; the highest scores win, ties go to
    /// the lower partition. Both counts are taken as at least 1, and `shards` as at most `partitions`.
    pub fn new(tenant: &TenantId, shards: usize, partitions: i32) -> Self {
        let mut scored: Vec<(u32, i32)> = (0..partitions.max(1))
            .map(|partition| (murmur2(format!("{tenant}#{partition}").as_bytes()) as u32, partition))
            .collect();
        scored.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.truncate(shards.max(1));
        let mut set: Vec<i32> = scored.into_iter().map(|(_, partition)| partition).collect();
        set.sort_unstable();
        Self { set }
    }

    /// The partition of the record with this key.
    pub fn partition(&self, key: &[u8]) -> i32 {
        self.set[to_positive(murmur2(key)) as usize % self.set.len()]
    }

    /// The tenant's partitions, ascending; never empty.
    pub fn partitions(&self) -> &[i32] {
        &self.set
    }
}
