//! Random operations, on a cache and on a simple model of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cache_core::testkit::ChaosProvider;
use cache_core::{Cache, ManualClock, MemoryProvider, MemoryTier, Ttl};
use proptest::prelude::*;

use super::found;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const VALUES: [&str; 3] = ["1", "2", "3"];

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Vec<usize>, Option<u64>),
    Delete(usize),
    Expire(usize, Option<u64>),
    InvalidateTag,
    InvalidatePattern(usize),
    Clear,
    Elapse(u64),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len();
    let ttl = || proptest::option::of(1..20_u64);
    let values = proptest::collection::vec(0..VALUES.len(), 0..3);
    let step = prop_oneof![
        6 => (key(), values, ttl()).prop_map(|(key, values, ttl)| Step::Set(key, values, ttl)),
        2 => key().prop_map(Step::Delete),
        2 => (key(), ttl()).prop_map(|(key, ttl)| Step::Expire(key, ttl)),
        1 => Just(Step::InvalidateTag),
        1 => key().prop_map(Step::InvalidatePattern),
        1 => Just(Step::Clear),
        3 => (1..15_u64).prop_map(Step::Elapse),
        4 => (0..VALUES.len()).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What is stored: the values that it is indexed by, whether it is tagged, and when it ends.
#[derive(Default)]
struct Model {
    entries: BTreeMap<usize, (BTreeSet<usize>, Option<u64>)>,
    now: u64,
}

impl Model {
    fn found(&self, value: usize) -> Vec<(String, String)> {
        let belongs = |(_, (values, ends)): &(&usize, &(BTreeSet<usize>, Option<u64>))| {
            values.contains(&value) && ends.is_none_or(|ends| ends > self.now)
        };
        let found = self.entries.iter().filter(belongs);
        found
            .map(|(key, _)| (KEYS[*key].to_owned(), format!("v{key}")))
            .collect()
    }

    fn ends(&self, ttl: Option<u64>) -> Option<u64> {
        ttl.map(|ttl| self.now + ttl)
    }
}

fn ttl(seconds: Option<u64>) -> Ttl {
    seconds.map(Duration::from_secs).into()
}

/// Values with an even index are tagged.
async fn take(step: &Step, cache: &Cache, clock: &ManualClock, model: &mut Model) {
    match step {
        Step::Set(key, values, seconds) => {
            let value = format!("v{key}");
            let set = cache.set(KEYS[*key], &value).ttl(ttl(*seconds));
            let set = match key % 2 {
                0 => set.tag("even"),
                _ => set,
            };
            let set = values
                .iter()
                .fold(set, |set, &at| set.index("i", VALUES[at]));
            set.await.unwrap();
            let values = values.iter().copied().collect();
            model.entries.insert(*key, (values, model.ends(*seconds)));
        }
        Step::Delete(key) => {
            cache.delete(KEYS[*key]).await.unwrap();
            model.entries.remove(key);
        }
        Step::Expire(key, seconds) => {
            let changed = cache.expire(KEYS[*key], ttl(*seconds)).await.unwrap();
            let (now, ends) = (model.now, model.ends(*seconds));
            let entry = model.entries.get_mut(key);
            let entry = entry.filter(|(_, ends)| ends.is_none_or(|ends| ends > now));
            assert_eq!(changed, entry.is_some());
            if let Some(entry) = entry {
                entry.1 = ends;
            }
        }
        Step::InvalidateTag => {
            cache.invalidate_tag("even").await.unwrap();
            model.entries.retain(|key, _| key % 2 != 0);
        }
        Step::InvalidatePattern(key) => {
            cache.invalidate_pattern(KEYS[*key]).await.unwrap();
            model.entries.remove(key);
        }
        Step::Clear => {
            cache.clear().await.unwrap();
            model.entries.clear();
        }
        Step::Elapse(seconds) => {
            clock.advance(Duration::from_secs(*seconds));
            model.now += seconds;
        }
        Step::Read(value) => assert_eq!(found(cache, VALUES[*value]).await, model.found(*value)),
    }
}

fn follow(steps: &[Step], tier: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let clock = ManualClock::new();
        let provider = MemoryProvider::builder().clock(clock.clock()).build();
        let cache = match tier {
            true => Cache::builder(ChaosProvider::over(provider).0).memory_tier(MemoryTier::new()),
            false => Cache::builder(provider),
        };
        let (cache, mut model) = (cache.build().expect("a cache"), Model::default());
        for step in steps {
            take(step, &cache, &clock, &mut model).await;
        }
        for (at, value) in VALUES.iter().enumerate() {
            assert_eq!(found(&cache, value).await, model.found(at));
        }
    });
}

proptest! {
    #[test]
    fn an_index_agrees_with_a_simple_model(steps in steps()) {
        follow(&steps, false);
    }

    #[test]
    fn an_index_behind_a_memory_tier_agrees_with_it_too(steps in steps()) {
        follow(&steps, true);
    }
}
