//! The read engine: looks, judges, lets one load run for many callers, and fences what it stores.
//!
//! Its lowest layer is [`turn`](crate::Cache::turn): a caller is told that it has the value, that
//! it leads the load, that it follows somebody else's, or that it is on its own.

mod flight;
mod look;
mod near;
mod outcome;
#[cfg(test)]
mod tests;
mod ticket;
mod tier;
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use look::Look;
pub(crate) use near::Near;
pub use outcome::Outcome;
pub use ticket::{Followed, Follower, Hit, Published, Ticket, Turn};
pub use tier::MemoryTier;
pub use waits::carry;

use crate::clock::{Clock, Timestamp};
use crate::entry::{Entry, EntryId, Owner, Tags};
use crate::error::Result;
use crate::log::{Log, Stamp};
use crate::metrics::{Counters, Miss};
use crate::provider::{Lease, Leased, Peek, Provider};
use crate::terms::Ttl;
use flight::{Entered, Flight, Flights};

/// How often a lease is asked for again when entries that may not be shown keep appearing.
const LEASE_ATTEMPTS: usize = 3;
/// Longer than any load, and no longer than clocks can count.
const FOREVER: Duration = Duration::from_secs(86_400 * 365 * 30);

/// One provider with the flights over it; every handle on it shares the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    near: Option<Arc<Near>>,
    flights: Arc<Flights>,
    flight_wait: Duration,
    warned: Throttle,
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
}

/// A read of one key, on behalf of one owner.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: Arc<str>,
    pub(crate) owner: Owner,
    /// The tags that the value will have, as far as they are known before it is loaded.
    pub(crate) tags: Tags,
    /// Whether it will have no others.
    pub(crate) tags_are_all: bool,
    /// Until when the caller waits for somebody else's load.
    pub(crate) deadline: Instant,
    /// An entry that was returned before and could not be read as the caller's type.
    pub(crate) unfit: Option<EntryId>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) default_ttl: Ttl,
    pub(crate) reading: Reading,
}

impl Engine {
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        near: Option<Arc<Near>>,
        flight_wait: Duration,
    ) -> Self {
        let log = provider.log().clone();
        let flights = Arc::new(Flights::new());
        let watcher: Arc<dyn crate::log::Watcher> = flights.clone();
        log.watch(Arc::downgrade(&watcher));
        Self {
            clock: provider.clock(),
            provider,
            near,
            log,
            flights,
            flight_wait,
            warned: Throttle::default(),
        }
    }

    /// How many callers wait for the load of `key`.
    #[cfg(feature = "testkit")]
    pub(crate) fn followers(&self, key: &str) -> usize {
        self.flights.followers(key)
    }

    /// When a caller that arrives now stops waiting for others.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        let wait = |wait| now.checked_add(wait);
        wait(self.flight_wait)
            .or_else(|| wait(FOREVER))
            .unwrap_or(now)
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
        let entry = match (self.provider.peek(key), near) {
            (Peek::Found(entry), _) if self.log.in_touch(now) => entry,
            (Peek::Ask, Some(near)) if near.may_serve(&self.log, now) => near.get(key)?,
            _ => return None,
        };
        self.judge(key, &entry, owner, now, publication).ok()?;
        Some(Hit::new(entry, now))
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
        let counters = &question.counters;
        if waits::is_loading(&self.flights, &question.key) {
            counters.miss(Miss::Bypassed);
            return Turn::Alone;
        }
        let looked = self.look(question).await.unwrap_or_else(|error| {
            self.failed(&error, counters);
            Look::Bypass
        });
        let (why, observed) = match looked {
            Look::Hit(hit) => return Turn::Hit(hit),
            Look::Miss { why, observed } => (why, Some(observed)),
            // What is being loaded may have been invalidated where this node does not hear of it.
            Look::Bypass if question.reading.strict => {
                counters.miss(Miss::Bypassed);
                return Turn::Alone;
            }
            Look::Bypass => (Miss::Bypassed, None),
        };
        match self.flights.enter(question, &self.log, self.clock.now()) {
            Entered::Lead(flight) => self.lead(question, flight, why, observed).await,
            Entered::Follow(flight) => Turn::Follow(Follower::new(self, flight, question, why)),
            Entered::Occupied => {
                counters.miss(Miss::WrongOwner);
                Turn::Alone
            }
        }
    }

    /// Takes the lease of a flight that was just entered. `observed` is `None` if the store cannot
    /// be asked: the load then runs for those who wait, and is not stored.
    async fn lead(
        self: &Arc<Self>,
        question: &Question,
        flight: Arc<Flight>,
        why: Miss,
        observed: Option<Option<EntryId>>,
    ) -> Turn {
        let counters = &question.counters;
        let mut ticket = Ticket::new(self, flight, question);
        ticket.promote(
            self.near_for(question)
                .and_then(|near| near.fence(&question.key)),
        );
        if let Some(observed) = observed {
            match self.reserve(question, ticket.stamp(), observed).await {
                Ok(Reserved::Lease(lease)) => ticket.hold(lease),
                Ok(Reserved::Nothing) => {}
                Ok(Reserved::Found(hit)) => {
                    ticket.land_found(&hit);
                    return Turn::Hit(hit);
                }
                Err(error) => self.failed(&error, counters),
            }
        }
        counters.miss(why);
        Turn::Lead(ticket)
    }

    /// Looks once more, as one step with leaving the lease.
    async fn reserve(
        &self,
        question: &Question,
        stamp: Stamp,
        mut observed: Option<EntryId>,
    ) -> Result<Reserved> {
        for _ in 0..LEASE_ATTEMPTS {
            let publication = self.log.publication();
            let leased = self.provider.lease(&question.key, observed, stamp);
            let entry = match leased.await? {
                Leased::Lease(lease) => return Ok(Reserved::Lease(lease)),
                Leased::Found(entry) => entry,
            };
            match self.judge_entry(question, entry, publication) {
                Ok(hit) => return Ok(Reserved::Found(hit)),
                Err((_, id)) => observed = Some(id),
            }
        }
        Ok(Reserved::Nothing)
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

enum Reserved {
    Lease(Lease),
    Found(Hit),
    Nothing,
}
