//! Entries in the memory of this process, over moka.

mod builder;
mod departures;
mod expiring;
mod indexes;
mod limits;
mod locks;
mod members;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::MemoryProviderBuilder;
use limits::Counts;
use locks::Held;
pub(crate) use store::Store;

use super::{
    BoxFuture, Capability, Cursor, Found, Indexes, Invalidation, Lease, Leased, Limits, Locks,
    Page, Peek, Provider, Slot, Usage,
};
use crate::clock::{Clock, Timestamp};
use crate::entry::{Entry, EntryId, Meta, Payload, not_yours};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Invalidated, Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::terms::Ttl;

const NAME: &str = "memory";

/// Keeps entries in the memory of this process: typed values, nothing serialized on a hit.
///
/// Memory is bounded by the weight of keys and values, 256 MiB unless set otherwise. A value's
/// weight is its size and that of the texts, sequences and maps in it, as serde shows them, counted
/// when it is stored; of a [`Local`](crate::Local) it is the size of its type, or what it
/// [says](crate::Local::weighing). Each value that an entry is
/// [indexed](crate::EntryOptions::index) by weighs some 250 bytes more. moka's TinyLFU policy
/// chooses what is evicted, a little after a write; a value that is heavier than the bound is not
/// kept at all.
///
/// Besides, calls are counted at up to about 131,072 keys at a time, for rate limits, and as many
/// locks can be held; what would need more is an error of kind [`Unready`](ErrorKind::Unready). Both
/// go with their time.
///
/// All operations on one key are atomic, and no future of this provider ever waits.
///
/// ```
/// use cache_core::{Cache, MemoryProvider};
///
/// # async fn example() -> Result<(), cache_core::Error> {
/// let provider = MemoryProvider::builder().max_bytes(64 << 20).build();
/// let cache = Cache::builder(provider).build()?;
/// cache.set("greeting", "hello").await?;
/// assert_eq!(cache.get::<String>("greeting").await?.as_deref(), Some("hello"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
pub struct MemoryProvider {
    store: Store,
    log: Log,
    clock: Clock,
    counts: Counts,
    held: Held,
}

impl MemoryProvider {
    /// A provider with the defaults.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a provider.
    pub fn builder() -> MemoryProviderBuilder {
        MemoryProviderBuilder::default()
    }

    /// Replaces what was seen, and records that.
    fn replace_now(&self, key: &str, seen: Option<EntryId>, entry: Arc<Entry>) -> bool {
        let tags = Arc::clone(&entry.meta().tags);
        let replaced = self.store.replace(key, seen, entry);
        self.tidy(&tags);
        if replaced {
            self.log.append_local(&Record::Changed(key.into()));
        }
        replaced
    }

    /// Removes what stands at `key`, and says whether it could have been shown.
    fn remove_key(&self, key: &str) -> bool {
        let taken = self.store.take(key);
        taken.is_some_and(|entry| self.is_live(key, entry.meta()))
    }

    fn is_live(&self, key: &str, meta: &Meta) -> bool {
        !meta.is_expired(self.clock.now()) && self.log.is_visible(key, meta)
    }

    /// Whether somebody may be shown it, be it stale.
    fn is_of_use(&self, key: &str, meta: &Meta) -> bool {
        !meta.is_gone(self.clock.now()) && self.log.is_visible(key, meta)
    }

    fn increment_now(&self, key: &str, amount: i64, fresh: &Arc<Entry>) -> Result<i64> {
        loop {
            let seen = self.store.get(key);
            let live = seen
                .as_deref()
                .filter(|entry| self.is_live(key, entry.meta()));
            let (number, next) = match live {
                Some(entry) if entry.meta().owner != fresh.meta().owner => return Err(not_yours()),
                None => (amount, fresh.with_payload(Payload::Counter(amount))),
                Some(entry) => {
                    let number = entry.payload().as_number()?.checked_add(amount);
                    let number = number.ok_or_else(overflow)?;
                    (number, entry.with_payload(Payload::Counter(number)))
                }
            };
            let seen = seen.map(|entry| entry.meta().id);
            if self.replace_now(key, seen, Arc::new(next)) {
                return Ok(number);
            }
        }
    }

