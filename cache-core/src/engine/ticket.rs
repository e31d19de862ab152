//! The lowest layer: what a caller is told about a key, and what it can do with it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime;
use tokio::time::{Instant, sleep, timeout_at};

use super::flight::{Flight, State};
use super::join::join_all;
use super::near::Promotion;
use super::waits::{self, Wait};
use super::{Engine, Miss, Question};
use crate::clock::Timestamp;
use crate::codec::CodecId;
use crate::entry::{Entry, EntryId, Meta, Payload, Tags};
use crate::error::Result;
use crate::log::{Moment, Stamp};
use crate::metrics::Counters;
use crate::policy::Policy;
use crate::provider::Lease;
use crate::terms::{EntryOptions, Terms, Ttl};
use crate::value::{AnyValue, Value};
use crate::why::{Source, Why};

/// What a caller of [`Cache::turn`](crate::Cache::turn) is to do.
#[derive(Debug)]
pub enum Turn {
    /// Here is the value.
    Hit(Hit),
    /// Load it; others may be waiting.
    Lead(Ticket),
    /// Somebody is loading it.
    Follow(Follower),
    /// Compute it for yourself: it can be neither shared nor stored. That is so inside a load of
    /// the same key, or where another function loads under the same key.
    Alone,
}

/// An entry that may be shown.
#[derive(Clone, Debug)]
pub struct Hit {
    entry: Arc<Entry>,
    now: Timestamp,
    source: Source,
    /// Makes the copy in memory when the value is read.
    promotion: Option<Arc<Promotion>>,
}

impl Hit {
    pub(super) fn new(entry: Arc<Entry>, now: Timestamp, source: Source) -> Self {
        Self {
            entry,
            now,
            source,
            promotion: None,
        }
    }

    pub(super) fn found_in(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    pub(super) fn promoting(mut self, promotion: Option<Promotion>) -> Self {
        self.promotion = promotion.map(Arc::new);
        self
    }

    /// The value: a clone of it, or read through the codec if it was stored as another type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if what is stored is not a `T`.
    pub fn value<T: Value>(&self) -> Result<T> {
        let value = self.entry.payload().value()?;
        if let Some(promotion) = &self.promotion {
            promotion.value(&self.entry, &value);
        }
        Ok(value)
    }

    /// How long ago the value was stored.
    pub fn age(&self) -> Duration {
        self.now.since(self.entry.meta().created)
    }

    /// Where the value was found.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Why there is a value, as [`Cache::read`](crate::Cache::read) tells it.
    pub fn why(&self) -> Why {
        Why::Hit {
            from: self.source,
            age: self.age(),
        }
    }

    /// Counts the hit, which comes after the first look into memory.
    pub(crate) fn count(&self, counters: &Counters) {
        counters.hit_from(self.source, self.age());
    }

    /// The time to live that is left; `None` for no limit.
    pub fn ttl(&self) -> Option<Duration> {
        self.entry.meta().remaining(self.now)
    }

    /// The entry.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    pub(crate) fn id(&self) -> EntryId {
        self.entry.meta().id
    }

    /// How long ago it has expired; `None` if it is fresh.
    pub(crate) fn stale_for(&self) -> Option<Duration> {
        self.entry.meta().stale_for(self.now)
    }
}

/// What became of a value that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is in the cache.
    Stored,
    /// It is not: its key was invalidated or written meanwhile, its time to live is zero, or the
    /// cache failed. Callers that were waiting have it all the same.
    Refused,
}

/// The right and the duty to load a value for all who want it now.
///
/// Dropping the ticket gives it up; one of those who wait takes over.
#[derive(Debug)]
pub struct Ticket {
    engine: Arc<Engine>,
    flight: Arc<Flight>,
    counters: Arc<Counters>,
    default_ttl: Ttl,
    codec: CodecId,
    lease: Option<Lease>,
    /// Whether the lease is that of another process's load, which this one has joined.
    joined: bool,
    promotion: Option<Promotion>,
    /// The entry that stays until the value takes its place.
    beside: Option<EntryId>,
    policy: Arc<Policy>,
    /// How long the load has taken, in microseconds.
    load_time: AtomicU64,
    landed: bool,
}

