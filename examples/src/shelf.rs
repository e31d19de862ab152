//! A provider of one's own: what `cache_core::Provider` asks for, and nothing besides.
//!
//! It keeps entries in an ordered map. Take it as a start for a store that the toolkit does not
//! have: each method says what it must guarantee, and `tests/own_provider.rs` proves it by the
//! toolkit's own suites.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::log::{Caps, Log, Record, Stamp};
use cache_core::provider::{
    BoxFuture, Cursor, Found, Invalidation, Lease, Leased, Page, Peek, Slot,
};
use cache_core::{
    Capability, Clock, Entry, EntryId, Error, ErrorKind, Invalidated, Meta, Pattern, Payload,
    Provider, Result, Ttl,
};

const NAME: &str = "shelf";

/// Keeps entries in an ordered map, at most so many. When it is full, what stands first goes: a
/// better choice would be to look at what is used.
#[derive(Debug)]
pub struct ShelfProvider {
    shelf: Mutex<Shelf>,
    max_entries: usize,
    log: Log,
    clock: Clock,
}

/// What is behind the lock. Values are moved out of it before they are dropped: their `drop` is
/// somebody else's code.
#[derive(Debug, Default)]
struct Shelf {
    entries: BTreeMap<Box<str>, Arc<Entry>>,
    /// The loads that are under way. A write at the key ends their right to store.
    leases: HashMap<Box<str>, EntryId>,
}

impl Shelf {
    fn id_at(&self, key: &str) -> Option<EntryId> {
        self.entries.get(key).map(|entry| entry.meta().id)
    }
}

impl ShelfProvider {
    /// An empty shelf.
    pub fn new(max_entries: usize) -> Self {
        Self::with_clock(max_entries, Clock::system())
    }

    /// An empty shelf whose entries expire by this clock, such as a test's.
    pub fn with_clock(max_entries: usize, clock: Clock) -> Self {
        Self {
            shelf: Mutex::default(),
            max_entries,
            log: Log::local(Caps::DEFAULT),
            clock,
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, key: &str) -> Option<Arc<Entry>> {
        self.shelf().entries.get(key).cloned()
    }

    /// What stands at `key`, if it may be shown: not expired, and not hidden by a record.
    fn live(&self, key: &str) -> Option<Arc<Entry>> {
        self.entry(key)
            .filter(|entry| self.is_live(key, entry.meta()))
    }

    fn is_live(&self, key: &str, meta: &Meta) -> bool {
        !meta.is_expired(self.clock.now()) && self.log.is_visible(key, meta)
    }

    /// Stores the entry if `may` says so under the lock, and ends the lease at the key.
    fn store(&self, key: &str, entry: Arc<Entry>, may: impl FnOnce(&Shelf) -> bool) -> bool {
        let mut shelf = self.shelf();
        if !may(&shelf) {
            return false;
        }
        shelf.leases.remove(key);
        let replaced = shelf.entries.insert(key.into(), entry);
        // The first by key, which can be the new one itself.
        let evicted = (shelf.entries.len() > self.max_entries).then(|| shelf.entries.pop_first());
        drop(shelf);
        drop((replaced, evicted));
        true
    }

    /// Puts another entry in the place of the one that was seen, or of nothing, and records that.
    fn exchange(&self, key: &str, seen: Option<EntryId>, entry: Arc<Entry>) -> bool {
        let stored = self.store(key, entry, |shelf| shelf.id_at(key) == seen);
        if stored {
            self.log.append_local(&Record::Changed(key.into()));
        }
        stored
    }

    /// Takes away what stands at `key`, and the right of a load to store there.
    fn take(&self, key: &str) -> Option<Arc<Entry>> {
        let mut shelf = self.shelf();
        shelf.leases.remove(key);
        shelf.entries.remove(key)
    }

    fn add(&self, key: &str, amount: i64, fresh: &Entry) -> Result<i64> {
        loop {
            let seen = self.entry(key);
            let live = seen
                .as_deref()
                .filter(|entry| self.is_live(key, entry.meta()));
            let (sum, next) = match live {
                None => (amount, fresh.with_payload(Payload::Counter(amount))),
                Some(entry) if entry.meta().owner != fresh.meta().owner => {
                    let message = "another function's value stands there";
                    return Err(Error::new(ErrorKind::WrongType, message));
                }
                Some(entry) => {
                    let sum = entry.payload().as_number()?.checked_add(amount);
                    let sum = sum.ok_or_else(|| Error::new(ErrorKind::Overflow, "too large"))?;
                    (sum, entry.with_payload(Payload::Counter(sum)))
                }
            };
            // Nothing is computed under the lock: if somebody was faster, once more.
            if self.exchange(key, seen.map(|entry| entry.meta().id), Arc::new(next)) {
                return Ok(sum);
            }
        }
    }

    fn give_time(&self, key: &str, ttl: Option<Duration>) -> bool {
        while let Some(seen) = self.live(key) {
            let meta = Meta {
                id: EntryId::random(),
                expires: self.end_of(ttl),
                ..seen.meta().clone()
            };
            let entry = Arc::new(seen.with_meta(meta));
            if self.exchange(key, Some(seen.meta().id), entry) {
                return true;
            }
        }
        false
    }

    fn end_of(&self, ttl: Option<Duration>) -> Option<cache_core::Timestamp> {
        ttl.map(|ttl| self.clock.now().saturating_add(ttl))
    }

    fn unexpired(&self, pattern: &Pattern) -> Vec<(Box<str>, Meta)> {
        let now = self.clock.now();
        let shelf = self.shelf();
        let matching = shelf.entries.iter().filter(|(key, entry)| {
            let is_expired = entry.meta().is_expired(now);
            !is_expired && pattern.matches(key)
        });
        matching
            .map(|(key, entry)| (key.clone(), entry.meta().clone()))
            .collect()
    }
}

impl Provider for ShelfProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability::LOCAL
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn peek(&self, key: &str) -> Peek {
        self.entry(key).map_or(Peek::Absent, Peek::Found)
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        let slot = |key: &&str| self.entry(key).map_or(Slot::Empty, Slot::Entry);
        done(keys.iter().map(slot).collect())
    }

