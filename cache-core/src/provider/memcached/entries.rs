//! Entries on the server: reading them, and their form there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::backplane::Backplane;
use super::error::unusable;
use super::held::Held;
use super::link::Session;
use super::name::name_of;
use super::reply::Reply;
use super::request::Request;
use super::turns::Turns;
use crate::clock::Timestamp;
use crate::codec::{Damaged, Packing};
use crate::entry::{Entry, EntryId, Meta};
use crate::error::Result;
use crate::provider::stored::{self, Form, Header};
use crate::provider::{Found, Lease, Slot};

/// The longest time to live that memcached counts by itself; it takes a larger one for a date.
const LONGEST_SECONDS: u64 = 60 * 60 * 24 * 30;

/// The entries of one deployment.
pub(super) struct Entries {
    pub(super) backplane: Arc<Backplane>,
    pub(super) lease_ttl: Duration,
    pub(super) packing: Packing,
    pub(super) turns: Turns,
    pub(super) held: Held,
}

/// An item as it was read. With its CAS number it can be replaced as long as it is the same.
pub(super) struct Seen {
    pub(super) cas: u64,
    pub(super) bytes: Bytes,
    pub(super) stands: Stands,
}

pub(super) enum Stands {
    Nothing,
    Entry(Arc<Entry>),
    Lease(Lease),
    Damaged,
}

impl Entries {
    pub(super) async fn get(&self, keys: &[&str]) -> Result<Vec<Slot>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.backplane.link.session().await?;
        let held: Vec<_> = keys.iter().map(|key| self.held.of(key)).collect();
        let replies = self.read(&session, keys).await?.into_iter();
        let seen = keys.iter().zip(held).zip(replies);
        seen.map(|((key, held), reply)| {
            let stands = self.seen(key, reply)?.stands;
            self.fence_voided(key, held, &stands);
            Ok(stands.into())
        })
        .collect()
    }

    /// Keeps those who come from now on from a load whose lease has been voided.
    fn fence_voided(&self, key: &str, held: Option<EntryId>, stands: &Stands) {
        let Some(token) = held else {
            return;
        };
        if !stands.is_held_by(token) {
            self.held.forget(key, token);
            self.backplane.log.fence(key);
        }
    }

    /// Reads the items of these keys, and whether the log has moved, in one round trip.
    async fn read(&self, session: &Session, keys: &[&str]) -> Result<Vec<Reply>> {
        let names: Vec<_> = keys.iter().map(|key| name_of(key)).collect();
        let gets: Vec<_> = names.iter().map(|name| Request::get(name)).collect();
        self.backplane.ask(session, &gets).await
    }

    /// What a reply to a read says of a key.
    pub(super) fn seen(&self, key: &str, reply: Reply) -> Result<Seen> {
        let (cas, bytes) = match reply {
            Reply::Found { cas, bytes } => (cas, bytes),
            Reply::Absent => (0, Bytes::new()),
            Reply::Refused(refusal) => return Err(refusal.into()),
            _ => return Err(unusable()),
        };
        let stands = match cas {
            0 => Stands::Nothing,
            _ => self.decode(key, &bytes),
        };
        Ok(Seen { cas, bytes, stands })
    }

    fn decode(&self, key: &str, bytes: &Bytes) -> Stands {
        match stored::decode(key, bytes, &self.packing) {
            Err(Damaged) => Stands::Damaged,
            Ok((header, _)) if header.form == Form::Lease => Stands::Lease(Lease {
                token: header.id,
                stamp: header.stamp,
            }),
            Ok((header, payload)) => Stands::Entry(Arc::new(Entry::new(meta(&header), payload))),
        }
    }

    /// Stores an item; false if something else or nothing stands there by then.
    pub(super) async fn put(&self, session: &Session, put: Request<'_>) -> Result<bool> {
        let answered = session.ask(&[put]).await?.pop();
        is_stored(&answered.ok_or_else(unusable)?)
    }

    pub(super) async fn inspect(&self, keys: &[&str]) -> Result<Vec<Option<Found>>> {
        let session = self.backplane.link.session().await?;
        let replies = self.read(&session, keys).await?.into_iter();
        let found = |(key, reply): (&&str, Reply)| match reply {
            Reply::Found { bytes, .. } => Ok(self.header(key, &bytes).map(|meta| self.found(meta))),
            Reply::Absent => Ok(None),
            Reply::Refused(refusal) => Err(refusal.into()),
            _ => Err(unusable()),
        };
        keys.iter().zip(replies).map(found).collect()
    }

    fn found(&self, meta: Meta) -> Found {
        let ttl = meta.remaining(self.backplane.clock.now());
        Found { meta, ttl }
    }

    /// The terms of the unexpired entry in these bytes; `None` for leases and the unreadable.
    pub(super) fn header(&self, key: &str, bytes: &[u8]) -> Option<Meta> {
        let header = stored::decode_header(key, bytes).ok()?;
        let meta = (header.form != Form::Lease).then(|| meta(&header))?;
        (!meta.is_expired(self.backplane.clock.now())).then_some(meta)
    }

    /// The bytes of an entry, and after how many seconds the server may drop them.
    pub(super) fn encode(&self, key: &str, entry: &Entry) -> Result<(Vec<u8>, u32)> {
        let meta = entry.meta();
        let mut bytes = stored::encode(key, entry, &self.packing)?;
        stored::set_times(&mut bytes, meta.created, meta.expires);
        let now = self.backplane.clock.now();
        let left = meta.gone().map(|gone| gone.since(now));
        Ok((bytes, seconds(left)))
    }
}

