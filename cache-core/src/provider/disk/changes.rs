//! What each operation does to the entries, inside a transaction that it shares with others. It
//! is refused before it has changed anything, or done.

use std::sync::Arc;
use std::time::Duration;

use super::batch::Batch;
use super::error::Outcome;
use crate::clock::Timestamp;
use crate::codec::Packing;
use crate::entry::{Entry, EntryId, Payload, not_a_number, not_yours};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Record;
use crate::provider::{Lease, stored};
use crate::terms::Ttl;

/// An entry as it is stored, and where.
pub(super) struct Encoded {
    pub(super) key: Box<str>,
    pub(super) bytes: Vec<u8>,
}

impl Batch<'_> {
    pub(super) fn set(&mut self, entries: &[Encoded]) -> Outcome<()> {
        for Encoded { key, bytes } in entries {
            self.put(key, bytes)?;
            self.changed(key)?;
        }
        Ok(())
    }

    /// Stores what a load brought, if its lease still stands. If that is lost with the power, the
    /// value is computed once more: nobody waits for the disk.
    pub(super) fn fill(&mut self, entry: &Encoded, lease: Lease) -> Outcome<bool> {
        if !self.store.leases.end(&entry.key, lease.token) {
            return Ok(false);
        }
        self.put(&entry.key, &entry.bytes)?;
        Ok(true)
    }

    /// For each single key, whether there was something that could be shown.
    pub(super) fn invalidate(&mut self, records: &[Record]) -> Outcome<Vec<bool>> {
        let mut existed = Vec::new();
        for record in records {
            if let Record::Key(key) = record {
                existed.push(self.live(key)?.is_some());
                self.take(key)?;
                self.store.leases.void(key);
            }
            self.record(record.clone())?;
        }
        Ok(existed)
    }

    pub(super) fn increment(&mut self, key: &str, amount: i64, fresh: &Arc<Entry>) -> Outcome<i64> {
        let packing = &self.store.packing;
        let live = self.live(key)?;
        let Some((row, _)) = live else {
            let entry = fresh.with_payload(Payload::Counter(amount));
            let bytes = encoded(key, &entry, packing)?;
            self.put(key, &bytes)?;
            self.changed(key)?;
            return Ok(amount);
        };
        let entry = row.entry(key, packing).ok_or_else(unreadable)?;
        if entry.meta().owner != fresh.meta().owner {
            return Err(not_yours().into());
        }
        // A counter is not sealed; what was meant to be, stays so.
        if packing.seals() && !matches!(entry.payload(), Payload::Counter(_)) {
            return Err(not_a_number().into());
        }
        let number = entry.payload().as_number()?.checked_add(amount);
        let number = number.ok_or_else(overflow)?;
        let entry = entry.with_payload(Payload::Counter(number));
        let bytes = encoded(key, &entry, packing)?;
        self.amend(key, row.place, &bytes)?;
        self.changed(key)?;
        Ok(number)
    }

    /// The id stays, as it is sealed with the value; only the times change.
    pub(super) fn expire(&mut self, key: &str, ttl: Option<Duration>) -> Outcome<bool> {
        let Some((row, meta)) = self.live(key)? else {
            return Ok(false);
        };
        let mut bytes = row.bytes().map_or_else(Vec::new, |bytes| bytes.to_vec());
        stored::set_times(&mut bytes, meta.created, self.end_of(ttl));
        self.amend(key, row.place, &bytes)?;
        self.changed(key)?;
        Ok(true)
    }

    /// Compare-and-set on the id. Whether the entry may be shown was for the caller to judge.
    pub(super) fn replace(
        &mut self,
        entry: &Encoded,
        seen: EntryId,
        ttl: Option<Ttl>,
    ) -> Outcome<bool> {
        let key = &*entry.key;
        let Some(row) = self.standing(key)? else {
            return Ok(false);
        };
        let now = self.store.clock.now();
        let meta = row.meta(key);
        let Some(meta) = meta.filter(|meta| meta.id == seen && !meta.is_expired(now)) else {
            return Ok(false);
        };
        let expires = match ttl {
            Some(ttl) => self.end_of(ttl.span()),
            None => meta.expires,
        };
        let mut bytes = entry.bytes.clone();
        stored::set_times(&mut bytes, meta.created, expires);
        self.amend(key, row.place, &bytes)?;
        self.changed(key)?;
        Ok(true)
    }

    /// Frees entries that are still the ones that were seen.
    pub(super) fn remove(&mut self, entries: &[(Box<str>, EntryId)]) -> Outcome<()> {
        for (key, id) in entries {
            let meta = self.standing(key)?.and_then(|row| row.meta(key));
            if meta.is_some_and(|meta| meta.id == *id) {
                self.take(key)?;
            }
        }
        Ok(())
    }

    fn changed(&mut self, key: &str) -> Outcome<()> {
        self.store.leases.void(key);
        self.record(Record::Changed(key.into()))
    }

    fn end_of(&self, ttl: Option<Duration>) -> Option<Timestamp> {
        ttl.map(|ttl| self.store.clock.now().saturating_add(ttl))
    }
}

fn unreadable() -> Error {
    let message = "the stored value cannot be read, and was left alone";
    Error::new(ErrorKind::WrongType, message)
}

fn overflow() -> Error {
    let message = "the counter would leave the range of i64, and was left alone";
    Error::new(ErrorKind::Overflow, message)
}

/// The bytes of an entry, with the times of this node.
pub(super) fn encoded(key: &str, entry: &Entry, packing: &Packing) -> Result<Vec<u8>> {
    let mut bytes = stored::encode(key, entry, packing)?;
    stored::set_times(&mut bytes, entry.meta().created, entry.meta().expires);
    Ok(bytes)
}