impl Ticket {
    pub(super) fn new(engine: &Arc<Engine>, flight: Arc<Flight>, question: &Question) -> Self {
        Self {
            engine: Arc::clone(engine),
            flight,
            counters: Arc::clone(&question.counters),
            default_ttl: question.default_ttl,
            codec: question.codec,
            lease: None,
            joined: false,
            promotion: None,
            beside: None,
            policy: Arc::clone(&question.policy),
            load_time: AtomicU64::new(0),
            landed: false,
        }
    }

    pub(super) fn promote(&mut self, promotion: Option<Promotion>) {
        self.promotion = promotion;
    }

    pub(super) fn take_promotion(&mut self) -> Option<Promotion> {
        self.promotion.take()
    }

    pub(super) fn hold(&mut self, lease: Lease, beside: Option<EntryId>) {
        self.lease = Some(lease);
        self.beside = beside;
    }

    /// Stores under another load's lease, whichever of the two is done first.
    pub(super) fn join(&mut self, token: EntryId, stamp: Stamp) {
        self.lease = Some(Lease { token, stamp });
        self.joined = true;
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether what is published can be stored: not where the cache cannot be reached, for one.
    pub fn is_storable(&self) -> bool {
        self.lease.is_some()
    }

    /// How many callers wait for the load now.
    pub fn followers(&self) -> usize {
        self.flight.followers()
    }

    /// How long callers wait for it, at most.
    pub fn flight_wait(&self) -> Duration {
        self.engine.waits.flight
    }

    /// Drives the load, and renews the lease as long as it runs.
    ///
    /// Loads of the same key inside it go alone instead of waiting for themselves. Dropping the
    /// future drops the load; the ticket still stands.
    pub async fn run<F: Future>(&self, load: F) -> F::Output {
        Self::run_all(slice::from_ref(self), load).await
    }

    /// Like [`run`](Self::run), for a load of the keys of all these tickets.
    pub(crate) async fn run_all<F: Future>(tickets: &[Self], load: F) -> F::Output {
        let Some(first) = tickets.first() else {
            return load.await;
        };
        let began = first.engine.clock.now();
        let output = Self::drive(tickets, first, load).await;
        let took = first.engine.clock.now().since(began);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for ticket in tickets {
            ticket.load_time.store(micros, Ordering::Relaxed);
        }
        output
    }

    async fn drive<F: Future>(tickets: &[Self], first: &Self, load: F) -> F::Output {
        let flights = tickets.iter().map(|ticket| Arc::clone(&ticket.flight));
        let load = waits::run_inside(&first.engine.flights, flights.collect(), load);
        let Some(every) = first.engine.provider.renew_every() else {
            return load.await;
        };
        let leased = tickets.iter().filter_map(|it| Some((it, it.lease?)));
        let renewals = leased.map(|(ticket, lease)| ticket.renew(lease, every));
        beside(load, join_all(renewals)).await
    }

    /// Ends when the lease no longer stands; the load goes on for those who wait.
    async fn renew(&self, lease: Lease, every: Duration) {
        loop {
            sleep(every).await;
            match self.engine.provider.renew(self.flight.key(), lease).await {
                Ok(true) => {}
                Ok(false) => return,
                // The lease may still stand, and the next attempt come in time.
                Err(error) => self.engine.failed(&error, &self.counters),
            }
        }
    }

    /// Shows followers something before the value exists, such as the head of a response whose
    /// body is still growing. `tags` are the tags that the value will be stored with.
    pub fn progress(&self, progress: AnyValue, tags: Tags) {
        self.flight.tell(State::Progress(progress, tags));
    }

    /// Stores the value, unless it was invalidated while it was computed, and gives it to those
    /// who wait.
    ///
    /// Dropping the future halfway leaves the value stored or not; one of those who wait takes
    /// over.
    pub async fn publish<T: Value>(mut self, value: T, options: EntryOptions) -> Published {
        let can_index = self.engine.can_index();
        let policy = &self.policy;
        let terms = match options.complete_for(&value, self.default_ttl, policy, can_index) {
            Ok(terms) => terms,
            Err(error) => {
                self.engine.failed(&error, &self.counters);
                self.outdate().await;
                self.unshared();
                return Published::Refused;
            }
        };
        let storable = !terms.ttl.is_zero();
        if !storable {
            self.outdate().await;
        }
        let entry = Arc::new(self.entry(value, terms));
        let stored = storable && self.fill(&entry).await;
        self.land(State::Value(entry));
        if stored {
            Published::Stored
        } else {
            Published::Refused
        }
    }

    fn entry<T: Value>(&self, value: T, terms: Terms) -> Entry {
        let now = self.engine.clock.now();
        let meta = Meta {
            id: EntryId::random(),
            owner: self.flight.owner(),
            stamp: self
                .lease
                .map_or(self.flight.began().stamp, |lease| lease.stamp),
            created: now,
            expires: terms.expires(now),
            kept_for: terms.kept_for,
            load_time: Duration::from_micros(self.load_time.load(Ordering::Relaxed)),
            tags: terms.tags,
        };
        Entry::new(meta, Payload::typed_in(value, self.codec))
    }

    async fn fill(&mut self, entry: &Arc<Entry>) -> bool {
        // A node out of touch does not know what its value is worth to others.
        let in_touch = self.engine.log.in_touch(self.engine.clock.now());
        let Some(lease) = self.lease.filter(|_| in_touch) else {
            return false;
        };
        let provider = &self.engine.provider;
        let filled = provider.fill(self.flight.key(), Arc::clone(entry), lease);
        match filled.await {
            Ok(stored) => {
                self.lease = None;
                if let Some(promotion) = self.promotion.take().filter(|_| stored) {
                    promotion.entry(entry);
                }
                stored
            }
            Err(error) => {
                self.engine.failed(&error, &self.counters);
                false
            }
        }
    }

    /// Takes away what the load ran beside, if that has expired: the result is newer, and where it is not
    /// stored, nobody is to be shown the older one. To be called before the ticket is given up.
    ///
    /// Dropping the future leaves it there or not.
    pub(crate) async fn outdate(&self) {
        // Beside a joined load it is left to that one, whose lease may lie with the entry.
        let is_own = self.lease.is_some() && !self.joined;
        let Some(id) = self.beside.filter(|_| is_own) else {
            return;
        };
        if let Err(error) = self.engine.outdate(self.flight.key(), id).await {
            self.engine.failed(&error, &self.counters);
        }
    }

    /// Gives an error, or another result that is not stored, to those who wait.
    pub fn fail(mut self, error: AnyValue) {
        self.land(State::Failed(error));
    }

    /// Sends those who wait on their own way: the result is not for them.
    pub fn unshared(mut self) {
        self.land(State::Unshared);
    }

    pub(super) fn land_found(mut self, hit: &Hit) {
        self.land(State::Value(Arc::clone(&hit.entry)));
    }

    fn land(&mut self, state: State) {
        self.landed = true;
        self.engine.flights.leave(&self.flight);
        self.flight.tell(state);
        // A lease that was joined is its owner's to give back.
        if let Some(lease) = self.lease.take().filter(|_| !self.joined) {
            self.engine.provider.release(self.flight.key(), lease);
        }
    }
}

/// Drives the load, and the other future as long as the load runs.
async fn beside<F: Future>(load: F, other: impl Future) -> F::Output {
    let (mut load, mut other) = (pin!(load), pin!(other));
    let mut over = false;
    poll_fn(|context| {
        if !over {
            over = other.as_mut().poll(context).is_ready();
        }
        load.as_mut().poll(context)
    })
    .await
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.landed {
            self.land(State::Abandoned);
        }
    }
}

