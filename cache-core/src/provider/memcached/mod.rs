//! Entries on a memcached server.
//!
//! memcached runs no scripts, tells nobody of changes, evicts whatever it likes, and forgets all when
//! it is started again. What it does have is a number for each state of each item, which it gives out
//! once in its life and by which an item can be replaced if it still is the same (CAS). The protocol
//! rests on that alone:
//!
//! 1. **No value is stored unconditionally, nor because nothing stood there.** Each takes the place of an
//!    item that was seen just before: an entry, or a lease that was left for the purpose. So a command
//!    that is carried out late, after its caller has given up, does nothing if anything has happened at
//!    its key since: whatever happens there gives the item another number, or removes it. Only leases are
//!    added where nothing stands, and the worst of a late one is that it runs out.
//! 2. **A CAS number counts on the connection that it was read over**, and an operation keeps to one
//!    connection. A server that has been started again counts anew, but has none of the old connections.
//! 3. **One item holds the log**: incarnation, head, the latest record about each argument, and the floor
//!    of each kind (`ledger.rs`). It is changed by CAS only.
//! 4. **If it is gone, everything is.** Whoever finds no log adds one of a new, random incarnation;
//!    what carries another is hidden, for good. This is what a restart, `flush_all` and an eviction of the
//!    log come to. What cannot be read in its place is replaced likewise.
//! 5. **Each read asks for the log's number first, in the same write.** If it has not changed, what is
//!    known is all there is; else the log is read and applied before the entry is judged. So what has
//!    been invalidated anywhere is hidden from every read that starts later and is answered, on every node.
//!    What was read of the log is applied in the order of connection and number, so that no node goes back.
//! 6. **Invalidate**: delete at the keys, append, and delete again; in one write, which is repeated in part
//!    if somebody else has appended meanwhile. A load that is under way at a key has lost its lease by the
//!    deletion, also one that began before the record was there;
//!    callers who come later learn of the record before they can join it.
//! 7. **Fill**: the lease is read, and replaced if its token is the load's. The value keeps the stamp from
//!    before the load, so that records since then hide it.
//!    Beside an entry that is still of use, stale or about to expire, no lease is left: its own id is the
//!    token, and the value takes its place if it still is the same.
//! 8. **Set, and fresh counters**: stamped with the head that was asked for after the call began. A `set`
//!    writes no record: who looks finds the value, or, if that is gone already, does not find the lease that
//!    his process's load rests on, and does not join that load (`held.rs`).
//! 9. **If nobody knows whether a `set` was carried out**, its key is deleted before anything is shown
//!    there; invalidations that did not reach the server wait, hide here meanwhile, and are delivered
//!    before anything newer is written.
//! 10. **Every command carries a number that its reply brings back.** A reply with another one ends the
//!     connection.
//!
//! `connection.rs`, `request.rs` and `reply.rs` speak with the server, `link.rs` comes back to it,
//! `backplane.rs` and `append.rs` keep the log, `entries.rs`, `leases.rs`, `invalidate.rs`, `set.rs` and
//! `derived.rs` the entries.
//! `provider/stored.rs` has their bytes.

mod address;
mod append;
mod backplane;
mod builder;
mod connection;
mod derived;
mod entries;
mod error;
mod held;
mod invalidate;
mod leases;
mod ledger;
mod link;
mod name;
mod reply;
mod request;
mod set;
mod tasks;
mod turns;
mod unclaimed;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use builder::MemcachedProviderBuilder;
use entries::Entries;
use tasks::Heartbeat;

use super::{
    BoxFuture, Capability, Cursor, Found, Invalidation, Lease, Leased, Page, Provider, Slot,
    observe,
};
use crate::clock::Clock;
use crate::entry::{Entry, EntryId};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Log, Record, Stamp};
use crate::pattern::Pattern;
use crate::terms::Ttl;

const NAME: &str = "memcached";

