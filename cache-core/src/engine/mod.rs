//! The read engine: looks, judges, lets one load run for many callers, and fences what it stores.
//!
//! Its lowest layer is [`turn`](crate::Cache::turn): a caller is told that it has the value, that
//! it leads the load, that it follows somebody else's, or that it is on its own.

mod background;
mod flight;
mod join;
mod look;
mod measure;
mod near;
mod outcome;
mod place;
mod queue;
mod reserve;
mod resting;
#[cfg(test)]
mod tests;
mod ticket;
mod tier;
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use background::MOST_REFRESHES;
pub(crate) use background::{Panic, caught};
pub(crate) use join::join_all;
pub(crate) use look::Look;
pub(crate) use measure::Measured;
pub(crate) use near::Near;
pub use outcome::Outcome;
pub(crate) use place::{Led, Observed, Place};
pub use ticket::{Followed, Follower, Hit, Published, Ticket, Turn};
pub use tier::MemoryTier;
pub use waits::carry;

use crate::clock::{Clock, Timestamp};
use crate::codec::CodecId;
use crate::entry::{Entry, EntryId, Owner, Tags};
use crate::error::Result;
use crate::log::Log;
use crate::metrics::{Counters, Miss};
use crate::policy::Policy;
use crate::provider::{Peek, Provider, Usage};
use crate::terms::Ttl;
use crate::why::Source;
use flight::Flights;
use queue::{Queue, Turned};
use resting::Resting;

/// Longer than any load, and no longer than clocks can count.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// One provider with the flights over it; every handle on it shares the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    /// Where what the provider answers is found.
    source: Source,
    near: Option<Arc<Near>>,
    flights: Arc<Flights>,
    waits: Waits,
    warned: Throttle,
    /// Who changes a value by what it is, one after another.
    updates: Queue,
    resting: Resting,
    /// The room for loads in the background.
    refreshes: Arc<Semaphore>,
    /// For callers to whom none applies.
    pub(crate) no_policy: Arc<Policy>,
}

/// How long callers wait for loads that are not their own, counted from the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// For one in this process.
    pub(crate) flight: Duration,
    /// For one in another process.
    pub(crate) lock: Duration,
}

/// Lets one in a second through: an outage is not to fill the disk with its log.
#[derive(Debug, Default)]
struct Throttle(AtomicU64);

impl Throttle {
    fn due(&self, now: Timestamp) -> bool {
        let second = now.as_millis() / 1_000;
        self.0.swap(second, Ordering::Relaxed) != second
    }
}

/// Which tiers a read asks, and how sure it must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Whether copies in the memory tier are made and shown.
    pub(crate) near: bool,
    /// Whether the log is asked for what is new before anything is shown.
    pub(crate) strict: bool,
    /// Whether a load waits for one of the same key in another process.
    pub(crate) lock: bool,
}

/// A read of one key, on behalf of one owner.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: Arc<str>,
    pub(crate) owner: Owner,
    /// The tags that the value will have, as far as they are known before it is loaded.
    pub(crate) tags: Tags,
    /// Whether it will have no others.
    pub(crate) tags_are_all: bool,
    /// When the caller came: his waits for others' loads are counted from there.
    pub(crate) arrived: Instant,
    /// An entry that was returned before and could not be read as the caller's type.
    pub(crate) unfit: Option<EntryId>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) default_ttl: Ttl,
    /// What the value is written by, where it becomes bytes.
    pub(crate) codec: CodecId,
    pub(crate) reading: Reading,
    /// What the value is stored under.
    pub(crate) policy: Arc<Policy>,
    /// For how long after it has expired an entry may be shown to this caller, if need be.
    pub(crate) shows_stale_for: Duration,
}

impl Engine {
    pub(crate) fn new(provider: Arc<dyn Provider>, near: Option<Arc<Near>>, waits: Waits) -> Self {
        let log = provider.log().clone();
        let flights = Arc::new(Flights::new());
        let watcher: Arc<dyn crate::log::Watcher> = flights.clone();
        log.watch(Arc::downgrade(&watcher));
        let source = match provider.peek("") {
            Peek::Ask => Source::Remote,
            Peek::Found(_) | Peek::Absent => Source::Memory,
        };
        Self {
            clock: provider.clock(),
            source,
            provider,
            near,
            log,
            flights,
            waits,
            warned: Throttle::default(),
            updates: Queue::new(),
            resting: Resting::default(),
            refreshes: Arc::new(Semaphore::new(MOST_REFRESHES)),
            no_policy: Arc::default(),
        }
    }

    /// Whether entries can be found by what they are indexed by.
    pub(crate) fn can_index(&self) -> bool {
        self.provider.indexes().is_some()
    }

    /// Whether copies in the memory tier may be shown now; `None` if there is no such tier.
    pub(crate) fn near_serves(&self) -> Option<bool> {
        let near = self.near.as_ref()?;
        Some(near.may_serve(&self.log, self.clock.now()))
    }

    /// Frees what has expired or is hidden: entries of the provider, and copies in the memory tier.
    pub(crate) async fn sweep(&self) -> Result<u64> {
        let copies = match &self.near {
            Some(near) => near.sweep(&self.log).await,
            None => 0,
        };
        Ok(copies + self.provider.sweep().await?)
    }

    /// What the memory tier holds; `None` if there is none.
    pub(crate) fn near_usage(&self) -> Option<Usage> {
        self.near.as_ref().map(|near| near.usage())
    }

