//! What is sent to the writer, and what is done on the way there.

use std::sync::Arc;

use tokio::time::timeout;

use super::batch::Batch;
use super::changes::{Encoded, encoded};
use super::error::{Outcome, away, late};
use super::job::{Orphan, Turn, job, unanswered};
use super::leases::Unclaimed;
use super::writer::Message;
use super::{DiskProvider, QUEUE_KIB};
use crate::entry::{Entry, EntryId, Meta};
use crate::error::{ErrorKind, Result};
use crate::log::{Invalidated, Record, Stamp};
use crate::provider::{Invalidation, Lease, Leased, Slot};
use crate::terms::Ttl;

impl DiskProvider {
    /// Has something written: in its turn, within the time that a caller waits for the disk.
    pub(super) async fn write<T, W>(&self, bytes: usize, orphan: Orphan, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Batch<'_>) -> Outcome<T> + Send + 'static,
    {
        self.write_in(Turn::default(), bytes, orphan, work).await
    }

    async fn write_in<T, W>(&self, turn: Turn, bytes: usize, orphan: Orphan, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Batch<'_>) -> Outcome<T> + Send + 'static,
    {
        self.in_time(async {
            let room = u32::try_from(bytes.div_ceil(1_024).clamp(1, QUEUE_KIB));
            let room = Arc::clone(&self.0.room).acquire_many_owned(room.unwrap_or(1));
            let path = || self.0.store.path().display();
            let room = room.await.map_err(|_| away(path()))?;
            let (job, answer) = job(work, orphan, turn, room);
            let sent = self.0.writes.send(Message::Job(job));
            sent.map_err(|_| away(path()))?;
            answer.await.unwrap_or_else(|_| Err(unanswered()))
        })
        .await
    }

    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = timeout(self.0.timeout, work).await;
        answer.unwrap_or_else(|_| Err(late(self.0.store.path().display())))
    }

    /// What could not be written when it was invalidated goes before what counts from now on. (It
    /// goes before whatever is written, in the same transaction; but stamps are sealed with values
    /// before that.)
    pub(super) async fn be_current(&self) -> Result<()> {
        if !self.0.store.log.has_pending() {
            return Ok(());
        }
        self.write(0, Orphan::Dropped, |_| Ok(())).await
    }

    /// The bytes of an entry that counts from now on.
    pub(super) fn encode(&self, key: &str, entry: &Entry) -> Result<Encoded> {
        Ok(Encoded {
            bytes: encoded(key, entry, &self.0.store.packing)?,
            key: key.into(),
        })
    }

    /// The entry as of now. An operation takes effect between its call and its return, and what
    /// waited may have been written since the call, be it by others: then it would be hidden by what
    /// was invalidated before it.
    fn restamped(&self, entry: &Arc<Entry>) -> Arc<Entry> {
        let stamp = self.0.store.log.stamp();
        Arc::new(entry.with_meta(Meta {
            stamp,
            ..entry.meta().clone()
        }))
    }

    pub(super) async fn put(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.be_current().await?;
        let encode = |(key, entry): &(&str, Arc<Entry>)| self.encode(key, &self.restamped(entry));
        let encoded = entries.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let bytes = encoded.iter().map(|entry| entry.bytes.len()).sum();
        let turn = Turn::default();
        let work = move |batch: &mut Batch<'_>| batch.set(&encoded);
        let written = self.write_in(turn.clone(), bytes, Orphan::Dropped, work);
        written.await.inspect_err(|error| {
            if error.kind() == ErrorKind::Timeout && !turn.give_up() {
                self.doubt(entries);
            }
        })
    }

    /// Whether these are stored nobody knows, for the disk hangs in the middle: what may come late is
    /// not shown, and deleted.
    fn doubt(&self, entries: &[(&str, Arc<Entry>)]) {
        let records = entries.iter().map(|(key, _)| Record::Key((*key).into()));
        let records: Vec<_> = records.collect();
        self.0.store.log.pend(&records, self.0.root.as_str());
    }

    pub(super) async fn reserve(
        &self,
        key: &str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> Result<Leased> {
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

    pub(super) async fn void(&self, records: &[Record]) -> Invalidation {
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

    pub(super) async fn count(&self, key: &str, amount: i64, fresh: &Arc<Entry>) -> Result<i64> {
        self.be_current().await?;
        let (key, fresh) = (Box::<str>::from(key), self.restamped(fresh));
        let work = move |batch: &mut Batch<'_>| batch.increment(&key, amount, &fresh);
        self.write(0, Orphan::Dropped, work).await
    }

    pub(super) async fn swap(
        &self,
        key: &str,
        seen: EntryId,
        entry: &Entry,
        ttl: Option<Ttl>,
    ) -> Result<bool> {
        let entry = self.encode(key, entry)?;
        let bytes = entry.bytes.len();
        let work = move |batch: &mut Batch<'_>| batch.replace(&entry, seen, ttl);
        self.write(bytes, Orphan::Dropped, work).await
    }
}
