//! Entries in the memory of this process, over moka.
//!
//! moka stores and evicts; it loads nothing, because its own loading calls store what they loaded
//! even if the key was invalidated meanwhile. Writes of one key go through the lock of its lease.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache as Store;

use super::{BoxFuture, Cursor, Found, Lease, Leased, Page, Peek, Provider, Slot};
use crate::clock::Clock;
use crate::deferred;
use crate::entry::{Entry, EntryId, Meta, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Caps, Log, Record, Stamp};
use crate::pattern::Pattern;

const NAME: &str = "memory";
const SHARDS: usize = 64;

/// Keeps entries in the memory of this process: typed values, nothing serialized on a hit.
///
/// Memory is bounded by the weight of keys and values, 256 MiB unless set otherwise. A value's
/// weight is about the length of its JSON form, counted when it is stored. moka's TinyLFU policy
/// chooses what is evicted; a value that is heavier than the bound is not kept at all.
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
    store: Store<Arc<str>, Arc<Entry>>,
    leases: Leases,
    log: Log,
    clock: Clock,
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

    /// Replaces the entry that was seen, or the absence that was seen, unless somebody was faster.
    fn replace(&self, key: &str, seen: Option<&Entry>, entry: Arc<Entry>) -> bool {
        let seen = seen.map(|entry| entry.meta().id);
        let replaced = self.leases.section(key, |leases| {
            if self.store.get(key).map(|entry| entry.meta().id) != seen {
                return false;
            }
            leases.remove(key);
            self.store.insert(key.into(), entry);
            true
        });
        if replaced {
            self.log.append_local(&Record::Changed(key.into()));
        }
        replaced
    }

    /// Removes what stands at `key`, and says whether it could have been shown.
    fn remove_key(&self, key: &str) -> bool {
        let removed = self.leases.section(key, |leases| {
            leases.remove(key);
            self.store.remove(key)
        });
        removed.is_some_and(|entry| self.is_live(key, entry.meta()))
    }

    fn is_live(&self, key: &str, meta: &Meta) -> bool {
        !meta.is_expired(self.clock.now()) && self.log.is_visible(key, meta)
    }

    fn increment_now(&self, key: &str, amount: i64, fresh: &Arc<Entry>) -> Result<i64> {
        loop {
            let seen = self.store.get(key);
            let live = seen
                .as_deref()
                .filter(|entry| self.is_live(key, entry.meta()));
            let (number, next) = match live {
                None => (amount, fresh.with_payload(Payload::Counter(amount))),
                Some(entry) => {
                    let number = entry.payload().as_number()?.checked_add(amount);
                    let number = number.ok_or_else(overflow)?;
                    (number, entry.with_payload(Payload::Counter(number)))
                }
            };
            if self.replace(key, seen.as_deref(), Arc::new(next)) {
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
            let expires = ttl.map(|ttl| self.clock.now().saturating_add(ttl));
            let meta = Meta {
                id: EntryId::random(),
                expires,
                ..seen.meta().clone()
            };
            if self.replace(key, Some(&seen), Arc::new(seen.with_meta(meta))) {
                return true;
            }
        }
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

    fn log(&self) -> &Log {
        &self.log
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn peek(&self, key: &str) -> Peek {
        match self.store.get(key) {
            Some(entry) => Peek::Found(entry),
            None => Peek::Absent,
        }
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        let slot = |key: &&str| match self.store.get(*key) {
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
        let leased = self
            .leases
            .section(key, |leases| match self.store.get(key) {
                Some(entry) if Some(entry.meta().id) != observed => Leased::Found(entry),
                // A lease that stands is replaced, not joined: within one process the flight that
                // took it has been fenced, or it would have been followed.
                _ => {
                    let token = EntryId::random();
                    leases.insert(key.into(), token);
                    Leased::Lease(Lease { token, stamp })
                }
            });
        ready(Ok(leased))
    }

    fn release(&self, key: &str, lease: Lease) {
        self.leases.section(key, |leases| {
            if leases.get(key) == Some(&lease.token) {
                leases.remove(key);
            }
        });
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        let stored = self.leases.section(key, |leases| {
            if leases.get(key) != Some(&lease.token) {
                return false;
            }
            leases.remove(key);
            self.store.insert(key.into(), entry);
            true
        });
        ready(Ok(stored))
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        for (key, entry) in entries {
            self.leases.section(key, |leases| {
                leases.remove(key);
                self.store.insert(key.into(), entry);
            });
            self.log.append_local(&Record::Changed(key.into()));
        }
        ready(Ok(()))
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Vec<bool>>> {
        let mut existed = Vec::new();
        for record in records {
            if let Record::Key(key) = record {
                existed.push(self.remove_key(key));
            }
            self.log.append_local(record);
        }
        ready(Ok(existed))
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
            .iter()
            .filter(|(key, entry)| pattern.matches(key) && !entry.meta().is_expired(now))
            .map(|(key, entry)| ((**key).into(), entry.meta().clone()))
            .collect();
        ready(Ok(Page {
            entries,
            next: None,
        }))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        for (key, id) in entries {
            self.leases.section(key, |_| {
                if self
                    .store
                    .get(&**key)
                    .is_some_and(|entry| entry.meta().id == *id)
                {
                    self.store.invalidate(&**key);
                }
            });
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
            .field("entries", &self.store.entry_count())
            .field("bytes", &self.store.weighted_size())
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// The tokens of the loads that are under way in one shard, by key.
type Tokens = HashMap<Box<str>, EntryId>;

/// The tokens of all loads that are under way. There are as many as loads.
struct Leases {
    shards: Box<[Mutex<Tokens>]>,
    hasher: RandomState,
}

impl Leases {
    fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Runs `work` under the lock of the key's shard; no value is dropped meanwhile.
    fn section<T>(&self, key: &str, work: impl FnOnce(&mut Tokens) -> T) -> T {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        deferred::section(|| {
            let mut leases = self.shards[shard]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut leases)
        })
    }
}

/// Settings of a [`MemoryProvider`].
#[derive(Debug)]
#[must_use]
pub struct MemoryProviderBuilder {
    max_bytes: u64,
    caps: Caps,
    clock: Clock,
}

impl Default for MemoryProviderBuilder {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            caps: Caps::DEFAULT,
            clock: Clock::system(),
        }
    }
}

impl MemoryProviderBuilder {
    /// The bound on the weight of all keys and values, in bytes. Default: 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many barriers the log keeps of each kind. Default: [`Caps::DEFAULT`].
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// The clock that TTLs are measured by. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the provider.
    pub fn build(self) -> MemoryProvider {
        let store = Store::builder()
            .name("cache-core")
            .max_capacity(self.max_bytes)
            .weigher(|key: &Arc<str>, entry: &Arc<Entry>| {
                let key = u32::try_from(key.len()).unwrap_or(u32::MAX);
                key.saturating_add(entry.weight_bytes())
            })
            .expire_after(FreeExpired(self.clock.clone()))
            .build();
        MemoryProvider {
            store,
            leases: Leases::new(),
            log: Log::local(self.caps),
            clock: self.clock,
        }
    }
}

/// Lets moka free what has expired. Whether an entry may be shown is checked on each read.
struct FreeExpired(Clock);

impl FreeExpired {
    fn after(&self, entry: &Entry) -> Option<Duration> {
        // moka's timers follow the machine's clock, which a manual one has nothing to do with.
        self.0
            .is_system()
            .then(|| entry.meta().remaining(self.0.now()))?
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