    /// How many callers wait for the load of `key`.
    #[cfg(feature = "testkit")]
    pub(crate) fn followers(&self, key: &str) -> usize {
        self.flights.followers(key)
    }

    /// Waits until those are done who change the value at `key`, at most as long as for a load.
    pub(crate) async fn turn_to_update(&self, key: &str) -> Turned<'_> {
        self.updates.turn(key, self.waits.flight).await
    }

    /// When a caller who came at `arrived` stops waiting for another's load in this process.
    fn flight_deadline(&self, arrived: Instant) -> Instant {
        after(arrived, self.waits.flight)
    }

    /// When he stops waiting for one in another process.
    fn lock_deadline(&self, arrived: Instant) -> Instant {
        after(arrived, self.waits.lock)
    }

    /// Looks into memory without waiting; `None` if that cannot tell, or tells of no value. Whoever
    /// can use the hit counts it.
    pub(crate) fn peek(&self, key: &str, owner: Owner, reading: Reading) -> Option<Hit> {
        if reading.strict {
            return None;
        }
        let publication = self.log.publication();
        let now = self.clock.now();
        let near = self.near.as_ref().filter(|_| reading.near);
        let (entry, source) = match (self.provider.peek(key), near) {
            (Peek::Found(entry), _) if self.log.in_touch(now) => (entry, self.source),
            (Peek::Ask, Some(near)) if near.may_serve(&self.log, now) => {
                (near.get(key)?, Source::MemoryTier)
            }
            _ => return None,
        };
        self.judge(key, &entry, owner, now, publication).ok()?;
        Some(Hit::new(entry, now, source))
    }

    /// Whether an entry may be shown to this owner now.
    pub(crate) fn judge(
        &self,
        key: &str,
        entry: &Entry,
        owner: Owner,
        now: Timestamp,
        publication: u64,
    ) -> Result<(), Miss> {
        let meta = entry.meta();
        if meta.is_expired(now) {
            return Err(Miss::Expired);
        }
        if meta.owner != owner {
            return Err(Miss::WrongOwner);
        }
        if entry.is_checked(publication) {
            return Ok(());
        }
        if !self.log.is_visible(key, meta) {
            return Err(Miss::Invalidated);
        }
        entry.mark_checked(publication);
        Ok(())
    }

    /// What to do about a key: show what is there, load it, wait for who loads it, or go alone.
    /// A miss is counted here, a hit by whoever can use it.
    pub(crate) async fn turn(self: &Arc<Self>, question: &Question) -> Turn {
        match self.looked(question).await {
            Some(looked) => self.turn_after(question, looked).await,
            None => Turn::Alone,
        }
    }

    /// What a caller finds who goes on whatever goes wrong; `None` if he is inside a load of the same
    /// key, and must not wait for himself.
    pub(crate) async fn looked(self: &Arc<Self>, question: &Question) -> Option<Look> {
        if self.inside(question).is_some() {
            return None;
        }
        let looked = self.look(question).await.unwrap_or_else(|error| {
            self.failed(&error, &question.counters);
            Look::Bypass
        });
        Some(looked)
    }

    /// Like [`turn`](Self::turn), for many keys: one look at all of them, then a lease for each
    /// that is to be led, all at once.
    pub(crate) async fn turn_many(self: &Arc<Self>, questions: &[&Question]) -> Vec<Turn> {
        let Some(first) = questions.first() else {
            return Vec::new();
        };
        let looked = match self.log.in_touch(self.clock.now()) {
            true => self.look_many(questions).await.map_err(Some),
            false => Err(None),
        };
        let looked = looked.unwrap_or_else(|error| {
            if let Some(error) = error {
                self.failed(&error, &first.counters);
            }
            questions.iter().map(|_| Look::Bypass).collect()
        });
        let turn = async |(question, look): (&Question, Look)| match self.inside(question) {
            Some(alone) => alone,
            None => self.turn_after(question, look).await,
        };
        join_all(questions.iter().copied().zip(looked).map(turn)).await
    }

    /// A caller inside a load of the same key does not wait for itself.
    fn inside(&self, question: &Question) -> Option<Turn> {
        waits::is_loading(&self.flights, &question.key).then(|| {
            question.counters.miss(Miss::Bypassed);
            Turn::Alone
        })
    }

    async fn turn_after(self: &Arc<Self>, question: &Question, looked: Look) -> Turn {
        match looked {
            Look::Hit(hit) => return Turn::Hit(hit),
            Look::Stale(hit) if self.rests(question) => {
                question.counters.stale();
                return Turn::Hit(hit);
            }
            _ => {}
        }
        match self.place(question, &looked) {
            Place::Lead(led) => self.lead(question, led).await,
            Place::Follow(follower) => Turn::Follow(follower),
            Place::Alone => Turn::Alone,
        }
    }

    /// Counts and logs a failure that its caller is not told of.
    pub(crate) fn failed(&self, error: &crate::Error, counters: &Counters) {
        counters.error();
        if self.warned.due(self.clock.now()) {
            tracing::warn!(
                provider = self.provider.name(),
                namespace = counters.namespace(),
                %error,
                source = std::error::Error::source(error),
                "cache operation failed; the value is computed (told at most once a second)"
            );
        }
    }
}

fn after(start: Instant, wait: Duration) -> Instant {
    start
        .checked_add(wait)
        .or_else(|| start.checked_add(FOREVER))
        .unwrap_or(start)
}
