//! The partitioner's golden values, and the properties that tenant placement rests on.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use event::TenantId;
use proptest::prelude::*;
use topics::partitioner::{DEFAULT_SHARDS, Placement, murmur2, to_positive};

fn tenant(id: &str) -> TenantId {
    id.parse().unwrap()
}

/// The vectors of Kafka's own UtilsTest.
#[test]
fn murmur2_is_kafkas() {
    for (text, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(text.as_bytes()), hash, "{text}");
    }
}

#[test]
fn to_positive_clears_the_sign_bit() {
    assert_eq!(to_positive(-973_932_308), 1_173_551_340);
    assert_eq!(to_positive(-1), i32::MAX as u32);
    assert_eq!(to_positive(i32::MIN), 0);
    assert_eq!(to_positive(7), 7);
}

/// Do not change these values: records already on the topics, and the ledgers beside them, lie by them.
#[test]
fn placement_does_not_change() {
    for (id, shards, partitions, set) in GOLDEN_SETS {
        assert_eq!(Placement::new(&tenant(id), *shards, *partitions).partitions(), *set, "{id}");
    }
    let acme = Placement::new(&tenant("acme"), 4, 12);
    for (key, partition) in GOLDEN_KEYS {
        assert_eq!(acme.partition(key.as_bytes()), *partition, "{key}");
    }
}

const GOLDEN_SETS: &[(&str, usize, i32, &[i32])] = &[
    ("acme", 4, 12, &[5, 7, 8, 10]),
    ("globex", 4, 12, &[4, 6, 7, 9]),
    ("initech", 4, 12, &[8, 9, 10, 11]),
    ("a", 1, 1, &[0]),
    ("acme", 2, 100, &[43, 96]),
];

const GOLDEN_KEYS: &[(&str, i32)] = &[
    ("acme/invoice/INV-1", 10),
    ("acme/invoice/INV-2", 7),
    ("acme/order/4711", 7),
    ("acme/purchase_order/2026/PO/1", 7),
    ("acme/customer/Müller", 10),
];

#[test]
fn counts_out_of_range_are_bounded() {
    let acme = tenant("acme");
    assert_eq!(Placement::new(&acme, 0, 12).partitions().len(), 1);
    assert_eq!(Placement::new(&acme, 99, 12).partitions(), (0..12).collect::<Vec<_>>());
    assert_eq!(Placement::new(&acme, 4, 0).partitions(), [0]);
    assert_eq!(Placement::new(&acme, 4, -5).partition(b"acme/order/1"), 0);
}

/// Each of 12 partitions should have a third of the tenants; 10 % more or less is allowed.
#[test]
fn tenants_spread_evenly() {
    let mut load: BTreeMap<i32, u32> = BTreeMap::new();
    for n in 0..12_000 {
        for partition in Placement::new(&tenant(&format!("tenant-{n}")), DEFAULT_SHARDS, 12).partitions() {
            *load.entry(*partition).or_default() += 1;
        }
    }
    assert_eq!(load.len(), 12);
    assert!(load.values().all(|n| (3_600..=4_400).contains(n)), "{load:?}");
}

#[test]
fn keys_spread_evenly_over_the_tenants_partitions() {
    let acme = Placement::new(&tenant("acme"), 4, 12);
    let mut load: BTreeMap<i32, u32> = BTreeMap::new();
    for n in 0..20_000 {
        *load.entry(acme.partition(format!("acme/invoice/INV-{n:05}").as_bytes())).or_default() += 1;
    }
    assert_eq!(load.keys().copied().collect::<Vec<_>>(), acme.partitions());
    assert!(load.values().all(|n| (4_500..=5_500).contains(n)), "{load:?}");
}

/// Shuffle sharding: of 12 partitions taken 4 at a time there are 495 sets, and 1,000 tenants should use most of them.
#[test]
fn few_tenants_share_a_whole_set() {
    let sets: BTreeMap<Vec<i32>, u32> = (0..1_000)
        .map(|n| Placement::new(&tenant(&format!("t{n}")), 4, 12).partitions().to_vec())
        .fold(BTreeMap::new(), |mut sets, set| {
            *sets.entry(set).or_default() += 1;
            sets
        });
    // Thrown at random, 495 * (1 - e^(-1000/495)) = 429 sets would be in use.
    assert!(sets.len() > 390, "{} sets", sets.len());
    assert!(sets.values().all(|n| *n <= 12), "{sets:?}");
}

/// Of 2,000 tenants, shards / (partitions + 1) are touched by a new partition; half as many again are allowed.
#[test]
fn one_more_partition_moves_few_tenants() {
    let ids: Vec<TenantId> = (0..2_000).map(|n| tenant(&format!("tenant-{n}"))).collect();
    for partitions in [12, 16, 24, 39] {
        let set = |id: &TenantId, n| Placement::new(id, 4, n).partitions().to_vec();
        let moved = ids.iter().filter(|id| set(id, partitions) != set(id, partitions + 1)).count();
        let expected = 2_000.0 * 4.0 / f64::from(partitions + 1);
        assert!((moved as f64) < 1.5 * expected, "{moved} of 2000, expected {expected}");
    }
}

proptest! {
    #[test]
    fn a_placement_is_a_sorted_set_within_the_topic(
        id in "[a-z0-9]{1,20}", shards in 1usize..20, partitions in 1i32..200, key in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let placement = Placement::new(&tenant(&id), shards, partitions);
        let set = placement.partitions();
        prop_assert_eq!(set.len(), shards.min(partitions as usize));
        prop_assert!(set.windows(2).all(|w| w[0] < w[1]));
        prop_assert!(set.iter().all(|p| (0..partitions).contains(p)));
        prop_assert!(set.contains(&placement.partition(&key)));
    }

    /// The rendezvous property: a new partition either is not taken, or takes the place of exactly one.
    #[test]
    fn one_more_partition_moves_at_most_one_shard(id in "[a-z0-9]{1,20}", shards in 1usize..8, partitions in 8i32..200) {
        let set = |n| Placement::new(&tenant(&id), shards, n).partitions().iter().copied().collect::<BTreeSet<i32>>();
        let (before, after) = (set(partitions), set(partitions + 1));
        let gained: Vec<_> = after.difference(&before).collect();
        prop_assert!(gained.is_empty() || gained == [&partitions], "{:?}", gained);
        prop_assert_eq!(before.difference(&after).count(), gained.len());
    }

    /// One more shard keeps all of the others.
    #[test]
    fn one_more_shard_only_adds(id in "[a-z0-9]{1,20}", shards in 1usize..11) {
        let few = Placement::new(&tenant(&id), shards, 12);
        let more = Placement::new(&tenant(&id), shards + 1, 12);
        prop_assert!(few.partitions().iter().all(|p| more.partitions().contains(p)));
    }
}
