//! The read engine: looks, judges, lets one load run for many callers, and fences what it stores.
//!
//! Its lowest layer is [`turn`](crate::Cache::turn): a caller is told that it has the value, that
//! it leads the load, that it follows somebody else's, or that it is on its own.

mod flight;
mod through;
mod ticket;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use through::Outcome;
pub use ticket::{Followed, Follower, Hit, Published, Ticket, Turn};

use crate::cache::Ttl;
use crate::clock::{Clock, Timestamp};
use crate::entry::{Entry, EntryId, Owner, Tags};
use crate::error::Result;
use crate::log::{Log, Stamp};
use crate::metrics::{Counters, Miss};
use crate::provider::{Lease, Leased, Peek, Provider, Slot};
use flight::{Entered, Flight, Flights};

/// How often a lease is asked for again when entries that may not be shown keep appearing.
const LEASE_ATTEMPTS: usize = 3;

/// One provider with the flights over it; every handle on it shares the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    flights: Arc<Flights>,
    flight_wait: Duration,
}

/// A read of one key, on behalf of one owner.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: Arc<str>,
    pub(crate) owner: Owner,
    /// The tags that the value will have, as far as they are known before it is loaded.
    pub(crate) tags: Tags,
    /// Until when the caller waits for somebody else's load.
    pub(crate) deadline: Instant,
    /// An entry that was returned before and could not be read as the caller's type.
    pub(crate) unfit: Option<EntryId>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) default_ttl: Ttl,
}

/// What a look into the store found.
enum Look {
    Hit(Hit),
    Miss {
        why: Miss,
        /// What stood there instead, if it can be named.
        observed: Option<EntryId>,
    },
    /// The store cannot be asked now.
    Bypass,
}

impl Engine {
    pub(crate) fn new(provider: Arc<dyn Provider>, flight_wait: Duration) -> Self {
        let log = provider.log().clone();
        let flights = Arc::new(Flights::new());
        let watcher: Arc<dyn crate::log::Watcher> = flights.clone();
        log.watch(Arc::downgrade(&watcher));
        Self {
            clock: provider.clock(),
            provider,
            log,
            flights,
            flight_wait,
        }
    }

    /// How many callers wait for the load of `key`.
    #[cfg(feature = "testkit")]
    pub(crate) fn followers(&self, key: &str) -> usize {
        self.flights.followers(key)
    }

    /// When a caller that arrives now stops waiting for others.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.flight_wait
    }

    /// Looks into memory without waiting; `None` if that cannot tell, or tells of no value.
    pub(crate) fn peek(&self, key: &str, owner: Owner, counters: &Counters) -> Option<Hit> {
        let publication = self.log.publication();
        let Peek::Found(entry) = self.provider.peek(key) else {
            return None;
        };
        let now = self.clock.now();
        if self.judge(key, &entry, owner, now, publication).is_err() || !self.log.in_touch(now) {
            return None;
        }
        counters.hit();
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
    pub(crate) async fn turn(self: &Arc<Self>, question: &Question) -> Turn {
        let counters = &question.counters;
        if waits::is_loading(&self.flights, &question.key) {
            counters.miss(Miss::Bypassed);
            return Turn::Alone;
        }
        let (why, observed) = match self.look(question).await {
            Look::Hit(hit) => {
                counters.hit();
                return Turn::Hit(hit);
            }
            Look::Miss { why, observed } => (why, Some(observed)),
            Look::Bypass => (Miss::Bypassed, None),
        };
        match self.flights.enter(question, &self.log) {
            Entered::Lead(flight) => self.lead(question, flight, why, observed).await,
            Entered::Follow(flight) => Turn::Follow(Follower::new(self, flight, question, why)),
            Entered::Occupied => {
                counters.miss(Miss::WrongOwner);
                Turn::Alone
            }
        }
    }

    async fn look(&self, question: &Question) -> Look {
        let publication = self.log.publication();
        if !self.log.in_touch(self.clock.now()) {
            return Look::Bypass;
        }
        let slot = match self.provider.peek(&question.key) {
            Peek::Found(entry) => Slot::Entry(entry),
            Peek::Absent => Slot::Empty,
            Peek::Ask => match self.ask(&question.key).await {
                Ok(slot) => slot,
                Err(error) => {
                    self.failed(&error, &question.counters);
                    return Look::Bypass;
                }
            },
        };
        self.judge_slot(question, slot, publication)
    }

    async fn ask(&self, key: &str) -> Result<Slot> {
        let slots = self.provider.get(&[key]).await?;
        Ok(slots.into_iter().next().unwrap_or(Slot::Empty))
    }

    fn judge_slot(&self, question: &Question, slot: Slot, publication: u64) -> Look {
        let (why, observed) = match slot {
            Slot::Entry(entry) => match self.judge_entry(question, entry, publication) {
                Ok(hit) => return Look::Hit(hit),
                Err((why, id)) => (why, Some(id)),
            },
            Slot::Empty => (Miss::Absent, None),
            Slot::Lease(token) => (Miss::Absent, Some(token)),
            Slot::Damaged => (Miss::Damaged, None),
        };
        Look::Miss { why, observed }
    }

    fn judge_entry(
        &self,
        question: &Question,
        entry: Arc<Entry>,
        publication: u64,
    ) -> Result<Hit, (Miss, EntryId)> {
        let id = entry.meta().id;
        let now = self.clock.now();
        if question.unfit == Some(id) {
            return Err((Miss::Damaged, id));
        }
        self.judge(&question.key, &entry, question.owner, now, publication)
            .map_err(|why| (why, id))?;
        Ok(Hit::new(entry, now))
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
        if let Some(observed) = observed {
            match self.reserve(question, ticket.stamp(), observed).await {
                Ok(Reserved::Lease(lease)) => ticket.hold(lease),
                Ok(Reserved::Nothing) => {}
                Ok(Reserved::Found(hit)) => {
                    counters.hit();
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
        tracing::warn!(
            provider = self.provider.name(),
            %error,
            source = std::error::Error::source(error),
            "cache operation failed; the value is computed"
        );
    }
}

enum Reserved {
    Lease(Lease),
    Found(Hit),
    Nothing,
}
