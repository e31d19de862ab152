//! The trait that stores entries.

#[cfg(any(feature = "memcached", feature = "redis"))]
mod breaker;
mod capability;
#[cfg(feature = "disk")]
pub(crate) mod disk;
mod indexes;
mod limits;
mod locks;
#[cfg(feature = "memcached")]
pub(crate) mod memcached;
pub(crate) mod memory;
pub(crate) mod null;
mod observe;
#[cfg(any(feature = "memcached", feature = "redis"))]
mod pause;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "disk", feature = "memcached", feature = "redis"))]
pub(crate) mod stored;
mod usage;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use capability::Capability;
pub use indexes::{Index, Indexes, Member, Members, links};
pub(crate) use limits::limits_of;
pub use limits::{Decision, Limits, RateLimit, WindowKind};
pub use locks::Locks;
pub(crate) use locks::locks_of;
pub use observe::observe;
pub use usage::Usage;

use crate::clock::Clock;
use crate::entry::{Entry, EntryId, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Invalidated, Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::terms::Ttl;

/// A future in a box, as the methods of [`Provider`] return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Stores entries under whole keys and keeps the log that can hide them.
///
/// A provider stores; it decides nothing about freshness. Whether an entry that it returns may
/// be shown is judged by its caller, against [`log`](Self::log) and the clock, with the two
/// exceptions said below. What it must guarantee is atomicity:
///
/// - [`fill`](Self::fill) stores only if the lease that it is given still stands. A `set` or an
///   `invalidate` of the key since the lease was taken voids it, and so does whatever makes the
///   provider forget it, such as a backend that evicts or restarts: a lease that cannot be found
///   does not stand. That is load-linked/store-conditional: it keeps a slow load from bringing back
///   what was invalidated.
/// - [`invalidate`](Self::invalidate) has removed the entry and voided the lease *before* the
///   record takes effect in the log, and the record has taken effect before it returns.
/// - [`increment`](Self::increment) and [`expire`](Self::expire) act on visible, unexpired
///   entries only, so that they bring nothing back.
/// - [`replace`](Self::replace) acts on the entry that its caller has seen, and on no other.
///
/// An entry whose time to live has passed is kept until it is [`gone`](Meta::gone), for readers under a
/// [`Policy`](crate::Policy); all but `peek`, `get` and `lease` take it for absent.
///
/// Dropping a returned future leaves the operation done, not done, or under way; never half done.
pub trait Provider: Debug + Send + Sync + 'static {
    /// The provider's name, for messages and metrics: `"memory"`, `"redis"`.
    fn name(&self) -> &'static str;

    /// What this provider can do.
    fn capability(&self) -> Capability;

    /// The members of indexes, if the provider keeps them: it then declares
    /// [`Capability::indexes`]. Default: none, and nothing can be indexed.
    fn indexes(&self) -> Option<&dyn Indexes> {
        None
    }

    /// This node's view of the log that orders this provider's invalidations.
    fn log(&self) -> &Log;

    /// The clock that entries are dated by on this node.
    fn clock(&self) -> Clock {
        Clock::system()
    }

    /// Asks the backend whether it is there, within a time of its own: this must not hang. Where
    /// there are several servers, all have to answer. Default: [`catch_up`](Self::catch_up).
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        self.catch_up()
    }

    /// What is stored, and what has left by itself, as far as that is known without asking anybody.
    /// Default: nothing is known.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    /// Frees what has expired or is hidden, at once and on this node, and says how many entries that
    /// were. Default: 0; a backend that is shared frees by itself.
    fn sweep(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async { Ok(0) })
    }

    /// The prefix of all keys, where the provider needs to know it; the cache over it uses it too.
    fn key_prefix(&self) -> Option<&str> {
        None
    }

    /// Counting calls against limits; `None`, the default, if this provider cannot. Declared by
    /// [`Capability::limits`].
    fn limits(&self) -> Option<&dyn Limits> {
        None
    }

    /// Locks among all who share the backend; `None`, the default, if this provider has none.
    /// Declared by [`Capability::locks`].
    fn locks(&self) -> Option<&dyn Locks> {
        None
    }

    /// Looks without waiting. Memory always answers here; a remote provider says [`Peek::Ask`].
    fn peek(&self, key: &str) -> Peek {
        let _ = key;
        Peek::Ask
    }

    /// Applies everything that any process had recorded when this was called. Where the log is
    /// this process's own, that is done already.
    fn catch_up(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// What stands at each of `keys`, in their order, in one round trip.
    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>>;

    /// Reserves a key for a load: leaves a lease if nothing stands there, or if what was
    /// `observed` (and judged unfit) still stands there.
    ///
    /// A lease of another load can stand there already, which was not observed. It may be replaced,
    /// so that only the last of the loads can store its result; or be told as
    /// [`Leased::Standing`], and left alone. One whose load began before something that hides this
    /// key since is replaced. Where several processes share the backend, it is told: a caller that
    /// waits for the other's load asks again and again.
    ///
    /// Dropping the future leaves no lease behind, as far as that can be helped.
    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>>;

    /// Like [`lease`](Self::lease), where what was `seen` is still of use: it stays there, and can be
    /// read, until the load's value takes its place or something else happens to the key. What voids a
    /// lease voids this one, and so does a write that rests on the entry.
    ///
    /// By default it is `lease`: where that takes away what was observed, nothing stale is left to be
    /// shown as soon as a load has begun.
    fn lease_beside<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        self.lease(key, Some(seen), stamp)
    }

    /// How often a lease must be renewed while its load runs; `None` if it does not run out.
    fn renew_every(&self) -> Option<Duration> {
        None
    }

    /// Extends a lease; false if it no longer stands.
    fn renew<'a>(&'a self, key: &'a str, lease: Lease) -> BoxFuture<'a, Result<bool>> {
        let _ = (key, lease);
        Box::pin(async { Ok(true) })
    }

    /// Gives a lease back without a value. Must not wait; may be late, or never happen.
    fn release(&self, key: &str, lease: Lease);

    /// Stores what a load returned, if its lease still stands; says whether it did.
    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Stores entries unconditionally, in one round trip, and records the changes.
    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>>;

    /// Makes what the records match go, for every process that shares the backend.
    ///
    /// A provider that cannot reach its backend keeps the records, lets them hold on this node,
    /// and says [`Invalidated::Pending`].
    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>>;

    /// Adds `amount` to the counter at `key`, or creates one with the terms of `fresh` and the
    /// value `amount`. Terms of an existing counter are kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`], also for a visible entry that has
    /// another owner than `fresh`, and [`ErrorKind::Overflow`] leave
    /// the value alone.
    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>>;

    /// Gives the entry at `key` a new time to live from now on, `None` for no limit; false if
    /// there is no such entry.
    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>>;

    /// Puts `entry` in the place of the one with the id `seen`, and records the change; false, and
    /// nothing done, if something else or nothing stands there by then. That is compare-and-set.
    ///
    /// `entry` has an id of its own, and otherwise the terms of the one that was seen: with the
    /// stamp that one had it stays hidden if that was. `ttl` is a new time to live, from now on;
    /// `None` keeps what is left of the old one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] by default.
    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        let _ = (key, seen, entry, ttl);
        let message = "this provider cannot compare and set, so values cannot be updated in place";
        Box::pin(async move { Err(Error::new(ErrorKind::Unsupported, message)) })
    }

    /// The terms of the unexpired entries at `keys`, without their values: `None` for absent
    /// ones, leases, and damaged ones.
    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>>;

    /// About `count` of the entries whose keys match, from `cursor` on; a first call passes
    /// [`Cursor::START`]. As with Redis's SCAN, an entry that is there throughout is returned at
    /// least once.
    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>>;

    /// Frees entries, each only if it is still the one that was seen.
    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>>;
}

