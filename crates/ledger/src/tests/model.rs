//! Random operations on a store, beside a map that cannot be wrong. Reopened in between.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use proptest::prelude::*;

use super::conformance::{CACHE, options};
use crate::{Store, StoreKind, buckets::Buckets};

#[derive(Clone, Debug)]
enum Step {
    Apply(u8, Vec<(u8, u16)>, Option<i64>),
    Sync,
    Clear(u8),
    Reopen,
    /// Only buckets notice.
    Begin,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, prop::collection::vec((any::<u8>(), any::<u16>()), 0..20), prop::option::of(0..1_000_i64))
            .prop_map(|(space, changes, position)| Step::Apply(space, changes, position)),
        2 => Just(Step::Sync),
        1 => (0..3_u8).prop_map(Step::Clear),
        1 => Just(Step::Reopen),
        1 => Just(Step::Begin),
    ]
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<Vec<u8>, Vec<u8>>,
    position: Option<i64>,
}

enum Opened {
    Plain(Arc<dyn Store>),
    Buckets(Buckets),
}

impl Opened {
    fn open(dir: &Path, kind: StoreKind, plain: bool, moment: i64) -> Self {
        if plain {
            return Self::Plain(kind.open(dir, CACHE, false).unwrap());
        }
        let (buckets, opened) = Buckets::open(&options(dir, kind), moment).unwrap();
        assert_eq!(opened, crate::Opened::Fine);
        Self::Buckets(buckets)
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Plain(store) => &**store,
            Self::Buckets(buckets) => buckets,
        }
    }
}

fn check(store: &dyn Store, space: &Arc<str>, model: &Model) {
    assert_eq!(store.position(space).unwrap(), model.position);
    assert_eq!(store.len(space).unwrap(), model.keys.len());
    let all: Vec<_> = model.keys.clone().into_iter().collect();
    assert_eq!(store.scan(space, &[], usize::MAX).unwrap(), all);
    for key in 0..=u8::MAX {
        assert_eq!(store.get(space, &[key, 0]).unwrap(), model.keys.get(&[key, 0][..]).cloned());
    }
}

fn run(kind: StoreKind, plain: bool, steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let spaces: [Arc<str>; 3] = [Arc::from("one"), Arc::from("two"), Arc::from("three")];
    let mut models: [Model; 3] = Default::default();
    let mut opened = Opened::open(dir.path(), kind, plain, 1);
    for (moment, step) in steps.iter().enumerate() {
        match step {
            Step::Apply(space, changes, position) => {
                let changes: Vec<_> =
                    changes.iter().map(|(k, v)| (vec![*k, 0], v.to_be_bytes().to_vec())).collect();
                let model = &mut models[usize::from(*space)];
                model.keys.extend(changes.clone());
                model.position = position.or(model.position);
                opened.store().apply(&spaces[usize::from(*space)], changes, *position).unwrap();
            }
            Step::Sync => opened.store().sync().unwrap(),
            Step::Clear(space) => {
                models[usize::from(*space)] = Model::default();
                opened.store().clear(&spaces[usize::from(*space)]).unwrap();
            }
            Step::Reopen => {
                opened.store().sync().unwrap();
                drop(opened);
                opened = Opened::open(dir.path(), kind, plain, moment as i64 + 2);
            }
            Step::Begin => {
                if let Opened::Buckets(buckets) = &opened {
                    buckets.begin(moment as i64 + 2).unwrap();
                }
            }
        }
    }
    for (space, model) in spaces.iter().zip(&models) {
        check(opened.store(), space, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        run(StoreKind::Sled, true, &steps);
    }

    #[test]
    fn redb_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        run(StoreKind::Redb, true, &steps);
    }

    #[test]
    fn buckets_are_a_map(steps in prop::collection::vec(step(), 1..25), redb in any::<bool>()) {
        run(if redb { StoreKind::Redb } else { StoreKind::Sled }, false, &steps);
    }
}
