//! A provider that stores nothing, for switching caching off.

use std::sync::Arc;
use std::time::Duration;

use super::{
    BoxFuture, Capability, Cursor, Found, Index, Indexes, Invalidation, Lease, Leased, Member,
    Members, Page, Peek, Provider, Slot,
};
use crate::entry::{Entry, EntryId};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Caps, Invalidated, Log, Record, Stamp};
use crate::pattern::Pattern;

const NAME: &str = "null";

/// Stores nothing: for switching caching off without another change to the program.
///
/// | | |
/// |---|---|
/// | reads, `exists`, `get_ttl`, scans | absent |
/// | `get_by_index`, `get_keys_by_index` | nothing |
/// | `set`, `set_many`, indexed or not | succeed, and keep nothing |
/// | `delete`, `delete_by_pattern`, `expire`, `update` | there was nothing |
/// | `invalidate*`, `clear` | [`Applied`](Invalidated::Applied) |
/// | `get_or_set`, `#[cached]` | load; callers that want one key at one moment still share one load, unless something was invalidated in between |
/// | `increment` | [`Unsupported`](ErrorKind::Unsupported): a count that begins anew with each call would be a wrong one |
/// | `rate_limiter`, `lock` | [`Unsupported`](ErrorKind::Unsupported), likewise |
///
/// Nothing waits, and nothing is left in memory but the log of what was invalidated.
///
/// ```
/// use cache_core::{Cache, NullProvider};
///
/// # async fn example() -> Result<(), cache_core::Error> {
/// let cache = Cache::builder(NullProvider::new()).build()?;
/// cache.set("greeting", "hello").await?;
/// assert_eq!(cache.get::<String>("greeting").await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct NullProvider {
    log: Log,
}

impl NullProvider {
    /// A provider that stores nothing.
    pub fn new() -> Self {
        Self {
            log: Log::local(Caps::DEFAULT),
        }
    }
}

impl Default for NullProvider {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for NullProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capability(&self) -> Capability {
        Capability {
            scan: true,
            indexes: true,
            ..Capability::NONE
        }
    }

    fn indexes(&self) -> Option<&dyn Indexes> {
        Some(self)
    }

    fn log(&self) -> &Log {
        &self.log
    }

    fn peek(&self, _key: &str) -> Peek {
        Peek::Absent
    }

    fn get<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Slot>>> {
        ready(Ok(keys.iter().map(|_| Slot::Empty).collect()))
    }

    fn lease<'a>(
        &'a self,
        _key: &'a str,
        _observed: Option<EntryId>,
        stamp: Stamp,
    ) -> BoxFuture<'a, Result<Leased>> {
        let token = EntryId::random();
        ready(Ok(Leased::Lease(Lease { token, stamp })))
    }

    fn release(&self, _key: &str, _lease: Lease) {}

    fn fill<'a>(
        &'a self,
        _key: &'a str,
        _entry: Arc<Entry>,
        _lease: Lease,
    ) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(false))
    }

    fn set<'a>(&'a self, entries: Vec<(&'a str, Arc<Entry>)>) -> BoxFuture<'a, Result<()>> {
        for (key, _) in entries {
            self.log.append_local(&Record::Changed(key.into()));
        }
        ready(Ok(()))
    }

    /// Nothing is stored, but loads are under way: the log ends their being shared.
    fn invalidate<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<Invalidation>> {
        for record in records {
            self.log.append_local(record);
        }
        let keys = records
            .iter()
            .filter(|record| matches!(record, Record::Key(_)));
        ready(Ok(Invalidation {
            existed: keys.map(|_| false).collect(),
            state: Invalidated::Applied,
        }))
    }

    fn increment<'a>(
        &'a self,
        _key: &'a str,
        _amount: i64,
        _fresh: Arc<Entry>,
    ) -> BoxFuture<'a, Result<i64>> {
        let message = "the null provider keeps no counters; put counters on another provider";
        let error = Error::new(ErrorKind::Unsupported, message);
        ready(Err(error.during("increment", NAME)))
    }

    fn expire<'a>(&'a self, _key: &'a str, _ttl: Option<Duration>) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(false))
    }

    fn inspect<'a>(&'a self, keys: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Option<Found>>>> {
        ready(Ok(keys.iter().map(|_| None).collect()))
    }

    fn scan<'a>(
        &'a self,
        _pattern: &'a Pattern,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Page>> {
        ready(Ok(Page {
            entries: Vec::new(),
            next: None,
        }))
    }

    fn remove<'a>(&'a self, _entries: &'a [(Box<str>, EntryId)]) -> BoxFuture<'a, Result<()>> {
        ready(Ok(()))
    }
}

/// Takes every index, as it takes every value.
impl Indexes for NullProvider {
    fn members<'a>(
        &'a self,
        _index: Index<'a>,
        _cursor: Cursor,
        _count: usize,
    ) -> BoxFuture<'a, Result<Members>> {
        ready(Ok(Members {
            members: Vec::new(),
            next: None,
        }))
    }

    fn unlink<'a>(&'a self, _index: Index<'a>, _stale: &'a [Member]) -> BoxFuture<'a, Result<()>> {
        ready(Ok(()))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}
