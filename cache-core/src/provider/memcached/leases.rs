//! Leases: what a load leaves at its key, and puts its value in the place of.

use std::sync::Arc;

use super::backplane::{ATTEMPTS, Backplane};
use super::entries::{Entries, Seen, Stands, is_stored, pair, seconds};
use super::error::{contended, unusable};
use super::name::name_of;
use super::reply::Reply;
use super::request::{Only, Request};
use super::unclaimed::Unclaimed;
use crate::entry::{Entry, EntryId};
use crate::error::{Error, Result};
use crate::log::Stamp;
use crate::provider::stored;
use crate::provider::{Lease, Leased};

impl Entries {
    pub(super) async fn lease(
        &self,
        key: &str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> Result<Leased> {
        let token = EntryId::random();
        let lease = Lease { token, stamp };
        let unclaimed = Unclaimed::new(self, key, lease);
        let leased = self.leave_lease(key, observed, lease).await;
        if let Ok(Leased::Lease(lease) | Leased::Standing(lease)) = &leased {
            let forgotten = self.held.note(key, lease.token);
            forgotten
                .iter()
                .for_each(|key| self.backplane.log.fence(key));
        }
        if leased.as_ref().err().is_none_or(Error::had_no_effect) {
            unclaimed.answered();
        }
        leased
    }

    /// The right to store in the place of an entry that is still of use, as long as it stands there:
    /// its id is the token. Nothing is left on the server, so that other processes may load as well;
    /// the first to be done stores.
    pub(super) async fn lease_beside(
        &self,
        key: &str,
        seen: EntryId,
        stamp: Stamp,
    ) -> Result<Leased> {
        let session = self.backplane.link.session().await?;
        let name = name_of(key);
        let read = self
            .backplane
            .ask(&session, &[Request::get(&name)])
            .await?
            .pop();
        match self.seen(key, read.ok_or_else(unusable)?)?.stands {
            Stands::Entry(entry) if entry.meta().id == seen => {
                let forgotten = self.held.note(key, seen);
                forgotten
                    .iter()
                    .for_each(|key| self.backplane.log.fence(key));
                Ok(Leased::Lease(Lease { token: seen, stamp }))
            }
            Stands::Entry(entry) => Ok(Leased::Found(entry)),
            Stands::Lease(_) | Stands::Nothing | Stands::Damaged => {
                self.lease(key, None, stamp).await
            }
        }
    }

    /// Leaves the lease if nothing stands there, and looks at what does, in one round trip.
    async fn leave_lease(
        &self,
        key: &str,
        observed: Option<EntryId>,
        lease: Lease,
    ) -> Result<Leased> {
        let session = self.backplane.link.session().await?;
        let (name, bytes) = (name_of(key), self.lease_bytes(key, lease)?);
        for _ in 0..ATTEMPTS {
            let put = self.lease_put(&name, &bytes, Only::IfAbsent);
            let both = [put, Request::get(&name)];
            let [left, stands] = pair(self.backplane.ask(&session, &both).await?)?;
            if is_stored(&left)? {
                return Ok(Leased::Lease(lease));
            }
            let seen = self.seen(key, stands)?;
            if let Some(leased) = self.keeps(key, observed, lease, &seen.stands) {
                return Ok(leased);
            }
            let put = self.lease_put(&name, &bytes, Only::IfStill(seen.cas));
            if seen.cas > 0 && self.put(&session, put).await? {
                return Ok(Leased::Lease(lease));
            }
        }
        Err(contended())
    }

    /// What the asker is told instead of a lease; `None` if what stands there makes way for it.
    fn keeps(
        &self,
        key: &str,
        observed: Option<EntryId>,
        lease: Lease,
        stands: &Stands,
    ) -> Option<Leased> {
        let log = &self.backplane.log;
        // What was unfit for an asker who had not heard of it may be fit in a newer incarnation.
        let is_current = log.stamp().incarnation() == lease.stamp.incarnation();
        match stands {
            Stands::Entry(entry) if is_current && Some(entry.meta().id) == observed => None,
            Stands::Entry(entry) => Some(Leased::Found(Arc::clone(entry))),
            Stands::Lease(other) if Some(other.token) == observed => None,
            Stands::Lease(other) => log
                .shows(key, &[], other.stamp)
                .then_some(Leased::Standing(*other)),
            Stands::Nothing | Stands::Damaged => None,
        }
    }

    pub(super) fn lease_bytes(&self, key: &str, lease: Lease) -> Result<Vec<u8>> {
        stored::encode_lease(key, lease.token, lease.stamp)
    }

    pub(super) fn lease_put<'a>(&self, name: &'a str, bytes: &'a [u8], only: Only) -> Request<'a> {
        Request::Put {
            name,
            bytes,
            only,
            seconds: seconds(Some(self.lease_ttl)),
        }
    }

    /// What a load runs beside keeps the time that it has.
    pub(super) async fn renew(&self, key: &str, lease: Lease) -> Result<bool> {
        let renew = |seen: &Seen| match &seen.stands {
            Stands::Lease(_) => {
                let seconds = seconds(Some(self.lease_ttl));
                Ok(Some((seen.bytes.to_vec(), seconds)))
            }
            _ => Ok(None),
        };
        self.replace_lease(key, lease, renew).await
    }

    pub(super) async fn fill(&self, key: &str, entry: &Entry, lease: Lease) -> Result<bool> {
        let encode = |_: &Seen| self.encode(key, entry).map(Some);
        let filled = self.replace_lease(key, lease, encode).await;
        self.held.forget(key, lease.token);
        filled
    }

    /// Puts something in the place of a lease, or nothing; false if that does not stand there any more.
    async fn replace_lease(
        &self,
        key: &str,
        lease: Lease,
        next: impl Fn(&Seen) -> Result<Option<(Vec<u8>, u32)>>,
    ) -> Result<bool> {
        let session = self.backplane.link.session().await?;
        let name = name_of(key);
        for _ in 0..ATTEMPTS {
            let read = session.ask(&[Request::get(&name)]).await?.pop();
            let seen = self.seen(key, read.ok_or_else(unusable)?)?;
            if !seen.stands.is_held_by(lease.token) {
                return Ok(false);
            }
            let Some((bytes, seconds)) = next(&seen)? else {
                return Ok(true);
            };
            let put = Request::Put {
                name: &name,
                bytes: &bytes,
                only: Only::IfStill(seen.cas),
                seconds,
            };
            if self.put(&session, put).await? {
                return Ok(true);
            }
        }
        Err(contended())
    }

    /// Frees entries that still are those that were seen.
    pub(super) async fn remove(&self, entries: &[(Box<str>, EntryId)]) -> Result<()> {
        remove(&self.backplane, entries, |_| true).await
    }

    /// Gives a lease back in a task of its own; without a runtime it runs out by itself.
    pub(super) fn release(&self, key: &str, lease: Lease) {
        self.held.forget(key, lease.token);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let backplane = Arc::clone(&self.backplane);
        let lease = [(key.into(), lease.token)];
        runtime.spawn(async move {
            if let Err(error) = remove(&backplane, &lease, stored::is_lease).await {
                tracing::debug!(%error, "a lease was not given back; it runs out by itself");
            }
        });
    }
}

async fn remove(
    backplane: &Backplane,
    entries: &[(Box<str>, EntryId)],
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    let session = backplane.link.session().await?;
    let names: Vec<_> = entries.iter().map(|(key, _)| name_of(key)).collect();
    let gets: Vec<_> = names.iter().map(|name| Request::get(name)).collect();
    let replies = session.ask(&gets).await?;
    let seen = entries.iter().zip(&names).zip(&replies);
    let deletions: Vec<_> = seen
        .filter_map(|(((_, id), name), reply)| still(name, *id, reply, &wanted))
        .collect();
    session.ask(&deletions).await.map(drop)
}

/// Deletes an item if it holds what has this id, as long as it is the same.
fn still<'a>(
    name: &'a str,
    id: EntryId,
    reply: &Reply,
    wanted: impl Fn(&[u8]) -> bool,
) -> Option<Request<'a>> {
    match reply {
        Reply::Found { cas, bytes } if stored::id_in(bytes) == Some(id) && wanted(bytes) => {
            Some(Request::Delete {
                name,
                cas: Some(*cas),
            })
        }
        _ => None,
    }
}
