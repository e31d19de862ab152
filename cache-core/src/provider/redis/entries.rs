//! Entries on the server: reading them, reserving keys, storing what loads return.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::backplane::Backplane;
use super::call::Call;
use super::error::unusable;
use super::link::read;
use super::reads::Reads;
use super::script::{FILL, LEASE, REMOVE, RENEW, TAKE};
use super::unclaimed::Unclaimed;
use crate::codec::{Damaged, Packing};
use crate::entry::{Entry, EntryId, Meta, Payload};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Invalidated, Record, Stamp, Undo};
use crate::provider::stored::{self, Form, Header};
use crate::provider::{Invalidation, Lease, Leased, Slot};

/// How often an operation is sent again because somebody else was quicker.
pub(super) const ATTEMPTS: usize = 32;
/// Longer spans are stored as this one, some 139 years: what scripts compute stays exact.
const LONGEST_TTL_MILLIS: u64 = 1 << 42;

/// What a caller has seen at a key that he wants to load.
#[derive(Clone, Copy)]
pub(super) struct Observed {
    id: Option<EntryId>,
    /// Whether it is still of use until the load's value takes its place.
    stays: bool,
}

impl Observed {
    /// It makes way for the lease.
    pub(super) fn in_the_way(id: Option<EntryId>) -> Self {
        Self { id, stays: false }
    }

    pub(super) fn of_use(id: EntryId) -> Self {
        Self {
            id: Some(id),
            stays: true,
        }
    }
}

/// The entries of one deployment.
pub(super) struct Entries {
    pub(super) backplane: Arc<Backplane>,
    /// What reads of single keys go through; without it each is a command of its own.
    pub(super) reads: Option<Reads>,
    pub(super) lease_ttl: Duration,
    pub(super) packing: Packing,
}