    fn expire_now(&self, key: &str, ttl: Option<Duration>) -> bool {
        loop {
            let Some(seen) = self.store.get(key) else {
                return false;
            };
            if !self.is_live(key, seen.meta()) {
                return false;
            }
            let meta = Meta {
                id: EntryId::random(),
                expires: self.end_of(ttl),
                ..seen.meta().clone()
            };
            let entry = Arc::new(seen.with_meta(meta));
            if self.replace_now(key, Some(seen.meta().id), entry) {
                return true;
            }
        }
    }

    fn end_of(&self, ttl: Option<Duration>) -> Option<Timestamp> {
        ttl.map(|ttl| self.clock.now().saturating_add(ttl))
    }

    fn found(&self, key: &str) -> Option<Found> {
        let now = self.clock.now();
        let entry = self.store.get(key)?;
        let meta = entry.meta();
        (!meta.is_expired(now)).then(|| Found {
            meta: meta.clone(),
            ttl: meta.remaining(now),
        })
    }
}

pub(crate) fn overflow() -> Error {
    let message = "the counter would leave the range of i64, and was left alone";
    Error::new(ErrorKind::Overflow, message)
}

impl Provider for MemoryProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability {
            limits: true,
            locks: true,
            indexes: true,
            ..Capability::LOCAL
        }
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }

    fn indexes(&self) -> Option<&dyn Indexes> {
        Some(self)
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64>> {
        let doomed = |key: &str, meta: &Meta| !self.is_of_use(key, meta);
        Box::pin(async move { Ok(self.store.sweep(doomed).await) })
    }

    fn peek(&self, key: &str) -> Peek {
        match self.store.get(key) {
            Some(entry) => Peek::Found(entry),
            None => Peek::Absent,
        }
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        let slot = |key: &&str| match self.store.get(key) {
            Some(entry) => Slot::Entry(entry),
            None => Slot::Empty,
        };
        ready(Ok(keys.iter().map(slot).collect()))
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let leased = match self.store.lease(key, observed) {
            Ok(token) => Leased::Lease(Lease { token, stamp }),
            Err(entry) => Leased::Found(entry),
        };
        ready(Ok(leased))
    }

    fn release(&self, key: &str, lease: Lease) {
        self.store.release(key, lease.token);
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        let tags = Arc::clone(&entry.meta().tags);
        let filled = self.store.fill(key, entry, lease.token);
        self.tidy(&tags);
        ready(Ok(filled))
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        for (key, entry) in entries {
            let tags = Arc::clone(&entry.meta().tags);
            self.store.put(key, entry);
            self.tidy(&tags);
            self.log.append_local(&Record::Changed(key.into()));
        }
        ready(Ok(()))
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        let mut existed = Vec::new();
        for record in records {
            if let Record::Key(key) = record {
                existed.push(self.remove_key(key));
            }
            self.log.append_local(record);
        }
        ready(Ok(Invalidation {
            existed,
            state: Invalidated::Applied,
        }))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        let result = self.increment_now(key, amount, &fresh);
        ready(result.map_err(|error| error.during("increment", NAME)))
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(self.expire_now(key, ttl)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        mut entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        let stands = self.store.get(key);
        if stands.is_none_or(|entry| entry.meta().is_expired(self.clock.now())) {
            return ready(Ok(false));
        }
        if let Some(ttl) = ttl {
            let expires = self.end_of(ttl.span());
            entry = Arc::new(entry.with_meta(Meta {
                expires,
                ..entry.meta().clone()
            }));
        }
        ready(Ok(self.replace_now(key, Some(seen), entry)))
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        ready(Ok(keys.iter().map(|key| self.found(key)).collect()))
    }

    /// Answers everything in one page: the keys are in memory already.
    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let now = self.clock.now();
        let entries = self
            .store
            .list(|key, _| pattern.matches(key))
            .iter()
            .filter(|(_, entry)| !entry.meta().is_expired(now))
            .map(|(key, entry)| ((***key).into(), entry.meta().clone()))
            .collect();
        ready(Ok(Page {
            entries,
            next: None,
        }))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        for (key, id) in entries {
            self.store.take_if(key, *id);
        }
        ready(Ok(()))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Default for MemoryProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProvider")
            .field("rate_limits", &self.counts.len())
            .field("locks", &self.held.len())
            .field("usage", &self.usage())
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
