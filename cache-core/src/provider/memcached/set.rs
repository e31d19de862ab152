//! Storing entries whatever stands there.

use std::borrow::Cow;
use std::sync::Arc;

use super::backplane::{ATTEMPTS, Backplane};
use super::entries::{Entries, is_stored};
use super::error::contended;
use super::link::Session;
use super::name::name_of;
use super::reply::Reply;
use super::request::{Only, Request};
use crate::entry::{Entry, EntryId, Meta};
use crate::error::{Error, Result};
use crate::log::{Record, Stamp};
use crate::provider::Lease;

/// An entry to be stored at a key.
type Item<'a> = (&'a str, Arc<Entry>);

impl Entries {
    /// In two round trips: a look at what stands there, with a lease where nothing does, so that
    /// each value has something to take the place of; then the values.
    pub(super) async fn set(&self, entries: Vec<Item<'_>>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let session = self.backplane.link.session().await?;
        // Of many at once each would find another's value in the place of what it has seen.
        let _turn = match &entries[..] {
            [(key, _)] => self.turns.of(key, session.until).await,
            _ => None,
        };
        self.backplane.deliver_pending(&session).await?;
        let mut left = entries;
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            let standing = self.occupy(&session, &left).await?;
            left = self.store(&session, left, standing, &mut refusal).await?;
            match refusal {
                Some(error) => return Err(error),
                None if left.is_empty() => return Ok(()),
                None => {}
            }
        }
        Err(contended())
    }

    /// The CAS number of what stands at each key; `None` where it is gone at once.
    async fn occupy(&self, session: &Session, items: &[Item<'_>]) -> Result<Vec<Option<u64>>> {
        let names: Vec<_> = items.iter().map(|(key, _)| name_of(key)).collect();
        let lease = Lease {
            token: EntryId::random(),
            stamp: self.backplane.log.stamp(),
        };
        let leases: Result<Vec<_>> = items
            .iter()
            .map(|(key, _)| self.lease_bytes(key, lease))
            .collect();
        let leases = leases?;
        let look = |(name, lease)| {
            let put = self.lease_put(name, lease, Only::IfAbsent);
            [put, Request::version(name)]
        };
        let pairs = names
            .iter()
            .map(|name| &**name)
            .zip(leases.iter().map(|it| &**it));
        let looks: Vec<_> = pairs.flat_map(look).collect();
        let replies = self.backplane.ask(session, &looks).await?;
        replies.chunks(2).map(standing).collect()
    }

    /// Stores what has something to take the place of, as of the log's head; returns what is left to
    /// be tried again.
    async fn store<'a>(
        &self,
        session: &Session,
        items: Vec<Item<'a>>,
        standing: Vec<Option<u64>>,
        refusal: &mut Option<Error>,
    ) -> Result<Vec<Item<'a>>> {
        let stamp = self.backplane.log.stamp();
        let (mut ready, mut left) = (Vec::with_capacity(items.len()), Vec::new());
        for (item, cas) in items.into_iter().zip(standing) {
            match cas {
                Some(cas) => ready.push(self.ready(item, cas, stamp)?),
                None => left.push(item),
            }
        }
        let doubt = Doubt::about(&self.backplane, &ready);
        let puts: Vec<_> = ready.iter().map(Ready::put).collect();
        let replies = session.ask(&puts).await?;
        doubt.dismiss();
        for (Ready { item, .. }, reply) in ready.into_iter().zip(replies) {
            match is_stored(&reply) {
                Ok(true) => self.backplane.log.fence(item.0),
                Ok(false) => left.push(item),
                Err(error) => *refusal = Some(error),
            }
        }
        Ok(left)
    }

    fn ready<'a>(&self, item: Item<'a>, cas: u64, stamp: Stamp) -> Result<Ready<'a>> {
        let (bytes, seconds) = self.encode(item.0, &stamped(&item.1, stamp))?;
        Ok(Ready {
            name: name_of(item.0),
            item,
            bytes,
            seconds,
            cas,
        })
    }
}

/// An entry in the server's terms, and what it is to take the place of.
struct Ready<'a> {
    item: Item<'a>,
    name: Cow<'a, str>,
    bytes: Vec<u8>,
    seconds: u32,
    cas: u64,
}

impl Ready<'_> {
    fn put(&self) -> Request<'_> {
        Request::Put {
            name: &self.name,
            bytes: &self.bytes,
            only: Only::IfStill(self.cas),
            seconds: self.seconds,
        }
    }
}

/// The entry, with another stamp.
pub(super) fn stamped(entry: &Entry, stamp: Stamp) -> Entry {
    entry.with_meta(Meta {
        stamp,
        ..entry.meta().clone()
    })
}

/// What two replies say: to a lease, and to the question what stands there.
fn standing(replies: &[Reply]) -> Result<Option<u64>> {
    match replies {
        [Reply::Refused(refusal), _] | [_, Reply::Refused(refusal)] => Err((*refusal).into()),
        [_, Reply::Done { cas }] => Ok(Some(*cas)),
        _ => Ok(None),
    }
}

/// Values that are being stored. Dropped before the server has answered, nobody knows whether they
/// are, or will be: their keys are deleted before anything is shown there.
struct Doubt<'b> {
    backplane: &'b Backplane,
    records: Vec<Record>,
}

impl<'b> Doubt<'b> {
    fn about(backplane: &'b Backplane, ready: &[Ready<'_>]) -> Self {
        let records = ready.iter().map(|it| Record::Key(it.item.0.into()));
        Self {
            backplane,
            records: records.collect(),
        }
    }

    fn dismiss(mut self) {
        self.records = Vec::new();
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.records.is_empty() {
            self.backplane.pend(&self.records);
        }
    }
}
