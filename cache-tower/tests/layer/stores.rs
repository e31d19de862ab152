//! Backends that are slow, that hold bytes, or that are down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::log::{Caps, Log, Record, Stamp};
use cache_core::provider::{
    BoxFuture, Capability, Cursor, Found, Invalidation, Lease, Leased, Page, Provider, Slot,
};
use cache_core::testkit::{Gate, Held};
use cache_core::{
    Cache, Entry, EntryId, Error, ErrorKind, Invalidated, MemoryProvider, Pattern, Payload, Result,
};

/// A cache whose backend cannot be reached.
pub(crate) fn down() -> Cache {
    Cache::builder(Store::over(None)).build().unwrap()
}

/// A cache whose backend holds bytes, as one in another process does.
pub(crate) fn remote() -> Cache {
    let store = Store {
        holds_bytes: true,
        ..Store::memory()
    };
    Cache::builder(store).build().unwrap()
}

/// A cache that stores the results of loads when the gate is open.
pub(crate) fn slow() -> (Gate, Cache) {
    let (gate, held) = Gate::new();
    let store = Store {
        fill: Some(held),
        ..Store::memory()
    };
    // Longer than any test, so that a follower is not sent on its way by the clock.
    let patient = Cache::builder(store).flight_wait(Duration::from_secs(60));
    (gate, patient.build().unwrap())
}

/// A cache whose invalidations of keys and patterns wait for the gate.
pub(crate) fn slow_invalidation() -> (Gate, Cache) {
    let (gate, held) = Gate::new();
    let store = Store {
        invalidate: Some(held),
        ..Store::memory()
    };
    (gate, Cache::builder(store).build().unwrap())
}

/// A cache whose backend is told of invalidations later.
pub(crate) fn away() -> Cache {
    let store = Store {
        is_away: true,
        ..Store::memory()
    };
    Cache::builder(store).build().unwrap()
}

/// A cache whose first entry comes back as bytes that nothing can be read from.
pub(crate) fn damaging() -> Cache {
    let store = Store {
        damages: AtomicBool::new(true),
        ..Store::memory()
    };
    Cache::builder(store).build().unwrap()
}

#[derive(Debug)]
struct Store {
    /// `None` while it is down.
    inner: Option<MemoryProvider>,
    log: Log,
    /// Where `fill` stands until it may go on.
    fill: Option<Held>,
    /// Where `invalidate` stands until it may go on.
    invalidate: Option<Held>,
    holds_bytes: bool,
    is_away: bool,
    /// Whether the next entry is damaged.
    damages: AtomicBool,
}

impl Store {
    fn over(inner: Option<MemoryProvider>) -> Self {
        let log = inner.as_ref().map(|inner| inner.log().clone());
        Self {
            log: log.unwrap_or_else(|| Log::local(Caps::DEFAULT)),
            inner,
            fill: None,
            invalidate: None,
            holds_bytes: false,
            is_away: false,
            damages: AtomicBool::new(false),
        }
    }

    fn memory() -> Self {
        Self::over(Some(MemoryProvider::new()))
    }

    fn up(&self) -> Result<&MemoryProvider> {
        let down = || Error::new(ErrorKind::Connection, "connection refused");
        self.inner.as_ref().ok_or_else(down)
    }

    /// The entry as the backend holds it.
    fn held(&self, entry: Arc<Entry>) -> Result<Arc<Entry>> {
        let damages = self.damages.swap(false, Ordering::SeqCst);
        if !self.holds_bytes && !damages {
            return Ok(entry);
        }
        let (mut bytes, codec) = entry.payload().to_bytes()?;
        if damages {
            bytes = bytes.slice(1..);
        }
        let payload = Payload::Bytes { bytes, codec };
        Ok(Arc::new(Entry::new(entry.meta().clone(), payload)))
    }
}

impl Provider for Store {
    fn name(&self) -> &'static str {
        "test"
    }

    fn capability(&self) -> Capability {
        Capability::LOCAL
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        Box::pin(async { self.up()?.get(keys).await })
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        Box::pin(async move { self.up()?.lease(key, observed, stamp).await })
    }

    fn release(&self, key: &str, lease: Lease) {
        if let Ok(inner) = self.up() {
            inner.release(key, lease);
        }
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if let Some(held) = &self.fill {
                held.pass().await;
            }
            self.up()?.fill(key, self.held(entry)?, lease).await
        })
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.up()?.set(entries).await })
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        Box::pin(async {
            if let Some(held) = &self.invalidate
                && matches!(records[0], Record::Key(_) | Record::Pattern(_))
            {
                held.pass().await;
            }
            let mut invalidation = self.up()?.invalidate(records).await?;
            if self.is_away {
                invalidation.state = Invalidated::Pending;
            }
            Ok(invalidation)
        })
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move { self.up()?.increment(key, amount, fresh).await })
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { self.up()?.expire(key, ttl).await })
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        Box::pin(async { self.up()?.inspect(keys).await })
    }

    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        Box::pin(async move { self.up()?.scan(pattern, cursor, count).await })
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.up()?.remove(entries).await })
    }
}