/// A place in the queue of somebody else's load.
#[derive(Debug)]
pub struct Follower {
    engine: Arc<Engine>,
    flight: Arc<Flight>,
    /// When this caller arrived.
    arrived: Moment,
    deadline: Instant,
    counters: Arc<Counters>,
    /// Why this caller did not find the value itself.
    why: Miss,
}

/// What came of somebody else's load.
#[derive(Debug)]
pub enum Followed {
    /// Its value.
    Value(Hit),
    /// What can be had before the value.
    Progress(AnyValue),
    /// Its error.
    Failed(AnyValue),
    /// The result is not for others, or the wait has been too long: compute it for yourself.
    Alone,
    /// The leader gave up, or what it loads was invalidated before this caller arrived: ask again.
    Again,
}

impl Follower {
    pub(super) fn new(
        engine: &Arc<Engine>,
        flight: Arc<Flight>,
        question: &Question,
        why: Miss,
    ) -> Self {
        Self {
            arrived: engine.log.moment(),
            engine: Arc::clone(engine),
            flight,
            deadline: engine.flight_deadline(question.arrived),
            counters: Arc::clone(&question.counters),
            why,
        }
    }

    /// Waits for the value, at most as long as the cache's `flight_wait`.
    ///
    /// Waiting needs a Tokio runtime whose timer is enabled. Where there is no runtime, nobody is
    /// waited for.
    pub async fn wait(self) -> Followed {
        let counters = Arc::clone(&self.counters);
        let followed = self.followed().await;
        if let Followed::Value(hit) = &followed {
            hit.count(&counters);
        }
        followed
    }