    /// A lease of another load in this process is replaced: that load was fenced.
    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let mut shelf = self.shelf();
        let leased = match shelf.entries.get(key) {
            Some(entry) if Some(entry.meta().id) != observed => Leased::Found(Arc::clone(entry)),
            _ => {
                let token = EntryId::random();
                shelf.leases.insert(key.into(), token);
                Leased::Lease(Lease { token, stamp })
            }
        };
        done(leased)
    }

    fn release(&self, key: &str, lease: Lease) {
        let mut shelf = self.shelf();
        if shelf.leases.get(key) == Some(&lease.token) {
            shelf.leases.remove(key);
        }
    }

    /// Only under the lease that the load was given, so that nothing comes back that went meanwhile.
    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        let holds = |shelf: &Shelf| shelf.leases.get(key) == Some(&lease.token);
        done(self.store(key, entry, holds))
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        for (key, entry) in entries {
            self.store(key, entry, |_| true);
            self.log.append_local(&Record::Changed(key.into()));
        }
        done(())
    }

    /// First the entry goes, then the record takes effect, then this returns.
    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        let mut existed = Vec::new();
        for record in records {
            if let Record::Key(key) = record {
                let taken = self.take(key);
                existed.push(taken.is_some_and(|entry| self.is_live(key, entry.meta())));
            }
            self.log.append_local(record);
        }
        done(Invalidation {
            existed,
            state: Invalidated::Applied,
        })
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        let sum = self.add(key, amount, &fresh);
        Box::pin(async { sum.map_err(|error| error.during("increment", NAME)) })
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        done(self.give_time(key, ttl))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        mut entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        if let Some(ttl) = ttl {
            let span = match ttl {
                Ttl::After(span) => Some(span),
                Ttl::Never => None,
            };
            entry = Arc::new(entry.with_meta(Meta {
                expires: self.end_of(span),
                ..entry.meta().clone()
            }));
        }
        // What has expired, though it is kept to be shown stale, is absent.
        let is_there = self.live(key).is_some_and(|it| it.meta().id == seen);
        done(is_there && self.exchange(key, Some(seen), entry))
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        let now = self.clock.now();
        let found = |key: &&str| {
            let entry = self.entry(key)?;
            let meta = entry.meta().clone();
            let ttl = meta.remaining(now);
            (!meta.is_expired(now)).then_some(Found { meta, ttl })
        };
        done(keys.iter().map(found).collect())
    }

    /// All in one page: it is in memory already.
    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        done(Page {
            entries: self.unexpired(pattern),
            next: None,
        })
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        for (key, seen) in entries {
            let mut shelf = self.shelf();
            let is_the_one = shelf.id_at(key) == Some(*seen);
            let removed = is_the_one.then(|| shelf.entries.remove(key));
            drop(shelf);
            drop(removed);
        }
        done(())
    }
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(Ok(value)))
}
