//! Entries on a Redis server.
//!
//! Rules and traps of the protocol, in the order of the files: `backplane.rs` keeps the log,
//! `entries.rs`, `set.rs` and `derived.rs` the entries, `reads.rs` what single reads share,
//! `limits.rs` and `locks.rs` what is no entry, `scripts/` what runs on the server, `server_time.rs` its clock, `links.rs`, `link.rs` and
//! `entries.rs`, `set.rs` and `derived.rs` the entries, `indexes.rs` where they are found, `reads.rs` what single reads share,
//! `scripts/` what runs on the server, `server_time.rs` its clock, `links.rs`, `link.rs` and
//! `primary.rs` the connections to it, `cluster/` those to many, `server.rs` what has to be true
//! of them. `provider/stored.rs` has the bytes.

mod address;
mod backplane;
mod builder;
#[cfg_attr(
    not(feature = "redis-cluster"),
    allow(dead_code, reason = "one server has all keys")
)]
mod call;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod derived;
mod echo;
mod entries;
mod error;
mod indexes;
mod keys;
mod limits;
mod link;
#[cfg_attr(
    not(feature = "redis-cluster"),
    allow(
        unused_variables,
        irrefutable_let_patterns,
        reason = "one server has all keys"
    )
)]
mod links;
mod listing;
mod locks;
mod on_failover;
mod primary;
mod reads;
mod reply;
mod resync;
mod script;
mod sentinels;
mod server;
mod server_time;
mod set;
mod sweep;
mod tail;
mod tasks;
mod tidy;
#[cfg(feature = "tls")]
mod tls;
mod unclaimed;
mod untold;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use builder::RedisProviderBuilder;
use entries::{Entries, Observed};
pub use on_failover::OnFailover;
use tasks::Tasks;