impl Stands {
    /// Whether a load that holds this token may store in its place: it is the lease, or the entry
    /// beside which the load runs.
    pub(super) fn is_held_by(&self, token: EntryId) -> bool {
        match self {
            Self::Lease(lease) => lease.token == token,
            Self::Entry(entry) => entry.meta().id == token,
            Self::Nothing | Self::Damaged => false,
        }
    }
}

impl From<Stands> for Slot {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Nothing => Self::Empty,
            Stands::Entry(entry) => Self::Entry(entry),
            Stands::Lease(lease) => Self::Lease(lease.token),
            Stands::Damaged => Self::Damaged,
        }
    }
}

/// Whether an item was stored; false if its condition did not hold.
pub(super) fn is_stored(reply: &Reply) -> Result<bool> {
    match reply {
        Reply::Done { .. } => Ok(true),
        Reply::Changed | Reply::Absent => Ok(false),
        Reply::Refused(refusal) => Err((*refusal).into()),
        Reply::Found { .. } => Err(unusable()),
    }
}

/// The two replies to two commands.
pub(super) fn pair(replies: Vec<Reply>) -> Result<[Reply; 2]> {
    replies.try_into().map_err(|_| unusable())
}

fn meta(header: &Header) -> Meta {
    Meta {
        id: header.id,
        owner: header.owner,
        stamp: header.stamp,
        created: Timestamp::from_millis(header.created_millis),
        expires: header.expires_millis.map(Timestamp::from_millis),
        kept_for: header.kept_for(),
        load_time: header.load_time(),
        tags: Arc::clone(&header.tags),
    }
}

/// A time to live as the server counts it: never less, because the header is what is judged by.
/// 0 is for none, and for what is longer than it counts.
pub(super) fn seconds(left: Option<Duration>) -> u32 {
    let seconds = left.map_or(0, |left| left.as_secs().saturating_add(2));
    match seconds {
        ..=LONGEST_SECONDS => u32::try_from(seconds).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_keeps_an_entry_for_longer_than_it_is_shown() {
        let days = |days: u64| Duration::from_secs(86_400 * days);
        for (left, expected) in [
            (None, 0),
            (Some(Duration::ZERO), 2),
            (Some(Duration::from_millis(1_999)), 3),
            (Some(days(29)), 86_400 * 29 + 2),
            (Some(days(30)), 0),
            (Some(Duration::MAX), 0),
        ] {
            assert_eq!(seconds(left), expected, "{left:?}");
        }
    }
}
