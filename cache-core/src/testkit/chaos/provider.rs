//! The provider that meets chaos on the way to another one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Chaos, Fault, Operation, injected};
use crate::clock::Clock;
use crate::entry::{Entry, EntryId, Payload};
use crate::error::Result;
use crate::log::{Caps, Invalidated, Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::provider::memory::MemoryProvider;
use crate::provider::{
    BoxFuture, Capability, Cursor, Found, Index, Indexes, Invalidation, Lease, Leased, Limits,
    Locks, Member, Members, Page, Peek, Provider, Slot, Usage,
};
use crate::terms::{Ttl, no_indexes};

/// What no JSON text, no MessagePack value and no text in UTF-8 begins with.
const UNREADABLE: u8 = 0xc1;

/// A provider around another, whose calls meet what a [`Chaos`] wants.
///
/// It is never peeked into, so that reads can fail, too. Without chaos it does what the other does.
#[derive(Debug)]
pub struct ChaosProvider {
    inner: Arc<dyn Provider>,
    log: Log,
    chaos: Chaos,
    holds_bytes: bool,
}

impl ChaosProvider {
    /// Around this provider.
    pub fn over(inner: impl Provider) -> (Self, Chaos) {
        let chaos = Chaos::default();
        let provider = Self {
            log: inner.log().clone(),
            inner: Arc::new(inner),
            chaos: chaos.clone(),
            holds_bytes: false,
        };
        (provider, chaos)
    }

    /// Around a memory provider that is given bytes, as one in another process is.
    pub fn remote() -> (Self, Chaos) {
        let (provider, chaos) = Self::over(MemoryProvider::new());
        let holds_bytes = true;
        let provider = Self {
            holds_bytes,
            ..provider
        };
        (provider, chaos)
    }

    /// Like [`remote`](Self::remote), but it has not heard of others' invalidations for too long.
    pub fn out_of_touch() -> (Self, Chaos) {
        let (provider, chaos) = Self::remote();
        let log = Log::remote(Caps::DEFAULT);
        (Self { log, ..provider }, chaos)
    }

    pub(super) fn is_away(&self) -> bool {
        self.chaos.plan().away
    }

    pub(super) fn inner(&self) -> &dyn Provider {
        &*self.inner
    }

    /// `call` must not act before it is polled.
    pub(super) async fn meet<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let drawn = self.chaos.draw(operation);
        if !drawn.delay.is_zero() {
            sleep(drawn.delay).await;
        }
        match &drawn.fault {
            Fault::Error(kind) => return Err(injected(*kind)),
            Fault::Delay(span) => sleep(*span).await,
            Fault::Hold(held) => held.pass().await,
            Fault::None | Fault::Lost(_) | Fault::HoldAnswer(_) => {}
        }
        let answer = call.await;
        match &drawn.fault {
            Fault::Lost(kind) => Err(injected(*kind)),
            Fault::HoldAnswer(held) => {
                held.pass().await;
                answer
            }
            _ => answer,
        }
    }

    /// The entry as the other provider is given it.
    fn given(&self, entry: Arc<Entry>) -> Result<Arc<Entry>> {
        let garbles = self.chaos.plan().garbles();
        let is_counter = matches!(entry.payload(), Payload::Counter(_));
        if is_counter || !(garbles || self.holds_bytes) {
            return Ok(entry);
        }
        let (mut bytes, codec) = entry.payload().to_bytes()?;
        if garbles {
            let rest = bytes.get(1..).unwrap_or_default();
            bytes = [&[UNREADABLE], rest].concat().into();
        }
        let payload = Payload::Bytes { bytes, codec };
        Ok(Arc::new(Entry::new(entry.meta().clone(), payload)))
    }

    fn told(&self, mut invalidation: Invalidation) -> Invalidation {
        if self.chaos.plan().pending {
            invalidation.state = Invalidated::Pending;
        }
        invalidation
    }
}

#[deny(clippy::missing_trait_methods, reason = "none is to bypass chaos")]
impl Provider for ChaosProvider {
    fn name(&self) -> &'static str {
        "chaos"
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn indexes(&self) -> Option<&dyn Indexes> {
        self.inner.indexes().map(|_| self as &dyn Indexes)
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn limits(&self) -> Option<&dyn Limits> {
        self.inner.limits().map(|_| self as _)
    }

    fn locks(&self) -> Option<&dyn Locks> {
        self.inner.locks().map(|_| self as _)
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.meet(Operation::Ping, async move { self.inner.ping().await }))
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.meet(Operation::Sweep, async move { self.inner.sweep().await }))
    }

    fn key_prefix(&self) -> Option<&str> {
        self.inner.key_prefix()
    }

    fn peek(&self, _key: &str) -> Peek {
        Peek::Ask
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.meet(
            Operation::CatchUp,
            async move { self.inner.catch_up().await },
        ))
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        Box::pin(self.meet(Operation::Get, async move { self.inner.get(keys).await }))
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let call = async move { self.inner.lease(key, observed, stamp).await };
        Box::pin(self.meet(Operation::Lease, call))
    }

    fn lease_beside<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let call = async move { self.inner.lease_beside(key, seen, stamp).await };
        Box::pin(self.meet(Operation::Lease, call))
    }

    fn renew_every(&self) -> Option<Duration> {
        self.inner.renew_every()
    }

    fn renew<'a>(&'a self, key: &'a str, lease: Lease) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.meet(Operation::Renew, async move {
            self.inner.renew(key, lease).await
        }))
    }

    fn release(&self, key: &str, lease: Lease) {
        if !self.is_away() {
            self.inner.release(key, lease);
        }
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        let call = async move { self.inner.fill(key, self.given(entry)?, lease).await };
        Box::pin(self.meet(Operation::Fill, call))
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        let call = async move {
            let given = |(key, entry): (&'a str, Arc<Entry>)| Ok((key, self.given(entry)?));
            let entries = entries.into_iter().map(given).collect::<Result<Vec<_>>>()?;
            self.inner.set(entries).await
        };
        Box::pin(self.meet(Operation::Set, call))
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        let call = async move { Ok(self.told(self.inner.invalidate(records).await?)) };
        Box::pin(self.meet(Operation::Invalidate, call))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        let call = async move { self.inner.increment(key, amount, fresh).await };
        Box::pin(self.meet(Operation::Increment, call))
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.meet(Operation::Expire, async move {
            self.inner.expire(key, ttl).await
        }))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        let call = async move {
            let entry = self.given(entry)?;
            self.inner.replace(key, seen, entry, ttl).await
        };
        Box::pin(self.meet(Operation::Replace, call))
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        Box::pin(self.meet(
            Operation::Inspect,
            async move { self.inner.inspect(keys).await },
        ))
    }

    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let call = async move { self.inner.scan(pattern, cursor, count).await };
        Box::pin(self.meet(Operation::Scan, call))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.meet(Operation::Remove, async move {
            self.inner.remove(entries).await
        }))
    }
}

impl Indexes for ChaosProvider {
    fn members<'a>(
        &'a self,
        index: Index<'a>,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Members>> {
        Box::pin(self.meet(Operation::Members, async move {
            let inner = self.inner.indexes().ok_or_else(no_indexes)?;
            inner.members(index, cursor, count).await
        }))
    }

    fn unlink<'a>(&'a self, index: Index<'a>, stale: &'a [Member]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.meet(Operation::Unlink, async move {
            let inner = self.inner.indexes().ok_or_else(no_indexes)?;
            inner.unlink(index, stale).await
        }))
    }
}