    /// Like [`wait`](Self::wait); a value is counted by whoever can use it.
    pub(crate) async fn followed(self) -> Followed {
        self.wait_for(|state| !matches!(state, State::Loading | State::Progress(..)))
            .await
    }

    /// Waits until there is something to be had, be it before the value, at most as long as the
    /// cache's `flight_wait`.
    pub async fn wait_progress(self) -> Followed {
        let counters = Arc::clone(&self.counters);
        let followed = self.wait_for(|state| !matches!(state, State::Loading));
        let followed = followed.await;
        match &followed {
            Followed::Value(hit) => hit.count(&counters),
            Followed::Progress(_) => counters.hit_from(Source::Load, Duration::ZERO),
            _ => {}
        }
        followed
    }

    async fn wait_for(self, enough: impl Fn(&State) -> bool) -> Followed {
        let followed = self.outcome(enough).await;
        if let Followed::Failed(_) | Followed::Alone = followed {
            self.counters.miss(self.why);
        }
        followed
    }

    async fn outcome(&self, enough: impl Fn(&State) -> bool) -> Followed {
        if runtime::Handle::try_current().is_err() {
            return Followed::Alone;
        }
        let Some(_wait) = Wait::begin(&self.flight) else {
            return Followed::Alone;
        };
        let mut states = self.flight.subscribe();
        let state = match timeout_at(self.deadline, states.wait_for(|state| enough(state))).await {
            // Cloned, so that no lock is held while the value is looked at.
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) => State::Abandoned,
            Err(_) => return Followed::Alone,
        };
        match state {
            State::Value(entry) if self.may_see(&entry.meta().tags) => {
                Followed::Value(Hit::new(entry, self.engine.clock.now(), Source::Load))
            }
            State::Progress(progress, tags) if self.may_see(&tags) => Followed::Progress(progress),
            State::Failed(error) if self.may_see_failure() => Followed::Failed(error),
            State::Failed(_) | State::Unshared => Followed::Alone,
            // With each leader that gives up the wait goes on, but not for ever.
            _ if Instant::now() >= self.deadline => Followed::Alone,
            State::Value(_) | State::Progress(..) | State::Abandoned | State::Loading => {
                Followed::Again
            }
        }
    }

    /// Whether nothing was recorded between the load's beginning and this caller's arrival that
    /// could be about a result which carries no tags by itself.
    fn may_see_failure(&self) -> bool {
        self.flight.tags_are_all() || self.arrived == self.flight.began()
    }

    /// Whether nothing that was recorded between the load's beginning and this caller's arrival
    /// matches what was loaded. Its tags may have become known only now.
    ///
    /// A barrier that moved after the arrival hides where it stood before; then the answer is no,
    /// at the price of another load.
    fn may_see(&self, tags: &[Box<str>]) -> bool {
        let began = self.flight.began();
        self.arrived == began || !self.engine.log.hides_load(self.flight.key(), tags, began)
    }
}