impl Entries {
    pub(super) async fn get(&self, keys: &[&str]) -> Result<Vec<Slot>> {
        match (keys, &self.reads) {
            ([], _) => Ok(Vec::new()),
            ([key], Some(reads)) => Ok(vec![self.slot(key, reads.read(key).await?)]),
            // Boxed for the sake of the others, whose future is not to be as large.
            _ => Box::pin(self.get_many(keys)).await,
        }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Slot>> {
        let values = self.values(keys).await?;
        if values.len() != keys.len() {
            return Err(unusable());
        }
        let slots = keys.iter().zip(values);
        Ok(slots.map(|(key, value)| self.slot(key, value)).collect())
    }

    async fn values(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        let links = &self.backplane.links;
        if !links.are_many() {
            return links.call(Call::command("MGET").arg(keys)).await;
        }
        // Not GET: like MGET of many, this passes over what is no string.
        let gets = keys.iter().map(|key| Call::on("MGET", key)).collect();
        let values = links.calls(gets).await?.into_iter();
        values
            .map(|value| read::<(_,)>(value?))
            .map(|value| Ok(value?.0))
            .collect()
    }

    pub(super) async fn lease(
        &self,
        key: &str,
        observed: Observed,
        stamp: Stamp,
    ) -> Result<Leased> {
        let token = EntryId::random();
        let lease = Lease { token, stamp };
        let unclaimed = Unclaimed::new(self, key, lease);
        let leased = self.leave_lease(key, observed, lease).await;
        let is_known = |error: &Error| error.had_no_effect();
        if leased.as_ref().err().is_none_or(is_known) {
            unclaimed.answered();
        }
        leased
    }

    async fn leave_lease(&self, key: &str, mut observed: Observed, lease: Lease) -> Result<Leased> {
        let bytes = stored::encode_lease(key, lease.token, lease.stamp)?;
        let mut is_sure = false;
        for _ in 0..ATTEMPTS {
            let call = self.lease_call(key, &bytes, observed, is_sure);
            let (what, value): (String, Option<Vec<u8>>) = self.backplane.links.call(call).await?;
            let value = Bytes::from(value.unwrap_or_default());
            let stands = match what.as_str() {
                "leased" => return Ok(Leased::Lease(lease)),
                "standing" => standing(key, &value),
                "behind" => {
                    is_sure = true;
                    self.judged_anew(key, &value, lease).await?
                }
                _ => self.found_entry(key, &value),
            };
            match stands {
                Some(leased) => return Ok(leased),
                // It looks like ours and cannot be read: it makes way for the lease.
                None => observed = Observed::in_the_way(stored::id_in(&value)),
            }
        }
        Err(contended())
    }

    fn lease_call(&self, key: &str, bytes: &[u8], observed: Observed, sure: bool) -> Call {
        LEASE
            .on(&[key])
            .arg(bytes)
            .arg(millis(self.lease_ttl))
            .arg(id_argument(observed.id))
            .arg(self.backplane.log.visible_from(key).sequence())
            .arg(u8::from(sure))
            .arg(u8::from(observed.stays))
    }

    /// What stands at a key, if there is a newer incarnation than the one that a lease is of.
    async fn judged_anew(&self, key: &str, value: &Bytes, lease: Lease) -> Result<Option<Leased>> {
        self.backplane.catch_up().await?;
        if self.backplane.log.stamp().incarnation() == lease.stamp.incarnation() {
            return Ok(None);
        }
        let found = self.found_entry(key, value);
        Ok(found.or_else(|| standing(key, value)))
    }

    fn found_entry(&self, key: &str, value: &Bytes) -> Option<Leased> {
        match self.decode(key, value) {
            Slot::Entry(entry) => Some(Leased::Found(entry)),
            _ => None,
        }
    }

    pub(super) async fn renew(&self, key: &str, lease: Lease) -> Result<bool> {
        let call = RENEW
            .on(&[key])
            .arg(id_argument(Some(lease.token)))
            .arg(millis(self.lease_ttl));
        self.backplane.links.call(call).await
    }

    /// Gives a lease back in a task of its own; without a runtime it runs out by itself.
    pub(super) fn release(&self, key: &str, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let links = self.backplane.links.clone();
        let call = remove_call(key, lease.token);
        runtime.spawn(async move {
            let removed: Result<bool> = links.call(call).await;
            if let Err(error) = removed {
                tracing::debug!(%error, "a lease was not given back; it runs out by itself");
            }
        });
    }

    pub(super) async fn fill(&self, key: &str, entry: &Entry, lease: Lease) -> Result<bool> {
        let ttl = ttl_argument(entry.meta());
        let latest = self.link([(key, &*entry.meta().tags, ttl)]).await?;
        let call = FILL
            .on(&[key])
            .arg(stored::encode(key, entry, &self.packing)?)
            .arg(ttl)
            .arg(id_argument(Some(lease.token)))
            .with_deadline_by(latest);
        self.backplane.links.call(call).await
    }

    /// Hides what the records match: on the server, or, if it does not answer, here until it does.
    pub(super) async fn invalidate(&self, records: &[Record]) -> Result<Invalidation> {
        match self.invalidate_there(records).await {
            Ok(existed) => Ok(Invalidation {
                existed,
                state: Invalidated::Applied,
            }),
            Err(error) => {
                // Also what is refused for good now, such as by an ACL, holds here and is tried on.
                self.backplane.pend(records);
                if !error.is_retryable() {
                    return Err(error);
                }
                Ok(Invalidation {
                    existed: Vec::new(),
                    state: Invalidated::Pending,
                })
            }
        }
    }

    /// Deletes at the keys first, then appends: in the other order a reader that has applied the
    /// record could still find the entry, and take it for new.
    async fn invalidate_there(&self, records: &[Record]) -> Result<Vec<bool>> {
        let log = &self.backplane.log;
        let keys: Vec<_> = records.iter().filter_map(Record::key).collect();
        keys.iter().for_each(|key| log.fence(key));
        let undo = log.undo_all(records);
        let takes = keys.iter().map(|key| TAKE.on(&[key])).collect();
        let taken = self.backplane.append(takes, records).await?;
        let taken: Vec<Option<Vec<u8>>> = taken
            .into_iter()
            .map(|taken| taken.and_then(read))
            .collect::<Result<_>>()?;
        let judge = |(key, header): (&&str, Option<Vec<u8>>)| self.stood(key, header, &undo);
        Ok(keys.iter().zip(taken).map(judge).collect())
    }

    pub(super) async fn remove(&self, entries: &[(Box<str>, EntryId)]) -> Result<()> {
        self.free(entries).await.map(drop)
    }

    /// Like [`remove`](Self::remove): how many of them were still there.
    pub(super) async fn free(&self, entries: &[(Box<str>, EntryId)]) -> Result<u64> {
        let removals = entries.iter().map(|(key, id)| remove_call(key, *id));
        let mut freed = 0;
        for removed in self.backplane.links.calls(removals.collect()).await? {
            freed += read::<u64>(removed?)?;
        }
        Ok(freed)
    }

    /// Whether a header is that of an entry that was visible before the records of `undo`.
    fn stood(&self, key: &str, header: Option<Vec<u8>>, undo: &Undo) -> bool {
        let now = self.backplane.clock.now();
        header
            .and_then(|bytes| self.header(key, &bytes))
            .filter(|meta| !meta.is_expired(now))
            .is_some_and(|meta| self.backplane.log.was_visible(key, &meta, undo))
    }

    /// The terms of the entry that begins with these bytes; `None` for leases and the unreadable.
    pub(super) fn header(&self, key: &str, bytes: &[u8]) -> Option<Meta> {
        let header = stored::decode_header(key, bytes).ok()?;
        (header.form != Form::Lease).then(|| self.meta(key, &header))
    }

    fn slot(&self, key: &str, value: Option<Vec<u8>>) -> Slot {
        match value {
            None => Slot::Empty,
            Some(value) => self.decode(key, &Bytes::from(value)),
        }
    }

    fn decode(&self, key: &str, bytes: &Bytes) -> Slot {
        match stored::decode(key, bytes, &self.packing) {
            Err(Damaged) => Slot::Damaged,
            Ok((header, _)) if header.form == Form::Lease => Slot::Lease(header.id),
            Ok((header, payload)) => Slot::Entry(self.entry(key, &header, payload)),
        }
    }

    fn entry(&self, key: &str, header: &Header, payload: Payload) -> Arc<Entry> {
        Arc::new(Entry::new(self.meta(key, header), payload))
    }

    fn meta(&self, key: &str, header: &Header) -> Meta {
        let local = self.backplane.links.time(key).local();
        Meta {
            id: header.id,
            owner: header.owner,
            stamp: header.stamp,
            created: local(header.created_millis),
            expires: header.expires_millis.map(local),
            kept_for: header.kept_for(),
            load_time: header.load_time(),
            tags: Arc::clone(&header.tags),
        }
    }
}

/// What stands there is another load's lease, or an entry beside which it runs: that is older than the
/// load, and so the load is worth no less.
fn standing(key: &str, header: &[u8]) -> Option<Leased> {
    let header = stored::decode_header(key, header).ok()?;
    Some(Leased::Standing(Lease {
        token: header.refresh.unwrap_or(header.id),
        stamp: header.stamp,
    }))
}

fn remove_call(key: &str, id: EntryId) -> Call {
    REMOVE.on(&[key]).arg(id_argument(Some(id)))
}

/// An id as scripts compare it; nothing for none.
pub(super) fn id_argument(id: Option<EntryId>) -> Vec<u8> {
    id.map_or_else(Vec::new, |id| id.as_u64().to_be_bytes().to_vec())
}

/// The time to live that an entry was given, in milliseconds; 0 for no limit.
pub(super) fn ttl_argument(meta: &Meta) -> u64 {
    meta.expires
        .map_or(0, |expires| millis(expires.since(meta.created)))
}

/// A time to live as Redis takes it: not zero, and not beyond what scripts compute exactly.
pub(super) fn millis(span: Duration) -> u64 {
    let millis = u64::try_from(span.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    millis.clamp(1, LONGEST_TTL_MILLIS)
}

/// Others kept changing the key.
pub(super) fn contended() -> Error {
    Error::new(
        ErrorKind::Unready,
        "others changed the key each time before this operation got through",
    )
}
