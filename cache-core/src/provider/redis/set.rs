//! Storing entries whatever stands there.

use std::sync::Arc;
use std::time::Instant;

use super::call::Call;
use super::entries::{Entries, ttl_argument};
use super::error::too_late;
use super::indexes::Linking;
use super::link::read;
use super::script::PUT;
use super::untold::Untold;
use crate::entry::{Entry, Meta};
use crate::error::{Error, Result};
use crate::log::{Record, Stamp};
use crate::provider::stored;

impl Entries {
    pub(super) async fn set(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        // Whether the new value stands there, the old one, or none: nobody shall see it, unless
        // this ends well.
        let mut unknown = Untold::of(&self.backplane, records(entries, Record::Key));
        let stored = self.store_for_good(entries).await;
        let is_known = |error: &Error| error.had_no_effect();
        if stored.as_ref().err().is_none_or(is_known) {
            unknown.dismiss();
        }
        stored
    }

    /// Where the log has begun anew meanwhile, what waits since then would delete the entries, or
    /// they are as old as the log that has ended: so it is done once more.
    async fn store_for_good(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        let before = self.backplane.log.stamp().incarnation();
        self.store(entries).await?;
        if self.backplane.log.stamp().incarnation() == before {
            return Ok(());
        }
        self.store(entries).await.map_err(Error::with_some_effect)
    }

    async fn store(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        let delivered = self.backplane.deliver_pending().await;
        delivered.map_err(Error::without_effect)?;
        match self.backplane.links.are_many() || self.packing.seals() {
            true => self.set_apart(entries).await,
            false => self.set_together(entries).await,
        }
    }

    async fn enter(&self, entries: &[(&str, Arc<Entry>)]) -> Result<Option<Instant>> {
        let entered = self.link(entries.iter().map(linking)).await;
        entered.map_err(Error::without_effect)
    }

    /// One script stores the entries and appends the records.
    async fn set_together(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        let mut encoded = Vec::with_capacity(entries.len());
        for (key, entry) in entries {
            let bytes = stored::encode(key, entry, &self.packing);
            let bytes = bytes.map_err(Error::without_effect)?;
            encoded.push((*key, bytes, ttl_argument(entry.meta())));
        }
        let latest = self.enter(entries).await?;
        self.backplane.set(&encoded, latest).await
    }

    /// Where the log is on another server than an entry, and where an entry is sealed together
    /// with its stamp, which the server could not put in: first the entries, as of the head of the
    /// log, then the records. In the other order a node could apply the record, and copy the old
    /// value once more.
    async fn set_apart(&self, entries: &[(&str, Arc<Entry>)]) -> Result<()> {
        let stamp = self.head().await.map_err(Error::without_effect)?;
        let latest = self.enter(entries).await?;
        let put =
            |(key, entry): &(&str, Arc<Entry>)| self.put_call(key, &stamped(entry, stamp), latest);
        let puts = entries.iter().map(put).collect::<Result<_>>();
        let puts = puts.map_err(Error::without_effect)?;
        let stored = self.backplane.links.writes(puts).await?;
        let changes = records(entries, Record::Changed);
        let told = self.backplane.append(Vec::new(), &changes).await;
        told.map_err(Error::with_some_effect)?;
        for stored in stored {
            if !read::<bool>(stored?)? {
                return Err(too_late());
            }
        }
        Ok(())
    }

    /// Where the log stands now. What is stored as of now is not hidden by what another node has
    /// invalidated before.
    pub(super) async fn head(&self) -> Result<Stamp> {
        self.backplane.catch_up().await?;
        // If the log has begun anew: what waits since then would delete what is stored now.
        self.backplane.deliver_pending().await?;
        Ok(self.backplane.log.stamp())
    }

    fn put_call(&self, key: &str, entry: &Entry, latest: Option<Instant>) -> Result<Call> {
        let bytes = stored::encode(key, entry, &self.packing)?;
        let call = PUT.on(&[key]).arg(bytes).arg(ttl_argument(entry.meta()));
        Ok(call.with_deadline_by(latest))
    }
}

fn linking<'a>((key, entry): &'a (&str, Arc<Entry>)) -> Linking<'a> {
    let meta = entry.meta();
    (key, &meta.tags, ttl_argument(meta))
}

/// The entry, with another stamp.
pub(super) fn stamped(entry: &Entry, stamp: Stamp) -> Entry {
    entry.with_meta(Meta {
        stamp,
        ..entry.meta().clone()
    })
}

fn records(entries: &[(&str, Arc<Entry>)], kind: fn(Box<str>) -> Record) -> Vec<Record> {
    entries.iter().map(|(key, _)| kind((*key).into())).collect()
}
