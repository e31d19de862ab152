//! The provider's operations: what is sent to the writer, and what is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::batch::Batch;
use super::changes::{Encoded, encoded};
use super::error::{Outcome, away, late};
use super::job::{Orphan, job, unanswered};
use super::leases::Unclaimed;
use super::writer::Message;
use super::{DiskProvider, NAME, QUEUE_KIB};
use crate::clock::Clock;
use crate::entry::{Entry, EntryId, Meta};
use crate::error::Result;
use crate::log::{Invalidated, Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::provider::{
    BoxFuture, Capability, Cursor, Found, Invalidation, Lease, Leased, Page, Provider, Slot,
    observe,
};
use crate::terms::Ttl;

impl DiskProvider {
    /// Has something written: in its turn, within the time that a caller waits for the disk.
    async fn write<T, W>(&self, bytes: usize, orphan: Orphan, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Batch<'_>) -> Outcome<T> + Send + 'static,
    {
        self.in_time(async {
            let room = u32::try_from(bytes.div_ceil(1_024).clamp(1, QUEUE_KIB));
            let room = Arc::clone(&self.0.room).acquire_many_owned(room.unwrap_or(1));
            let path = || self.0.store.path().display();
            let room = room.await.map_err(|_| away(path()))?;
            let (job, answer) = job(work, orphan, room);
            let sent = self.0.writes.send(Message::Job(job));
            sent.map_err(|_| away(path()))?;
            answer.await.unwrap_or_else(|_| Err(unanswered()))
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = timeout(self.0.timeout, work).await;
        answer.unwrap_or_else(|_| Err(late(self.0.store.path().display())))
    }

    /// What could not be written when it was invalidated goes before what counts from now on: true
    /// if there was any. (It goes before whatever is written, in the same transaction; but stamps
    /// are sealed with values before that.)
    async fn be_current(&self) -> Result<bool> {
        if !self.0.store.log.has_pending() {
            return Ok(false);
        }
        self.write(0, Orphan::Dropped, |_| Ok(())).await?;
        Ok(true)
    }

    /// The bytes of an entry that counts from now on.
    fn encode(&self, key: &str, entry: &Entry) -> Result<Encoded> {
        Ok(Encoded {
            bytes: encoded(key, entry, &self.0.store.packing)?,
            key: key.into(),
        })
    }

    /// The entry as of now, if its stamp is older than what has just been written.
    fn restamped(&self, entry: &Arc<Entry>, is_old: bool) -> Arc<Entry> {
        if !is_old {
            return Arc::clone(entry);
        }
        let stamp = self.0.store.log.stamp();
        Arc::new(entry.with_meta(Meta {
            stamp,
            ..entry.meta().clone()
        }))
    }

    async fn put(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let is_old = self.be_current().await?;
        let encode =
            |(key, entry): &(&str, Arc<Entry>)| self.encode(key, &self.restamped(entry, is_old));
        let encoded = entries.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let bytes = encoded.iter().map(|entry| entry.bytes.len()).sum();
        self.write(bytes, Orphan::Dropped, move |batch| batch.set(&encoded))
            .await
    }

    async fn reserve(&self, key: &str, observed: Option<EntryId>, stamp: Stamp) -> Result<Leased> {
        // Left before the look: a write that the look does not see yet ends it when it is done.
        let lease = Unclaimed::leave(&self.0.store.leases, key);
        let slots = self.in_time(self.0.reads.slots(&[key])).await?;
        match slots.into_iter().next() {
            Some(Slot::Entry(entry)) if Some(entry.meta().id) != observed => {
                Ok(Leased::Found(entry))
            }
            _ => {
                let token = lease.claim().unwrap_or_else(EntryId::random);
                Ok(Leased::Lease(Lease { token, stamp }))
            }
        }
    }

    async fn void(&self, records: &[Record]) -> Invalidation {
        let sent = records.to_vec();
        let bytes = sent.iter().map(|record| record.argument().len()).sum();
        // One that was given up waits in the log from then on. Done twice, it could be done after
        // something newer has been stored.
        let written = self
            .write(bytes, Orphan::Dropped, move |batch| batch.invalidate(&sent))
            .await;
        match written {
            Ok(existed) => Invalidation {
                existed,
                state: Invalidated::Applied,
            },
            Err(error) => {
                tracing::debug!(%error, "an invalidation holds, and waits for the disk");
                self.0.store.log.pend(records, self.0.root.as_str());
                Invalidation {
                    existed: Vec::new(),
                    state: Invalidated::Pending,
                }
            }
        }
    }

    async fn count(&self, key: &str, amount: i64, fresh: &Arc<Entry>) -> Result<i64> {
        let is_old = self.be_current().await?;
        let (key, fresh) = (Box::<str>::from(key), self.restamped(fresh, is_old));
        let work = move |batch: &mut Batch<'_>| batch.increment(&key, amount, &fresh);
        self.write(0, Orphan::Dropped, work).await
    }

    async fn swap(
        &self,
        key: &str,
        seen: EntryId,
        entry: &Entry,
        ttl: Option<Ttl>,
    ) -> Result<bool> {
        let entry = self.encode(key, entry)?;
        let work = move |batch: &mut Batch<'_>| batch.replace(&entry, seen, ttl);
        self.write(0, Orphan::Dropped, work).await
    }
}

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