/// What [`Provider::peek`] answers.
#[derive(Clone, Debug)]
pub enum Peek {
    /// This stands there.
    Found(Arc<Entry>),
    /// Nothing stands there.
    Absent,
    /// Only [`Provider::get`] can tell.
    Ask,
}

/// What [`Provider::invalidate`] answers.
#[derive(Clone, Debug)]
pub struct Invalidation {
    /// For each [`Record::Key`], in order: whether a visible, unexpired entry stood there. Empty
    /// if that is not known.
    pub existed: Vec<bool>,
    /// How far the records have come.
    pub state: Invalidated,
}

/// What stands at a key.
#[derive(Clone, Debug)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// An entry.
    Entry(Arc<Entry>),
    /// Somebody's load is under way.
    Lease(EntryId),
    /// Something that cannot be read: damaged, of an unknown version, or not ours.
    Damaged,
}

/// The right to store the result of one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What stands at the key until the value does.
    pub token: EntryId,
    /// Up to where the log had been applied when the load began.
    pub stamp: Stamp,
}

/// What [`Provider::lease`] answers.
#[derive(Clone, Debug)]
pub enum Leased {
    /// The load may go on, and store its result with this.
    Lease(Lease),
    /// An entry stands there that was not the observed one.
    Found(Arc<Entry>),
    /// Another load's lease stands there. Whoever loads as well can store his value under its
    /// token, if he is done first.
    Standing(Lease),
}

/// An entry without its value, as [`Provider::inspect`] returns it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its terms.
    pub meta: Meta,
    /// The time to live that is left; `None` for no limit.
    pub ttl: Option<Duration>,
}

/// Where a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

impl Cursor {
    /// The beginning.
    pub const START: Self = Self(0);
}

/// One step of a scan.
#[derive(Clone, Debug)]
pub struct Page {
    /// Keys and terms of unexpired entries, unjudged by the log.
    pub entries: Vec<(Box<str>, Meta)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}
