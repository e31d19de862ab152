//! Entries by key over moka, with the locks that make a write of one key one step.
//!
//! moka cleans up on whatever call comes along, reads included, under locks of its own; so every
//! call into it is a section in which no value is dropped.
//!
//! moka stores and evicts; it loads nothing, because its own loading calls store what they loaded
//! even if the key was invalidated meanwhile.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache as Moka;

use super::departures::{Departure, Departures, OnDeparture};
use super::members::{Members, Place};
use crate::clock::Clock;
use crate::deferred;
use crate::entry::{Entry, EntryId, Meta};
use crate::provider::Usage;

const SHARDS: usize = 64;
/// How many entries are freed before others have their turn.
const STEP: usize = 1_000;

/// Entries by key, bounded by weight, and the leases of the loads that are under way.
pub(crate) struct Store {
    entries: Moka<Arc<str>, Arc<Entry>>,
    departures: Arc<Departures>,
    leases: Leases,
    /// Of the indexes, where they are kept.
    members: Option<Members>,
}

impl Store {
    /// A store that holds about `max_bytes` of keys and values, and tells `departed` what leaves it.
    pub(crate) fn new(max_bytes: u64, clock: Clock, departed: OnDeparture) -> Self {
        let departures = Arc::new(Departures::default());
        let (counted, time) = (Arc::clone(&departures), clock.clone());
        let entries = Moka::builder()
            .name("cache-core")
            .max_capacity(max_bytes)
            .weigher(|key: &Arc<str>, entry: &Arc<Entry>| {
                let key = u32::try_from(key.len()).unwrap_or(u32::MAX);
                key.saturating_add(entry.weight_bytes())
            })
            .expire_after(FreeExpired(clock))
            .eviction_listener(move |key, entry, cause| {
                let why = counted.count(&entry, Departure::of(cause), &time);
                departed(&key, &entry, why);
            })
            .build();
        Self {
            entries,
            departures,
            leases: Leases::new(),
            members: None,
        }
    }

    /// Keeps the members of the entries' indexes from now on.
    pub(super) fn indexed(mut self) -> Self {
        self.members = Some(Members::default());
        self
    }

    /// The members of the indexes, if they are kept.
    pub(super) fn members(&self) -> Option<&Members> {
        self.members.as_ref()
    }

