//! The operations of the provider: which of them look, and which are written.

use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::job::Orphan;
use super::{DiskProvider, NAME};
use crate::clock::Clock;
use crate::entry::{Entry, EntryId};
use crate::error::Result;
use crate::log::{Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::provider::{
    BoxFuture, Capability, Cursor, Found, Invalidation, Lease, Leased, Page, Provider, Slot,
    observe,
};
use crate::terms::Ttl;

impl Provider for DiskProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability {
            persistent: true,
            ..Capability::LOCAL
        }
    }

    fn log(&self) -> &Log {
        &self.0.store.log
    }

    fn clock(&self) -> Clock {
        self.0.store.clock.clone()
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        during("ping", None, self.in_time(self.0.reads.check()))
    }

    fn key_prefix(&self) -> Option<&str> {
        Some(&self.0.key_prefix)
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        during(
            "get",
            keys.first().copied(),
            self.in_time(self.0.reads.slots(keys)),
        )
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        during("lease", Some(key), self.reserve(key, observed, stamp))
    }

    fn release(&self, key: &str, lease: Lease) {
        self.0.store.leases.end(key, lease.token);
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        during("fill", Some(key), async move {
            let entry = self.encode(key, &entry)?;
            let bytes = entry.bytes.len();
            let work = move |batch: &mut Batch<'_>| batch.fill(&entry, lease);
            self.write(bytes, Orphan::Done, work).await
        })
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        let key = entries.first().map(|(key, _)| *key);
        during("set", key, async move { self.put(&entries).await })
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        let key = records.iter().find_map(Record::key);
        during(
            "invalidate",
            key,
            async move { Ok(self.void(records).await) },
        )
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        during("increment", Some(key), async move {
            self.count(key, amount, &fresh).await
        })
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        during("expire", Some(key), async move {
            let key = Box::<str>::from(key);
            let work = move |batch: &mut Batch<'_>| batch.expire(&key, ttl);
            self.write(0, Orphan::Dropped, work).await
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        during("replace", Some(key), async move {
            self.swap(key, seen, &entry, ttl).await
        })
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        during(
            "inspect",
            keys.first().copied(),
            self.in_time(self.0.reads.found(keys)),
        )
    }

    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let page = self.0.reads.page(pattern, cursor, count);
        during("scan", None, self.in_time(page))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        let entries = entries.to_vec();
        let work = move |batch: &mut Batch<'_>| batch.remove(&entries);
        during("remove", None, self.write(0, Orphan::Done, work))
    }
}

fn during<'a, T: Send + 'a>(
    operation: &'static str,
    key: Option<&str>,
    work: impl Future<Output = Result<T>> + Send + 'a,
) -> BoxFuture<'a, Result<T>> {
    observe::call(NAME, operation, key, work)
}
