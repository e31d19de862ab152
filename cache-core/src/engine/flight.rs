//! Flights: one load shared by its callers, found by key.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Question;
use crate::clock::Timestamp;
use crate::entry::{Entry, Owner, Tags};
use crate::log::{Log, Moment, Watcher};
use crate::value::AnyValue;

const SHARDS: usize = 64;

/// One load. Whoever arrives while it is in the table follows it.
#[derive(Debug)]
pub(super) struct Flight {
    id: u64,
    key: Arc<str>,
    owner: Owner,
    /// The tags that the value will have, as far as they are known before it is loaded.
    tags: Tags,
    /// Whether it will have no others.
    tags_are_all: bool,
    /// Before the load began.
    began: Moment,
    began_at: Timestamp,
    state: watch::Sender<State>,
}

/// How far a load has come, as followers see it.
#[derive(Clone, Debug)]
pub(super) enum State {
    Loading,
    /// Something can be had before the value; the value's tags are known.
    Progress(AnyValue, Tags),
    Value(Arc<Entry>),
    Failed(AnyValue),
    /// The result is not for others.
    Unshared,
    /// The leader gave up, or died.
    Abandoned,
}

impl Flight {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn key(&self) -> &Arc<str> {
        &self.key
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn began(&self) -> Moment {
        self.began
    }

    /// Whether all that could have hidden the load from a caller was known when the caller came.
    pub(super) fn tags_are_all(&self) -> bool {
        self.tags_are_all
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn followers(&self) -> usize {
        self.state.receiver_count()
    }

    /// Tells followers. Once a flight has landed, its state stays.
    pub(super) fn tell(&self, state: State) {
        let replaced = self.state.send_replace(state);
        drop(replaced);
    }
}

/// The loads that are under way, by key. There are at most as many as leaders.
#[derive(Debug)]
pub(super) struct Flights {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

type Shard = HashMap<Arc<str>, Arc<Flight>>;

/// What a caller is to a key's flight.
pub(super) enum Entered {
    Lead(Arc<Flight>),
    Follow(Arc<Flight>),
    /// Somebody loads under this key who must not be followed: another function's load.
    Occupied,
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Joins the key's flight, or begins one if there is none that a caller may join who arrives
    /// after all that has been invalidated so far.
    pub(super) fn enter(&self, question: &Question, log: &Log, now: Timestamp) -> Entered {
        let key = &question.key;
        let mut shard = self.shard(key);
        if let Some(flight) = shard.get(key)
            && !log.hides_load(key, &flight.tags, flight.began)
            && log.may_share(flight.began_at, now)
        {
            return if flight.owner == question.owner {
                Entered::Follow(Arc::clone(flight))
            } else {
                Entered::Occupied
            };
        }
        let flight = Arc::new(Flight {
            id: next_id(),
            key: Arc::clone(key),
            owner: question.owner,
            tags: Arc::clone(&question.tags),
            tags_are_all: question.tags_are_all,
            began: log.moment(),
            began_at: now,
            state: watch::Sender::new(State::Loading),
        });
        shard.insert(Arc::clone(&flight.key), Arc::clone(&flight));
        Entered::Lead(flight)
    }

    /// Takes a flight out of the table, unless a later one has its place.
    pub(super) fn leave(&self, flight: &Flight) {
        let mut shard = self.shard(&flight.key);
        if shard.get(&flight.key).is_some_and(|it| it.id == flight.id) {
            shard.remove(&flight.key);
        }
    }

    #[cfg(feature = "testkit")]
    pub(super) fn followers(&self, key: &str) -> usize {
        let flight = self.shard(key).get(key).map(Arc::clone);
        flight.map_or(0, |flight| flight.followers())
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        lock(&self.shards[index])
    }
}

impl Watcher for Flights {
    fn fence(&self, key: &str) {
        let fenced = self.shard(key).remove(key);
        // Dropped after the lock: the last owner of a flight drops what it told its followers.
        drop(fenced);
    }

    fn fence_all(&self) {
        for shard in &self.shards {
            let fenced = std::mem::take(&mut *lock(shard));
            drop(fenced);
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
