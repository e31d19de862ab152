//! Random histories with restarts in them, against a model that is exact: nothing that has gone is
//! shown, and nothing else is missing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use cache_core::{Cache, DiskProvider, EntryOptions, ManualClock, Pattern, Timestamp};
use proptest::prelude::*;

use crate::Disk;

const KEYS: [&str; 6] = ["a:1", "a:2", "b:1", "b:2", "c", "d"];
const TAGS: [&str; 3] = ["x", "y", "z"];
const PATTERNS: [&str; 4] = ["a:*", "?:1", "[cd]", "*"];
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Act {
    Set { key: usize, tag: usize, ttl: u32 },
    Load { key: usize, tag: usize },
    Increment { key: usize },
    Expire { key: usize, ttl: u32 },
    Delete { key: usize },
    Tag { tag: usize },
    Pattern { pattern: usize },
    Clear,
    Wait { seconds: u32 },
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (key, tag) = (0..KEYS.len(), 0..TAGS.len());
    let act = prop_oneof![
        4 => (key.clone(), tag.clone(), 1..20_u32).prop_map(|(key, tag, ttl)| Act::Set { key, tag, ttl }),
        4 => (key.clone(), tag.clone()).prop_map(|(key, tag)| Act::Load { key, tag }),
        2 => key.clone().prop_map(|key| Act::Increment { key }),
        1 => (key.clone(), 1..20_u32).prop_map(|(key, ttl)| Act::Expire { key, ttl }),
        1 => key.prop_map(|key| Act::Delete { key }),
        1 => tag.prop_map(|tag| Act::Tag { tag }),
        1 => (0..PATTERNS.len()).prop_map(|pattern| Act::Pattern { pattern }),
        1 => Just(Act::Clear),
        2 => (1..10_u32).prop_map(|seconds| Act::Wait { seconds }),
        3 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 10..60)
}

/// What must be there.
#[derive(Clone, Debug)]
struct Entry {
    value: i64,
    tag: usize,
    ends: Timestamp,
}

struct History {
    disk: Disk,
    clock: ManualClock,
    provider: DiskProvider,
    cache: Cache,
    entries: BTreeMap<usize, Entry>,
    next: i64,
}

impl History {
    async fn begin() -> Self {
        let disk = Disk::new();
        let (provider, cache) = disk.open().await;
        Self {
            clock: disk.clock.clone(),
            disk,
            provider,
            cache,
            entries: BTreeMap::new(),
            next: 1_000,
        }
    }

    fn ends(&self, seconds: u32) -> Timestamp {
        let now = self.clock.clock().now();
        now.saturating_add(SECOND * seconds)
    }

    async fn act(&mut self, act: &Act) {
        self.next += 1;
        match *act {
            Act::Set { key, tag, ttl } => self.set(key, tag, ttl).await,
            Act::Load { key, tag } => self.load(key, tag).await,
            Act::Increment { key } => self.increment(key).await,
            Act::Expire { key, ttl } => self.expire(key, ttl).await,
            Act::Delete { .. } | Act::Tag { .. } | Act::Pattern { .. } | Act::Clear => {
                self.take_away(act).await;
            }
            Act::Wait { seconds } => {
                self.clock.advance(SECOND * seconds);
                let now = self.clock.clock().now();
                self.entries.retain(|_, entry| entry.ends > now);
            }
            Act::Restart => {
                self.provider.close().await;
                (self.provider, self.cache) = self.disk.open().await;
            }
        }
    }

    async fn set(&mut self, key: usize, tag: usize, ttl: u32) {
        let (value, ends) = (self.next, self.ends(ttl));
        let set = self.cache.set(KEYS[key], &value).tag(TAGS[tag]);
        set.ttl(SECOND * ttl).await.unwrap();
        self.entries.insert(key, Entry { value, tag, ends });
    }

    async fn load(&mut self, key: usize, tag: usize) {
        let (value, ends) = (self.next, self.ends(10));
        let options = EntryOptions::new().tag(TAGS[tag]).ttl(SECOND * 10);
        let load = || async { Ok::<_, Infallible>(value) };
        let Ok(found) = self.cache.get_or_set_with(KEYS[key], options, load).await;
        let fresh = Entry { value, tag, ends };
        assert_eq!(found, self.entries.entry(key).or_insert(fresh).value);
    }

    async fn increment(&mut self, key: usize) {
        let options = EntryOptions::new().tag(TAGS[0]).ttl(SECOND * 10);
        let fresh = Entry {
            value: 0,
            tag: 0,
            ends: self.ends(10),
        };
        let counted = self.cache.increment_with(KEYS[key], 1, options).await;
        let entry = self.entries.entry(key).or_insert(fresh);
        entry.value += 1;
        assert_eq!(counted.unwrap(), entry.value);
    }

    async fn expire(&mut self, key: usize, ttl: u32) {
        let is_there = self.cache.expire(KEYS[key], SECOND * ttl).await.unwrap();
        assert_eq!(is_there, self.entries.contains_key(&key));
        let ends = self.ends(ttl);
        let entry = self.entries.entry(key);
        entry.and_modify(|entry| entry.ends = ends);
    }

    async fn take_away(&mut self, act: &Act) {
        match *act {
            Act::Delete { key } => {
                let was_there = self.cache.delete(KEYS[key]).await.unwrap();
                assert_eq!(was_there, self.entries.remove(&key).is_some());
            }
            Act::Tag { tag } => {
                self.cache.invalidate_tag(TAGS[tag]).await.unwrap();
                self.entries.retain(|_, entry| entry.tag != tag);
            }
            Act::Pattern { pattern } => {
                let pattern = Pattern::new(PATTERNS[pattern]).unwrap();
                let gone = self.cache.invalidate_pattern(pattern.as_str()).await;
                gone.unwrap();
                self.entries.retain(|&key, _| !pattern.matches(KEYS[key]));
            }
            _ => {
                self.cache.clear().await.unwrap();
                self.entries.clear();
            }
        }
    }

    async fn check(&self, after: &Act) {
        let found = self.cache.get_many::<i64>(&KEYS).await.unwrap();
        let expected: Vec<_> = (0..KEYS.len())
            .map(|key| self.entries.get(&key).map(|entry| entry.value))
            .collect();
        assert_eq!(found, expected, "after {after:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_was_stored_and_has_not_gone(acts in acts()) {
        cache_core::testkit::block_on(async {
            let mut history = History::begin().await;
            for act in &acts {
                history.act(act).await;
                history.check(act).await;
            }
            history.provider.close().await;
        });
    }
}
