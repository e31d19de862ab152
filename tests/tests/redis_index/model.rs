//! Random operations on two nodes, and on a simple model of them.

use std::collections::{BTreeMap, BTreeSet};

use cache_core::Cache;
use cache_core::testkit::{block_on, delivered};
use cache_tests::redis_server::RedisServer;
use proptest::prelude::*;

use super::{MINUTE, found, handle, let_marks_pass};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const VALUES: [&str; 3] = ["1", "2", "3"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Vec<usize>),
    Delete(usize),
    Evict(usize),
    Expire(usize),
    InvalidateTag,
    Clear,
    LetMarksPass,
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len();
    let values = proptest::collection::vec(0..VALUES.len(), 0..3);
    let step = prop_oneof![
        6 => (key(), values).prop_map(|(key, values)| Step::Set(key, values)),
        2 => key().prop_map(Step::Delete),
        1 => key().prop_map(Step::Evict),
        1 => key().prop_map(Step::Expire),
        1 => Just(Step::InvalidateTag),
        1 => Just(Step::Clear),
        2 => Just(Step::LetMarksPass),
        4 => (0..VALUES.len()).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The values that each key's entry is indexed by.
type Model = BTreeMap<usize, BTreeSet<usize>>;

fn expected(model: &Model, value: usize) -> Vec<(String, String)> {
    let found = model.iter().filter(|(_, values)| values.contains(&value));
    found
        .map(|(key, _)| (KEYS[*key].to_owned(), KEYS[*key].to_owned()))
        .collect()
}

/// Entries with an even key are tagged.
async fn take(step: &Step, cache: &Cache, server: &RedisServer, model: &mut Model) {
    match step {
        Step::Set(key, values) => {
            let set = cache.set(KEYS[*key], KEYS[*key]);
            let set = if key % 2 == 0 { set.tag("even") } else { set };
            let set = values
                .iter()
                .fold(set, |set, &at| set.index("i", VALUES[at]));
            set.await.unwrap();
            model.insert(*key, values.iter().copied().collect());
        }
        Step::Delete(key) => {
            let there = cache.delete(KEYS[*key]).await.unwrap();
            assert_eq!(there, model.remove(key).is_some());
        }
        Step::Evict(key) => {
            let _: u64 = server.cli(&["DEL", &format!("cache::{}", KEYS[*key])]);
            model.remove(key);
        }
        Step::Expire(key) => {
            let there = cache.expire(KEYS[*key], MINUTE).await.unwrap();
            assert_eq!(there, model.contains_key(key));
        }
        Step::InvalidateTag => {
            cache.invalidate_tag("even").await.unwrap();
            model.retain(|key, _| key % 2 != 0);
        }
        Step::Clear => {
            cache.clear().await.unwrap();
            model.clear();
        }
        Step::LetMarksPass => let_marks_pass(server),
        Step::Read(value) => {
            assert_eq!(found(cache, VALUES[*value]).await, expected(model, *value));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_index_agrees_with_a_simple_model_on_two_nodes(steps in steps()) {
        block_on(async {
            let server = RedisServer::start();
            let nodes = [handle(&server).await, handle(&server).await];
            let mut model = Model::new();
            for (turn, step) in steps.iter().enumerate() {
                let [other, node] = [0, 1].map(|at| &nodes[(turn + at) % 2]);
                delivered(node, other).await;
                take(step, node, &server, &mut model).await;
            }
            delivered(&nodes[0], &nodes[1]).await;
            delivered(&nodes[1], &nodes[0]).await;
            for (at, value) in VALUES.iter().enumerate() {
                assert_eq!(found(&nodes[0], value).await, expected(&model, at));
            }
        });
    }
}