    /// What stands at `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Entry>> {
        deferred::section(|| self.entries.get(key))
    }

    /// Leaves a lease at `key`, unless an entry stands there that was not the observed one.
    ///
    /// A lease that stands is replaced, not joined: within one process the flight that took it
    /// has been fenced, or it would have been followed.
    pub(crate) fn lease(
        &self,
        key: &str,
        observed: Option<EntryId>,
    ) -> Result<EntryId, Arc<Entry>> {
        self.reserve(key, observed, |leases| left_at(key, leases))
    }

    /// Like [`lease`](Self::lease), but joins one that stands: what voids it, voids it for all who
    /// hold it, and the first of them who fills ends it.
    pub(crate) fn join(&self, key: &str, observed: Option<EntryId>) -> Result<EntryId, Arc<Entry>> {
        self.reserve(key, observed, |leases| match leases.get_mut(key) {
            Some(standing) => standing.joined(),
            None => left_at(key, leases),
        })
    }

    fn reserve(
        &self,
        key: &str,
        observed: Option<EntryId>,
        leave: impl FnOnce(&mut Standings) -> EntryId,
    ) -> Result<EntryId, Arc<Entry>> {
        self.leases.section(key, |leases| match self.get(key) {
            Some(entry) if Some(entry.meta().id) != observed => Err(entry),
            _ => Ok(leave(leases)),
        })
    }

    /// Gives a lease back; it ends with the last who holds it.
    pub(crate) fn release(&self, key: &str, token: EntryId) {
        self.leases.section(key, |leases| {
            let Some(standing) = leases.get_mut(key).filter(|it| it.token == token) else {
                return;
            };
            standing.holders -= 1;
            if standing.holders == 0 {
                leases.remove(key);
            }
        });
    }

    /// Stores an entry if its lease still stands.
    pub(crate) fn fill(&self, key: &str, entry: Arc<Entry>, token: EntryId) -> bool {
        self.leases.section(key, |leases| {
            if leases
                .get(key)
                .is_none_or(|standing| standing.token != token)
            {
                return false;
            }
            leases.remove(key);
            self.insert(key, entry);
            true
        })
    }

    /// Stores an entry whatever stands there.
    pub(crate) fn put(&self, key: &str, entry: Arc<Entry>) {
        self.leases.section(key, |leases| {
            leases.remove(key);
            self.insert(key, entry);
        });
    }

    /// Under the key's lock: enters the entry in its indexes, then stores it.
    fn insert(&self, key: &str, entry: Arc<Entry>) {
        if let Some(members) = &self.members {
            members.enter(key, &entry.meta().tags);
        }
        self.entries.insert(key.into(), entry);
    }

    /// Under the key's lock: what stood there has been taken away.
    fn removed(&self, key: &str, entry: &Entry) {
        if let Some(members) = &self.members {
            members.leave(key, &entry.meta().tags);
        }
    }

    /// Replaces the entry that was seen, or the absence that was seen, unless somebody was faster.
    pub(crate) fn replace(&self, key: &str, seen: Option<EntryId>, entry: Arc<Entry>) -> bool {
        self.leases.section(key, |leases| {
            if self.get(key).map(|entry| entry.meta().id) != seen {
                return false;
            }
            leases.remove(key);
            self.insert(key, entry);
            true
        })
    }

    /// Takes what stands at `key` away, and voids the lease.
    pub(crate) fn take(&self, key: &str) -> Option<Arc<Entry>> {
        self.leases.section(key, |leases| {
            leases.remove(key);
            let taken = self.entries.remove(key)?;
            self.removed(key, &taken);
            Some(taken)
        })
    }

    /// Takes an entry away if it is still the one that was seen.
    pub(crate) fn take_if(&self, key: &str, id: EntryId) {
        self.leases.section(key, |_| {
            if let Some(entry) = self.get(key).filter(|entry| entry.meta().id == id) {
                self.entries.invalidate(key);
                self.removed(key, &entry);
            }
        });
    }

    /// Takes a member away, if at its key still stands what was seen there, or still nothing.
    pub(super) fn unlink(&self, place: &Place, seen: Option<EntryId>) {
        self.leases.section(place.key(), |_| {
            let standing = self.get(place.key()).map(|entry| entry.meta().id);
            if let Some(members) = self.members.as_ref().filter(|_| standing == seen) {
                members.remove(place);
            }
        });
    }

    /// Takes everything away, and voids all leases.
    pub(crate) fn clear(&self) {
        // Leases first: a fill that still finds its own is done before the entries go.
        self.leases.void_all();
        deferred::section(|| self.entries.invalidate_all());
    }

    /// The entries that are wanted, in no order.
    pub(crate) fn list(
        &self,
        wanted: impl Fn(&str, &Entry) -> bool,
    ) -> Vec<(Arc<Arc<str>>, Arc<Entry>)> {
        let entries = || self.entries.iter().filter(|(key, it)| wanted(key, it));
        deferred::section(|| entries().collect())
    }

    /// Frees what is `doomed`, a step at a time, and says how many entries that were. Dropping the
    /// future leaves the rest.
    pub(crate) async fn sweep(&self, doomed: impl Fn(&str, &Meta) -> bool) -> u64 {
        let timed_out = self.tidy_up();
        let doomed = self.list(|key, entry| doomed(key, entry.meta()));
        for step in doomed.chunks(STEP) {
            for (key, entry) in step {
                self.take_if(key, entry.meta().id);
            }
            tokio::task::yield_now().await;
        }
        self.tidy_up();
        timed_out + doomed.len() as u64
    }

    /// Lets moka do what it has put off, and says how many entries it has found to be expired.
    fn tidy_up(&self) -> u64 {
        let before = self.departures.expired();
        deferred::section(|| self.entries.run_pending_tasks());
        self.departures.expired() - before
    }

    /// What is there and what has left; both a little late.
    pub(crate) fn usage(&self) -> Usage {
        deferred::section(|| Usage {
            entries: Some(self.entries.entry_count()),
            bytes: Some(self.entries.weighted_size()),
            evictions: Some(self.departures.evicted()),
            expirations: Some(self.departures.expired()),
        })
    }
}

/// A lease, and how many hold it.
struct Standing {
    token: EntryId,
    holders: usize,
}

impl Standing {
    fn joined(&mut self) -> EntryId {
        self.holders += 1;
        self.token
    }
}

/// The leases in one shard, by key.
type Standings = HashMap<Box<str>, Standing>;

fn left_at(key: &str, leases: &mut Standings) -> EntryId {
    let token = EntryId::random();
    leases.insert(key.into(), Standing { token, holders: 1 });
    token
}

/// The leases of all loads that are under way. There are no more than loads.
struct Leases {
    shards: Box<[Mutex<Standings>]>,
    hasher: RandomState,
}

impl Leases {
    fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn void_all(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Runs `work` under the lock of the key's shard; no value is dropped meanwhile.
    fn section<T>(&self, key: &str, work: impl FnOnce(&mut Standings) -> T) -> T {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        deferred::section(|| {
            let mut leases = self.shards[shard]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut leases)
        })
    }
}

/// Lets moka free what is not kept any longer. Whether an entry may be shown is checked on each read.
struct FreeExpired(Clock);

impl FreeExpired {
    fn after(&self, entry: &Entry) -> Option<Duration> {
        // moka's timers follow the machine's clock, which a manual one has nothing to do with.
        let gone = entry.meta().gone().filter(|_| self.0.is_system())?;
        Some(gone.since(self.0.now()))
    }
}

impl Expiry<Arc<str>, Arc<Entry>> for FreeExpired {
    fn expire_after_create(
        &self,
        _key: &Arc<str>,
        entry: &Arc<Entry>,
        _at: Instant,
    ) -> Option<Duration> {
        self.after(entry)
    }

    fn expire_after_update(
        &self,
        _key: &Arc<str>,
        entry: &Arc<Entry>,
        _at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        self.after(entry)
    }
}
