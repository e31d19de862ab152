//! A bounded table of what ends by itself.
//!
//! Each call frees what has ended in two shards: its own, and another, each in turn. So the table is
//! empty again when everything has ended and a few more calls have come, without a task of its own.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};

const SHARDS: usize = 64;

/// Something that counts for nothing from a moment on.
pub(super) trait Ends {
    fn ends(&self) -> Timestamp;
}

/// What is there by key: at most so many, give or take the callers of one moment.
pub(super) struct Expiring<V> {
    shards: Box<[Mutex<Shard<V>>]>,
    hasher: RandomState,
    most: usize,
    count: AtomicUsize,
    turn: AtomicUsize,
}

impl<V: Ends> Expiring<V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            most,
            count: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// How many there are, some of which may have ended.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets `work` look at what is at `key` and has not ended, change it, put something there or
    /// take it away, all in one step.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unready`] if something was put there for which there is no room.
    pub(super) fn with<T>(
        &self,
        key: &str,
        now: Timestamp,
        work: impl FnOnce(&mut Option<V>) -> T,
    ) -> Result<T> {
        let own = self.hasher.hash_one(key) as usize;
        self.make_room(own, now);
        let mut shard = self.lock(own);
        let (known, mut value) = shard.take(key);
        // What is freed late has ended all the same.
        value = value.filter(|value| value.ends() > now);
        let told = work(&mut value);
        match (known, value) {
            (Some(known), Some(value)) => shard.put_back(known, value),
            (Some(known), None) => {
                shard.due.remove(&known);
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            (None, Some(_)) if self.len() >= self.most => return Err(full()),
            (None, Some(value)) => {
                shard.put_new(key, value);
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            (None, None) => {}
        }
        Ok(told)
    }

    /// Frees what has ended, here and in turn elsewhere; everywhere if there is no room.
    fn make_room(&self, own: usize, now: Timestamp) {
        if self.len() >= self.most {
            (0..SHARDS).for_each(|shard| self.free(shard, now));
        } else {
            self.free(self.turn.fetch_add(1, Ordering::Relaxed), now);
            self.free(own, now);
        }
    }

    fn free(&self, shard: usize, now: Timestamp) {
        let mut shard = self.lock(shard);
        let freed = shard.free(now);
        self.count.fetch_sub(freed, Ordering::Relaxed);
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<V>> {
        let shard = self.shards[shard % SHARDS].lock();
        shard.unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a state is looked at for being freed, and where it is: each has one such place.
type Due = (Timestamp, Arc<str>);

struct State<V> {
    value: V,
    due: Timestamp,
}

struct Shard<V> {
    states: HashMap<Arc<str>, State<V>>,
    due: BTreeSet<Due>,
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            states: HashMap::new(),
            due: BTreeSet::new(),
        }
    }
}

impl<V: Ends> Shard<V> {
    fn take(&mut self, key: &str) -> (Option<Due>, Option<V>) {
        match self.states.remove_entry(key) {
            Some((key, state)) => (Some((state.due, key)), Some(state.value)),
            None => (None, None),
        }
    }

    /// What ends later than it is due is not moved among the others with each change, but when it
    /// comes to its turn.
    fn put_back(&mut self, (due, key): Due, value: V) {
        self.states.insert(key, State { value, due });
    }

    fn put_new(&mut self, key: &str, value: V) {
        let (due, key) = (value.ends(), Arc::from(key));
        self.due.insert((due, Arc::clone(&key)));
        self.states.insert(key, State { value, due });
    }

    /// Frees what has ended: how many.
    fn free(&mut self, now: Timestamp) -> usize {
        let mut freed = 0;
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.due.pop_first() else {
                break;
            };
            match self.states.get_mut(&key) {
                Some(state) if state.value.ends() > now => {
                    state.due = state.value.ends();
                    self.due.insert((state.due, key));
                }
                _ => {
                    self.states.remove(&key);
                    freed += 1;
                }
            }
        }
        freed
    }
}

fn full() -> Error {
    let message =
        "there is no room in memory for another rate limit or lock; room comes back as they end";
    Error::new(ErrorKind::Unready, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ends for u64 {
        fn ends(&self) -> Timestamp {
            Timestamp::from_micros(*self)
        }
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn put(table: &Expiring<u64>, key: &str, now: u64, ends: u64) -> Result<()> {
        table.with(key, at(now), |value| *value = Some(ends))
    }

    fn look(table: &Expiring<u64>, key: &str, now: u64) -> Option<u64> {
        table.with(key, at(now), |value| *value).unwrap()
    }

    #[test]
    fn what_has_ended_is_not_there_and_is_freed_by_calls_for_other_keys() {
        let table = Expiring::new(10_000);
        for key in 0..1_000 {
            put(&table, &key.to_string(), 0, 100 + key).unwrap();
        }
        assert_eq!(look(&table, "7", 106), Some(107));
        assert_eq!(look(&table, "7", 107), None);
        for _ in 0..SHARDS {
            look(&table, "another", 2_000);
        }
        assert_eq!(table.len(), 0);
        assert!((0..SHARDS).all(|shard| table.lock(shard).due.is_empty()));
    }

    #[test]
    fn an_end_that_moves_counts_whether_it_moves_out_or_in() {
        let table = Expiring::new(10);
        put(&table, "out", 0, 100).unwrap();
        put(&table, "out", 0, 300).unwrap();
        put(&table, "in", 0, 300).unwrap();
        put(&table, "in", 0, 100).unwrap();
        assert_eq!(look(&table, "out", 200), Some(300));
        assert_eq!(look(&table, "in", 200), None);
        assert_eq!(look(&table, "out", 300), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let table = Expiring::new(10);
        for _ in 0..100 {
            put(&table, "k", 0, 100).unwrap();
            table.with("k", at(0), |value| *value = None).unwrap();
        }
        assert_eq!(table.len(), 0);
        assert!((0..SHARDS).all(|shard| table.lock(shard).due.is_empty()));
    }

    #[test]
    fn a_full_table_refuses_what_is_new_until_something_ends() {
        let table = Expiring::new(3);
        for key in ["a", "b", "c"] {
            put(&table, key, 0, 100).unwrap();
        }
        let error = put(&table, "d", 50, 200).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unready);
        put(&table, "a", 50, 200).unwrap();
        assert_eq!(look(&table, "d", 50), None, "looking needs no room");
        put(&table, "d", 100, 200).unwrap();
        assert_eq!(table.len(), 2);
    }
}
