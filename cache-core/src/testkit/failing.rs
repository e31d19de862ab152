//! A provider that can be told to fail, for tests of what happens then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Held;
use crate::clock::Clock;
use crate::entry::{Entry, EntryId, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Caps, Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::provider::memory::MemoryProvider;
use crate::provider::{
    BoxFuture, Capability, Cursor, Found, Invalidation, Lease, Leased, Page, Provider, Slot,
};
use crate::terms::Ttl;

/// A memory provider that behaves like a remote one: it is never peeked into, values reach it as
/// bytes, and while its [`Switch`] is thrown every operation fails as if the connection were lost.
#[derive(Debug)]
pub struct FailingProvider {
    inner: MemoryProvider,
    log: Log,
    switch: Switch,
}

/// Decides whether a [`FailingProvider`] fails.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    failing: Arc<AtomicBool>,
    held: Arc<Mutex<Option<Held>>>,
}

impl Switch {
    /// Lets all operations fail, or succeed again.
    pub fn fail(&self, fail: bool) {
        self.failing.store(fail, Ordering::SeqCst);
    }

    /// Lets the next read stand at a gate when it has read, before it answers.
    pub fn hold_answer(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    fn taken(&self) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    }
}

impl FailingProvider {
    /// A provider that works until its switch is thrown.
    pub fn new() -> (Self, Switch) {
        let inner = MemoryProvider::new();
        let switch = Switch::default();
        let provider = Self {
            log: inner.log().clone(),
            inner,
            switch: switch.clone(),
        };
        (provider, switch)
    }

    /// A provider that answers, but has not heard of others' invalidations for too long.
    pub fn out_of_touch() -> Self {
        Self {
            log: Log::remote(Caps::DEFAULT),
            ..Self::new().0
        }
    }

    fn unless_failing<'a, T: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a MemoryProvider) -> BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        if self.switch.failing.load(Ordering::SeqCst) {
            let error = Error::new(ErrorKind::Connection, "the test has cut the connection");
            return Box::pin(async { Err(error) });
        }
        operation(&self.inner)
    }
}

/// The entry as it would come over a connection.
fn encoded(entry: &Entry) -> Result<Arc<Entry>> {
    let payload = match entry.payload() {
        Payload::Counter(number) => Payload::Counter(*number),
        other => {
            let (bytes, codec) = other.to_bytes()?;
            Payload::Bytes { bytes, codec }
        }
    };
    Ok(Arc::new(Entry::new(entry.meta().clone(), payload)))
}

impl Provider for FailingProvider {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        self.unless_failing(Provider::ping)
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        self.unless_failing(|inner| {
            Box::pin(async {
                let slots = inner.get(keys).await;
                if let Some(held) = self.switch.taken() {
                    held.pass().await;
                }
                slots
            })
        })
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        self.unless_failing(|inner| inner.lease(key, observed, stamp))
    }

    fn release(&self, key: &str, lease: Lease) {
        self.inner.release(key, lease);
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        self.unless_failing(|inner| match encoded(&entry) {
            Ok(entry) => inner.fill(key, entry, lease),
            Err(error) => Box::pin(async { Err(error) }),
        })
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        let encode = |(key, entry): (&'a str, Arc<Entry>)| Ok((key, encoded(&entry)?));
        let entries: Result<Vec<_>> = entries.into_iter().map(encode).collect();
        self.unless_failing(|inner| match entries {
            Ok(entries) => inner.set(entries),
            Err(error) => Box::pin(async { Err(error) }),
        })
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        self.unless_failing(|inner| inner.invalidate(records))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        self.unless_failing(|inner| inner.increment(key, amount, fresh))
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        self.unless_failing(|inner| inner.expire(key, ttl))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        self.unless_failing(|inner| match encoded(&entry) {
            Ok(entry) => inner.replace(key, seen, entry, ttl),
            Err(error) => Box::pin(async { Err(error) }),
        })
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        self.unless_failing(|inner| inner.inspect(keys))
    }

    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        self.unless_failing(|inner| inner.scan(pattern, cursor, count))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        self.unless_failing(|inner| inner.remove(entries))
    }
}