use super::{
    BoxFuture, Capability, Cursor, Found, Indexes, Invalidation, Lease, Leased, Limits, Locks,
    Page, Provider, Slot, observe,
};
use crate::clock::Clock;
use crate::entry::{Entry, EntryId};
use crate::error::Result;
use crate::log::{Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::terms::Ttl;

const NAME: &str = "redis";

/// Keeps entries on a Redis server, version 7.0 or later, which any number of processes share: one
/// that stands alone, the primary that [sentinels](RedisProviderBuilder::sentinels) name, or, with
/// the feature `redis-cluster`, all that are
/// [nodes of a cluster](RedisProviderBuilder::cluster_nodes).
///
/// # What holds
///
/// What one process invalidates is hidden from all others: within milliseconds while they are
/// connected, and after [`touch_bound`](RedisProviderBuilder::touch_bound) at the latest, because
/// a process that hears nothing from the server stops giving answers on what it knows. A load
/// that began before its key, tag, pattern or namespace was invalidated never becomes visible.
///
/// On one server every read and write is one round trip, but for what rests on what stands there:
/// the first `increment` at a key, `update` (a read, then a compare-and-set), `expire`, a lease that others contend for, and
/// what is [indexed](crate::EntryOptions::index), whose keys are entered in the indexes first. Reads of single
/// keys that come at one moment share a command. A `set` of many entries is one atomic script. An
/// `invalidate` deletes at its keys and then appends its records; dropped or timed out halfway it
/// may have done the first part only, and promises nothing. On a cluster, keys are read and written
/// node by node.
///
/// A `set` that was dropped halfway, or whose outcome nobody was told, hides its keys until the
/// server has been told so. One that is an error of kind [`Timeout`](crate::ErrorKind::Timeout) is
/// not carried out any more; one that was dropped may be, up to the
/// [`command_timeout`](RedisProviderBuilder::command_timeout). Times to live run on the server's
/// clock.
///
/// When the server restarts, loses the log's keys, or a replica takes its place, everything that
/// was stored before counts as hidden: more is computed, never less hidden. Where that is too much
/// to compute at one moment, [`OnFailover::Reappend`] keeps it, for the promises that it names.
///
/// # Where it is weaker
///
/// | situation | what holds |
/// |---|---|
/// | the server restarts, or a replica takes its place | all of the above, once a process has learned of it, at the latest when the touch bound is over; what a `set` stored is hidden, even if it was acknowledged |
/// | an old primary goes on answering when another has its place | what it acknowledged in that while counts nowhere until the process that was told so hears of the new primary, within the touch bound; that process then records it again. It is lost if that process ends before |
/// | the same, with [`OnFailover::Reappend`] | what a process knows to be invalidated stays hidden there at all times, and everywhere once that process has been in contact, within the touch bound; what is lost if every process that had heard of it has ended: an invalidation, so that what it hid is shown again, and a `set`, so that an older value is back. After a restart from an old snapshot with no process left, that is all since the snapshot |
/// | an old primary is cut off, and processes with it | they go on with it as long as more than half of the sentinels tell them to: for the touch bound, and the seconds that sentinels take to tell each other. Where the server's `min-replicas-to-write` is 1 or more: for `min-replicas-max-lag` and the touch bound. With neither, for as long as it is cut off |
/// | a node of a cluster is lost, and its replica has missed what it did last | a `set` may be gone, or back to a value that was not invalidated. What was deleted there stays hidden, and is deleted again on the replica, as long as the log remembers it: for the last 65,536 invalidated keys |
/// | a node of a cluster is away when a key of its is invalidated, and the process that did it ends before the node is back | what stands there stays hidden as long as the log remembers the key, as above; each process that starts deletes it again |
/// | a node of a cluster is cut off, and processes with it | they read and write there until it stops by itself, after `cluster-node-timeout`; what others invalidate is hidden from them all the same |
/// | slots of a cluster move | a scan can miss keys that move meanwhile, and so can the counts of `delete_by_pattern`; what it hides is hidden. Where the log's slot moves, everything that was stored counts as hidden, as after a restart |
/// | clocks of a cluster's nodes differ | times to live are off by as much, after a failover or a move |
/// | a machine was suspended | it may show what it knew for the touch bound after it wakes |
/// | [`Pending`](crate::Invalidated::Pending) | others serve the old value until the server is told; lost with the process |
/// | the server comes back empty, evicts, or is replaced by one that had not heard of everything | a [lock](crate::LockGuard) can be held twice, which its fencing number tells, and up to a rate limit more is allowed |
/// | somebody else writes to the server | can roll entries back or erase them, and plant values; with [encryption](RedisProviderBuilder::encryption) no values but counters |
///
/// What is invalidated by tag, pattern or namespace is hidden at once and freed later, by a
/// [sweep](RedisProviderBuilder::sweep) or by its time to live.
///
/// # Indexes
///
/// Each value of an [index](crate::EntryOptions::index) is one sorted set, at the key
/// `{prefix}#index:{namespace}:{hash}`, with about twice the length of an entry's key and 150 bytes for
/// each entry. It lives as long as the last of them. What is not there any more is taken out by
/// whoever reads there, by those who store under the same value when its time to live is over, and by
/// the sweep. An entry that is there is found, but for these cases; it is found again once it is
/// stored anew or given another time to live:
///
/// | situation | what is not found |
/// |---|---|
/// | an eviction policy has evicted the sorted set | the entries that were indexed by the value. The policies `volatile-…` spare indexes that have an entry without a time to live |
/// | a replica takes over that has missed what was done last, or a server starts from an older snapshot, and entries outlive that: with [`OnFailover::Reappend`], or where it is a node of a cluster | what was stored last; what was gone, and is back |
/// | the clock of a cluster's node is set forward, or an index comes by failover or move to one whose clock is ahead | entries with a time to live, for as much of it; what was being stored at that moment |
/// | versions of this library with another form of stored entries share a server | what the older one cannot read, where it has come across the key |
///
/// The server's user needs the right to run scripts, streams, sorted sets and `INFO`. An eviction policy may be
/// set; what it evicts is computed again. If it evicts the log's own keys, everything is, so a policy
/// that spares keys without a time to live (`volatile-…`), or takes the least recently used, is
/// better than `allkeys-random`. Locks and the counts of rate limits have a time to live; where they matter,
/// `noeviction` is the policy.
///
/// ```no_run
/// # async fn example() -> cache_core::Result<()> {
/// use cache_core::RedisProvider;
///
/// let provider = RedisProvider::builder("redis://127.0.0.1:6379")
///     .key_prefix("shop")
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct RedisProvider {
    entries: Entries,
    key_prefix: Box<str>,
    address: Box<str>,
    freed: Arc<AtomicU64>,
    _tasks: Tasks,
}

impl RedisProvider {
    /// A provider for the server at `url`.
    ///
    /// | URL | what it reaches |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/database]` | a server by TCP; port 6379 and database 0 by default |
    /// | `rediss://…` | the same by TLS, with the feature `tls`; certificates are always verified. Uses the process's default `CryptoProvider` of rustls, which becomes ring's if there is none |
    /// | `unix:///path/of/the/socket[?db=…&user=…&pass=…]` | a server on this machine |
    ///
    /// `?protocol=resp3` has RESP3 spoken; the default is RESP2. What is special in a URL is
    /// percent-encoded in user names and passwords. Anything else behind a `?` or `#` is an error.
    pub fn builder(url: impl Into<String>) -> RedisProviderBuilder {
        RedisProviderBuilder::new(url.into())
    }

    /// How many hidden entries the sweeps of this process have freed so far.
    pub fn swept(&self) -> u64 {
        self.freed.load(Ordering::Relaxed)
    }
}

impl Provider for RedisProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability {
            limits: true,
            locks: true,
            indexes: true,
            shared: true,
            persistent: true,
            ..Capability::LOCAL
        }
    }

    fn limits(&self) -> Option<&dyn Limits> {
        Some(self)
    }

    fn locks(&self) -> Option<&dyn Locks> {
        Some(self)
    }

    fn indexes(&self) -> Option<&dyn Indexes> {
        Some(self)
    }

    fn log(&self) -> &Log {
        &self.entries.backplane.log
    }

    fn clock(&self) -> Clock {
        self.entries.backplane.clock.clone()
    }

    fn key_prefix(&self) -> Option<&str> {
        Some(&self.key_prefix)
    }

    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        during("ping", None, self.entries.backplane.probe.ping())
    }

    fn catch_up(&self) -> BoxFuture<'_, Result<()>> {
        during("catch up", None, self.entries.backplane.catch_up())
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        during("get", keys.first().copied(), self.entries.get(keys))
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let observed = Observed::in_the_way(observed);
        during("lease", Some(key), self.entries.lease(key, observed, stamp))
    }

    fn lease_beside<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let seen = Observed::of_use(seen);
        during("lease", Some(key), self.entries.lease(key, seen, stamp))
    }

    fn renew_every(&self) -> Option<Duration> {
        Some(self.entries.lease_ttl / 3)
    }

    fn renew<'a>(&'a self, key: &'a str, lease: Lease) -> BoxFuture<'a, Result<bool>> {
        during("renew", Some(key), self.entries.renew(key, lease))
    }

    fn release(&self, key: &str, lease: Lease) {
        self.entries.release(key, lease);
    }

    fn fill<'a>(
        &'a self,
        key: &'a str,
        entry: Arc<Entry>,
        lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        during("fill", Some(key), async move {
            self.entries.fill(key, &entry, lease).await
        })
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        let key = entries.first().map(|(key, _)| *key);
        during("set", key, async move { self.entries.set(&entries).await })
    }

    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        let key = records.iter().find_map(Record::key);
        during("invalidate", key, self.entries.invalidate(records))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        amount: i64,
        fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        during("increment", Some(key), async move {
            self.entries.increment(key, amount, &fresh).await
        })
    }

    fn expire<'a>(&'a self, key: &'a str, ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        during("expire", Some(key), self.entries.expire(key, ttl))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        entry: Arc<Entry>,
        ttl: Option<Ttl>,
    ) -> BoxFuture<'a, Result<bool>> {
        during("replace", Some(key), async move {
            self.entries.replace(key, seen, &entry, ttl).await
        })
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        during("inspect", keys.first().copied(), self.entries.inspect(keys))
    }

    fn scan<'a>(
        &'a self,
        pattern: &'a Pattern,
        cursor: Cursor,
        count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        during("scan", None, self.entries.scan(pattern, cursor, count))
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        during("remove", None, self.entries.remove(entries))
    }
}

impl fmt::Debug for RedisProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisProvider")
            .field("address", &self.address)
            .field("key_prefix", &self.key_prefix)
            .field("log", self.log())
            .finish_non_exhaustive()
    }
}

fn during<'a, T: Send + 'a>(
    operation: &'static str,
    key: Option<&str>,
    attempt: impl Future<Output = Result<T>> + Send + 'a,
) -> BoxFuture<'a, Result<T>> {
    observe::call(NAME, operation, key, attempt)
}
