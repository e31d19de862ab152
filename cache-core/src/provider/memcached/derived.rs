//! Writes that rest on what stands at a key: a look, then a compare-and-set, as often as somebody
//! else is quicker.

use std::time::Duration;

use super::backplane::ATTEMPTS;
use super::entries::{Entries, Seen, Stands, pair};
use super::error::contended;
use super::link::Session;
use super::name::name_of;
use super::reply::Reply;
use super::request::{Only, Request};
use super::set::stamped;
use crate::clock::Timestamp;
use crate::entry::{Entry, EntryId, Meta, Payload, not_a_number, not_yours};
use crate::error::Result;
use crate::provider::Lease;
use crate::provider::memory::overflow;
use crate::terms::Ttl;

/// What becomes of what stands at a key, and what the caller is told then.
enum Change<T> {
    Leave(T),
    Store(Entry, T),
}

impl Entries {
    pub(super) async fn increment(&self, key: &str, amount: i64, fresh: &Entry) -> Result<i64> {
        let add = |standing: Option<&Entry>| match self.visible(key, standing) {
            Some(entry) if entry.meta().owner != fresh.meta().owner => Err(not_yours()),
            None => {
                let fresh = stamped(fresh, self.backplane.log.stamp());
                let counter = fresh.with_payload(Payload::Counter(amount));
                Ok(Change::Store(counter, amount))
            }
            Some(entry) if !self.may_count(entry) => Err(not_a_number()),
            Some(entry) => {
                let sum = entry.payload().as_number()?.checked_add(amount);
                let sum = sum.ok_or_else(overflow)?;
                let counter = entry.with_payload(Payload::Counter(sum));
                Ok(Change::Store(counter, sum))
            }
        };
        self.change(key, add).await
    }

    pub(super) async fn expire(&self, key: &str, ttl: Option<Duration>) -> Result<bool> {
        let move_end = |standing: Option<&Entry>| {
            Ok(match self.visible(key, standing) {
                None => Change::Leave(false),
                Some(entry) => {
                    // A load that runs beside it goes by its id.
                    let next = entry.with_meta(Meta {
                        id: EntryId::random(),
                        expires: self.end_of(ttl),
                        ..entry.meta().clone()
                    });
                    Change::Store(next, true)
                }
            })
        };
        self.change(key, move_end).await
    }

    /// Compare-and-set on the id. Whether the entry may be shown was for the caller to judge: in
    /// its place the new one has its stamp and tags, and is hidden by whatever hides it.
    pub(super) async fn replace(
        &self,
        key: &str,
        seen: EntryId,
        entry: &Entry,
        ttl: Option<Ttl>,
    ) -> Result<bool> {
        let swap = |standing: Option<&Entry>| {
            let Some(old) = standing.filter(|old| old.meta().id == seen) else {
                return Ok(Change::Leave(false));
            };
            let expires = ttl.map_or(old.meta().expires, |ttl| self.end_of(ttl.span()));
            let next = timed(entry, old.meta().created, expires);
            Ok(Change::Store(next, true))
        };
        self.change(key, swap).await
    }

    /// Whether an increment gives nothing away: what was sealed would become a counter, which is not.
    fn may_count(&self, entry: &Entry) -> bool {
        !self.packing.seals() || matches!(entry.payload(), Payload::Counter(_))
    }

    /// The entry, if it may be shown.
    fn visible<'e>(&self, key: &str, entry: Option<&'e Entry>) -> Option<&'e Entry> {
        entry.filter(|entry| self.backplane.log.is_visible(key, entry.meta()))
    }

    fn end_of(&self, ttl: Option<Duration>) -> Option<Timestamp> {
        ttl.map(|ttl| self.backplane.clock.now().saturating_add(ttl))
    }

    /// Stores what `next` makes of the unexpired entry that stands at a key.
    async fn change<T>(
        &self,
        key: &str,
        next: impl Fn(Option<&Entry>) -> Result<Change<T>>,
    ) -> Result<T> {
        let session = self.backplane.link.session().await?;
        let _turn = self.turns.of(key, session.until).await;
        // What was invalidated goes before what rests on it.
        self.backplane.deliver_pending(&session).await?;
        for _ in 0..ATTEMPTS {
            let seen = self.look(&session, key).await?;
            let (entry, told) = match next(self.unexpired(&seen))? {
                Change::Leave(told) => return Ok(told),
                Change::Store(entry, told) => (entry, told),
            };
            let cas = match seen.stands {
                Stands::Nothing => self.reserve(&session, key).await?,
                _ => Some(seen.cas),
            };
            if let Some(cas) = cas
                && self.swap(&session, key, &entry, cas).await?
            {
                return Ok(told);
            }
        }
        Err(contended())
    }

    async fn look(&self, session: &Session, key: &str) -> Result<Seen> {
        let name = name_of(key);
        let mut replies = self.backplane.ask(session, &[Request::get(&name)]).await?;
        self.seen(key, replies.pop().unwrap_or(Reply::Absent))
    }

    fn unexpired<'s>(&self, seen: &'s Seen) -> Option<&'s Entry> {
        match &seen.stands {
            Stands::Entry(entry) if !entry.meta().is_expired(self.backplane.clock.now()) => {
                Some(entry)
            }
            _ => None,
        }
    }

    /// Leaves a lease where nothing stands, for a value to take the place of; `None` if somebody
    /// else was quicker. A value is never stored because nothing stood there: between such a
    /// command's sending and its arrival a whole life of the key could have passed.
    async fn reserve(&self, session: &Session, key: &str) -> Result<Option<u64>> {
        let (token, stamp) = (EntryId::random(), self.backplane.log.stamp());
        let (name, bytes) = (name_of(key), self.lease_bytes(key, Lease { token, stamp })?);
        let put = self.lease_put(&name, &bytes, Only::IfAbsent);
        let [left, _] = pair(session.ask(&[put, Request::version(&name)]).await?)?;
        match left {
            Reply::Done { cas } => Ok(Some(cas)),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Ok(None),
        }
    }

    async fn swap(&self, session: &Session, key: &str, entry: &Entry, cas: u64) -> Result<bool> {
        let (name, (bytes, seconds)) = (name_of(key), self.encode(key, entry)?);
        let put = Request::Put {
            name: &name,
            bytes: &bytes,
            only: Only::IfStill(cas),
            seconds,
        };
        self.put(session, put).await
    }
}

/// The entry with these times.
fn timed(entry: &Entry, created: Timestamp, expires: Option<Timestamp>) -> Entry {
    entry.with_meta(Meta {
        created,
        expires,
        ..entry.meta().clone()
    })
}