/// Keeps entries on one memcached server, which any number of processes share.
///
/// # What holds
///
/// What one process invalidates is hidden from all others at once: each read asks, in the same round
/// trip, whether the log has moved. There is no delivery to wait for. A load that began before its
/// key, tag, pattern or namespace was invalidated never becomes visible. `set` wins over loads in
/// flight.
///
/// A `get`, also of many keys, is one round trip, and a second one after something was
/// invalidated. An invalidation is one, and one more for each other process that invalidates at the
/// same moment. A lease is one, a fill is two, `set` is two however many entries it stores,
/// `increment`, `expire` and `update` are two, or more where others change the same key.
/// `set` of many entries is not one step: others can see some of them before the rest.
///
/// A `set` whose outcome nobody was told hides its keys until the server has been told so. One that the
/// server refuses because the value is too large has removed what stood there.
///
/// When the server is started again, told `flush_all`, or evicts the log, everything that was stored
/// before counts as hidden: more is computed, never less hidden.
///
/// # Where it is weaker than Redis
///
/// | | what holds |
/// |---|---|
/// | a memory tier in front of it | is refused when the cache is built: memcached tells nobody what has changed |
/// | `scan_keys`, `delete_by_pattern` | [`Unsupported`](crate::ErrorKind::Unsupported): there is no way to list keys. `invalidate_pattern` works |
/// | eviction | at will, when memory is full; it is computed again. If the log is evicted, everything is. It is read with every request, and so among the last to go |
/// | how many invalidations are remembered | as many as [`log_bytes`](MemcachedProviderBuilder::log_bytes) holds, some 1,000 tags by default, where Redis has 65,536. Beyond that more is hidden |
/// | the price of an invalidation | it writes the whole log, up to `log_bytes`, and each process reads it once. Hundreds in a second are fine, tens of thousands are not |
/// | what hidden entries take | stays until it is evicted, overwritten, or its time to live is over: nobody sweeps |
/// | times to live | run on the clocks of the processes, which have to agree; the server drops what is over a second or two later |
/// | values | up to the server's limit, 1 MiB by default (`-I`), after compression. Larger ones are an error of `set`, and are computed by `get_or_set` each time |
/// | a read that the server does not answer | its caller may share a load that is under way in his process, though something was invalidated elsewhere since it began: while the server is in touch, and for the [touch bound](MemcachedProviderBuilder::touch_bound) after that. With [`Consistency::Strict`](crate::Consistency::Strict), which asks twice, he loads by himself |
/// | a deletion whose caller was told nothing | may be carried out late, and take a newer value along |
/// | `increment`, `expire`, `update` that end by [`Timeout`](crate::ErrorKind::Timeout) or are dropped | may take effect late, unless something else happens at the key before: who tries again may count twice |
/// | counters | are evicted like all else, and begin anew: do not rest limits on them that must hold |
/// | an invalidation that is [`Pending`](crate::Invalidated::Pending) | others show the old value until the server is told; lost with the process |
/// | several servers, replicas, failover | none: one provider, one server. A name that leads to several of them, or a proxy such as mcrouter in between, breaks what is said here |
/// | who may connect | whoever reaches the port: neither passwords nor TLS. [Encryption](MemcachedProviderBuilder::encryption) of values helps against readers and forgers |
///
/// memcached 1.6.18 or later is needed, with CAS numbers, which it has unless it is started with `-C`.
///
/// ```no_run
/// # async fn example() -> cache_core::Result<()> {
/// use cache_core::{Cache, MemcachedProvider};
///
/// let provider = MemcachedProvider::builder("memcache://127.0.0.1:11211")
///     .key_prefix("shop")
///     .build()
///     .await?;
/// let cache = Cache::builder(provider).build()?;
/// # Ok(())
/// # }
/// ```
pub struct MemcachedProvider {
    entries: Entries,
    key_prefix: Box<str>,
    address: Box<str>,
    _heartbeat: Heartbeat,
}

impl MemcachedProvider {
    /// A provider for the server at `url`: `memcache://host[:port]`, port 11211 by default.
    pub fn builder(url: impl Into<String>) -> MemcachedProviderBuilder {
        MemcachedProviderBuilder::new(url.into())
    }
}

impl Provider for MemcachedProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability {
            scan: false,
            shared: true,
            copies: false,
            ..Capability::LOCAL
        }
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
        during("ping", None, self.entries.backplane.ping())
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
        during("lease", Some(key), self.entries.lease(key, observed, stamp))
    }

    fn renew_every(&self) -> Option<Duration> {
        Some(self.entries.lease_ttl / 3)
    }

    fn lease_beside<'a>(
        &'a self,
        key: &'a str,
        seen: EntryId,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let leased = self.entries.lease_beside(key, seen, stamp);
        during("lease", Some(key), leased)
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
        during("set", key, self.entries.set(entries))
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
        _pattern: &'a Pattern,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        let message = "memcached cannot list its keys; `invalidate_pattern` works without that";
        let error = Error::new(ErrorKind::Unsupported, message);
        during("scan", None, async { Err(error) })
    }

    fn remove<'a>(&'a self, entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        during("remove", None, self.entries.remove(entries))
    }
}

impl fmt::Debug for MemcachedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemcachedProvider")
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
