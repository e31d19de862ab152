//! The invalidation log as this node knows it: what has been applied, and what that hides.

mod barriers;
mod issued;
mod lineage;
mod loss;
mod pending;
mod record;
mod stamp;
#[cfg(test)]
mod tests;
mod undo;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

pub use barriers::{Barriers, Caps};
pub use lineage::Lineage;
pub use pending::MAX_PENDING;
pub use record::{Kind, Positioned, Record};
pub use stamp::{Incarnation, Stamp};
pub use undo::Undo;

use issued::Issued;
use loss::Held;
use pending::Pending;

use crate::clock::Timestamp;
use crate::deferred;
use crate::entry::Meta;
use crate::events::{Event, Hub, Told};

/// No log gets here, and a script's floating-point number still does exactly.
const BEYOND_ALL: u64 = 1 << 53;

/// Told of single keys whose loads in flight, and copies, must not outlive a record.
pub trait Watcher: Send + Sync {
    /// What is known or being loaded of `key` is old from here on.
    fn fence(&self, key: &str);

    /// All that is known is in doubt.
    fn fence_all(&self);
}

/// One node's view of the log that orders invalidations; clones share it.
///
/// A provider has one. Where the backend is shared by several processes the provider feeds the
/// backend's records to [`apply`](Self::apply); else [`local`](Self::local) is all there is.
///
/// A record takes effect in this order: its barrier stands, watchers have fenced what is in
/// flight, the publication counter moves, the position counts as applied. A reader loads the
/// counter before it looks anything up and marks what it found visible with that value, so an
/// entry whose mark equals the counter needs no further look.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    publication: AtomicU64,
    /// Until when, in microseconds, answers may be given on what is known.
    touch: AtomicU64,
    /// For how many microseconds after the backend was last heard of.
    touch_bound: AtomicU64,
    state: RwLock<State>,
    /// Held while a batch of records is applied, so that they take effect in sequence.
    applying: Mutex<()>,
    watchers: RwLock<Vec<Weak<dyn Watcher>>>,
    events: Arc<Hub>,
}

struct State {
    stamp: Stamp,
    lineage: Lineage,
    barriers: Barriers,
    pending: Pending,
    issued: Issued,
}

impl State {
    fn moment(&self) -> Moment {
        Moment {
            stamp: self.stamp,
            turn: self.pending.turn(),
        }
    }

    /// Whether a position says anything in this incarnation.
    fn counts(&self, stamp: Stamp) -> bool {
        stamp.incarnation() == self.stamp.incarnation() || self.lineage.shows(stamp)
    }

    /// Lets what this node had applied, and the state of a new incarnation lacks, wait for the
    /// backend. Where that hides all that was stored before, it is what this node has issued
    /// lately: an old primary may have taken it, when others had stored values on the new one.
    fn keep_lost(&mut self, lineage: &Lineage, barriers: &Barriers, root: &str) {
        let held = Held {
            incarnation: self.stamp.incarnation(),
            barriers: &self.barriers,
        };
        let lost = held.lost(lineage, barriers, root);
        for record in lost.unwrap_or_else(|| self.issued.take(root)) {
            self.pending.push(&record, root);
        }
    }
}

/// When something began, as this node counts: in the log, and among what waits to get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Up to where the log had been applied.
    pub stamp: Stamp,
    turn: u64,
}

/// How far an invalidation has come when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidated {
    /// It holds on this node, and the backend has it for all others.
    Applied,
    /// It holds on this node. The backend could not be reached, or did not answer; it is told
    /// when it can be, unless this process ends before. Until then others may show what they have.
    Pending,
}

/// Records are missing between what was applied and what was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap;

impl Log {
    /// The log of a provider that no other process shares: always in touch.
    pub fn local(caps: Caps) -> Self {
        let log = Self::remote(caps);
        log.0.touch.store(u64::MAX, Ordering::Release);
        log
    }

    /// The view of a log that is shared: out of touch until [`touched`](Self::touched) is called.
    pub fn remote(caps: Caps) -> Self {
        Self(Arc::new(Inner {
            publication: AtomicU64::new(0),
            touch: AtomicU64::new(0),
            touch_bound: AtomicU64::new(0),
            state: RwLock::new(State {
                stamp: Stamp::new(Incarnation::random(0), 0),
                lineage: Lineage::default(),
                barriers: Barriers::new(caps),
                pending: Pending::new(),
                issued: Issued::default(),
            }),
            applying: Mutex::new(()),
            watchers: RwLock::new(Vec::new()),
            events: Arc::default(),
        }))
    }

    /// Up to where this node has applied the log without gaps.
    pub fn stamp(&self) -> Stamp {
        self.read(|state| state.stamp)
    }

    /// What a load that begins now is as new as.
    pub fn moment(&self) -> Moment {
        self.read(State::moment)
    }

    /// Moves with every record that may hide an entry. Load it before looking anything up.
    pub fn publication(&self) -> u64 {
        self.0.publication.load(Ordering::Acquire)
    }

    /// Whether answers may be given on what is known at `now`.
    pub fn in_touch(&self, now: Timestamp) -> bool {
        now.as_micros() < self.0.touch.load(Ordering::Acquire)
    }

    /// Everything that was recorded before has been applied; that holds good until `until`.
    pub fn touched(&self, until: Timestamp) {
        self.0.touch.fetch_max(until.as_micros(), Ordering::AcqRel);
    }

    /// Says how long answers are given on what is known after the backend was last heard of.
    pub fn keep_touch_for(&self, bound: Duration) {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        self.0.touch_bound.store(micros, Ordering::Release);
    }

    /// Whether a caller that arrives at `now` may have what a load brings that began at `began`.
    ///
    /// A node out of touch has not heard of what was invalidated since, and must not show what
    /// was invalidated longer ago than it may be out of touch: it shares younger loads only.
    pub fn may_share(&self, began: Timestamp, now: Timestamp) -> bool {
        let bound = Duration::from_micros(self.0.touch_bound.load(Ordering::Acquire));
        self.in_touch(now) || now.since(began) < bound
    }

    /// Whether an entry at `key` may be shown, judged by the log alone: not by time.
    pub fn is_visible(&self, key: &str, meta: &Meta) -> bool {
        self.shows(key, &meta.tags, meta.stamp)
    }

    /// Whether what is computed as of `stamp`, with these tags, may be shown at `key`.
    pub fn shows(&self, key: &str, tags: &[Box<str>], stamp: Stamp) -> bool {
        self.read(|state| {
            state.counts(stamp)
                && stamp.sequence() >= state.barriers.visible_from(key, tags)
                && state.pending.visible_from(key, tags) == 0
        })
    }

    /// Like [`is_visible`](Self::is_visible), as if the records that `undo` was taken for had not
    /// been appended since.
    pub fn was_visible(&self, key: &str, meta: &Meta, undo: &Undo) -> bool {
        self.read(|state| {
            state.counts(meta.stamp)
                && meta.stamp.sequence()
                    >= state.barriers.visible_from_before(key, &meta.tags, undo)
        })
    }

    /// What a record of `pattern` would replace; take it before appending the record.
    pub fn undo(&self, pattern: &str) -> Undo {
        self.undo_all(&[Record::Pattern(pattern.into())])
    }

    /// What these records would replace; take it before appending them.
    pub fn undo_all(&self, records: &[Record]) -> Undo {
        self.read(|state| {
            let mut undo = Undo::default();
            for record in records {
                let (kind, argument) = (record.kind(), record.argument());
                let previous = state.barriers.position(kind, argument);
                undo.0[kind.index()].insert(argument.into(), previous);
            }
            undo
        })
    }

    /// The first sequence from which on an entry without tags at `key` is visible, and the
    /// incarnation that it must have. No entry is, while a record that matches the key waits for
    /// the backend.
    pub fn visible_from(&self, key: &str) -> Stamp {
        self.read(|state| {
            let sequence = match state.pending.visible_from(key, &[]) {
                0 => state.barriers.visible_from(key, &[]),
                _ => BEYOND_ALL,
            };
            Stamp::new(state.stamp.incarnation(), sequence)
        })
    }

    /// What is older than this counts as hidden, by the records of this kind that are forgotten.
    #[cfg(feature = "disk")]
    pub(crate) fn floor(&self, kind: Kind) -> u64 {
        self.read(|state| state.barriers.floor(kind))
    }

    /// The wanted ones of the keys that are remembered as invalidated, and by which record.
    #[cfg(feature = "redis-cluster")]
    pub(crate) fn keys_held(&self, wanted: impl Fn(&str) -> bool) -> Vec<(Box<str>, Stamp)> {
        self.read(|state| {
            let incarnation = state.stamp.incarnation();
            let held = state.barriers.held(Kind::Key);
            held.filter(|(_, key)| wanted(key))
                .map(|(sequence, key)| (key.into(), Stamp::new(incarnation, sequence)))
                .collect()
        })
    }

    /// Whether a record that the load began before matches what it loaded.
    pub fn hides_load(&self, key: &str, tags: &[Box<str>], began: Moment) -> bool {
        self.read(|state| {
            !state.counts(began.stamp)
                || began.stamp.sequence() < state.barriers.visible_from(key, tags)
                || began.turn < state.pending.visible_from(key, tags)
        })
    }

    /// What was [`issued`](Self::issued) does not wait for another server: it is still the same.
    pub fn forget_issued(&self) {
        self.write(|state| state.issued = Issued::default());
    }

    /// Remembers records that the backend has taken at `now`, in this incarnation. Should it turn
    /// out that they went to a server that did not count any more, they wait for its successor:
    /// see [`pending`](Self::pending). False if that is known already: nothing is remembered then.
    pub fn issued(&self, incarnation: Incarnation, records: &[Record], now: Timestamp) -> bool {
        let bound = Duration::from_micros(self.0.touch_bound.load(Ordering::Acquire));
        self.write(|state| {
            let is_current = state.stamp.incarnation() == incarnation;
            for record in records.iter().filter(|_| is_current) {
                state.issued.push(record, now, bound);
            }
            is_current
        })
    }

    /// Lets records hold on this node that the backend has not taken, in the deployment whose
    /// root scope is `root`. They wait for [`delivered`](Self::delivered).
    pub fn pend(&self, records: &[Record], root: &str) {
        deferred::section(|| {
            let _applying = self.applying();
            for record in records {
                self.write(|state| state.pending.push(record, root));
                if let Record::Key(key) | Record::Changed(key) = record {
                    self.fence(key);
                }
            }
            self.0.publication.fetch_add(1, Ordering::AcqRel);
            records.iter().for_each(|record| self.tell(record));
        });
    }

    /// Whether anything waits for the backend.
    pub fn has_pending(&self) -> bool {
        self.read(|state| !state.pending.is_empty())
    }

    /// What waits for the backend, oldest first, and the moment up to which it came.
    pub fn pending(&self) -> (Vec<Record>, Moment) {
        self.read(|state| (state.pending.queue(), state.moment()))
    }

    /// The backend has taken what [`pending`](Self::pending) returned with this moment, and this
    /// node has applied it.
    pub fn delivered(&self, came: Moment) {
        let _applying = self.applying();
        self.write(|state| state.pending.delivered(came.turn));
    }

    /// Appends to a local log: when this returns, the record holds.
    ///
    /// Single keys leave no barrier here: the provider removes the entry and voids the lease
    /// under the key's lock, and watchers fence the load.
    pub fn append_local(&self, record: &Record) {
        if let Record::Key(key) | Record::Changed(key) = record {
            self.fence(key);
            // Whether a write replaced anything is known, and told, by who stored it.
            return match record {
                Record::Changed(_) => (),
                _ => self.tell(record),
            };
        }
        deferred::section(|| {
            let _applying = self.applying();
            self.take_effect(self.stamp().sequence() + 1, record);
        });
    }

    /// Applies the records of a shared log that are not applied yet, in sequence.
    ///
    /// # Errors
    ///
    /// [`Gap`] if one is missing, or they are of another incarnation: [`reset`](Self::reset) is
    /// needed. What came before the gap has been applied.
    pub fn apply(&self, incarnation: Incarnation, records: &[Positioned]) -> Result<(), Gap> {
        deferred::section(|| self.apply_in_sequence(incarnation, records))
    }

    fn apply_in_sequence(
        &self,
        incarnation: Incarnation,
        records: &[Positioned],
    ) -> Result<(), Gap> {
        let _applying = self.applying();
        let current = self.stamp();
        if current.incarnation() != incarnation {
            return Err(Gap);
        }
        let mut applied = current.sequence();
        for Positioned { sequence, record } in records {
            if *sequence <= applied {
                continue;
            }
            if *sequence != applied + 1 {
                return Err(Gap);
            }
            self.take_effect(*sequence, record);
            applied = *sequence;
        }
        Ok(())
    }

    /// Takes over the compact state of a shared log, after a gap, a restart, or at the start, and
    /// shows nothing of other incarnations.
    pub fn reset(&self, stamp: Stamp, barriers: Barriers) {
        self.inherit(stamp, barriers, Lineage::default(), "");
    }

    /// Like [`reset`](Self::reset), where the incarnation descends from others. What this node had
    /// applied of them and the state has lost waits for the backend from here on: see
    /// [`pending`](Self::pending), and there for `root`.
    pub fn inherit(&self, stamp: Stamp, barriers: Barriers, lineage: Lineage, root: &str) {
        deferred::section(|| self.take_over(stamp, barriers, lineage, root));
    }

    fn take_over(&self, stamp: Stamp, barriers: Barriers, lineage: Lineage, root: &str) {
        let _applying = self.applying();
        let current = self.stamp();
        if current.incarnation() == stamp.incarnation() && current.sequence() >= stamp.sequence() {
            return;
        }
        self.write(|state| {
            if state.stamp.incarnation() != stamp.incarnation() {
                // One step with taking over: at no time does nothing hide what was lost.
                state.keep_lost(&lineage, &barriers, root);
                // At once: the new barriers say nothing about entries of the old incarnation.
                state.stamp = stamp;
            }
            state.barriers = barriers;
            state.lineage = lineage;
        });
        self.for_each_watcher(|watcher| watcher.fence_all());
        self.publish(stamp);
        self.0.events.tell(|| Told::of(Event::Resynced));
    }

    /// Registers somebody who must hear of records; forgotten when dropped.
    pub fn watch(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = self
            .0
            .watchers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(watcher);
    }

    /// Fences what is in flight for `key` on this node, without a record.
    pub fn fence(&self, key: &str) {
        self.for_each_watcher(|watcher| watcher.fence(key));
    }

    /// All that is known is in doubt: others may have changed it.
    #[cfg(feature = "disk")]
    pub(crate) fn fence_all(&self) {
        self.for_each_watcher(|watcher| watcher.fence_all());
    }

    fn take_effect(&self, sequence: u64, record: &Record) {
        let stamp = self.write(|state| {
            state.barriers.insert(record, sequence);
            Stamp::new(state.stamp.incarnation(), sequence)
        });
        if let Record::Key(key) | Record::Changed(key) = record {
            self.fence(key);
        }
        self.publish(stamp);
        self.tell(record);
    }

    fn tell(&self, record: &Record) {
        self.0.events.tell(|| record.told());
    }

    /// Where this provider's events come together.
    pub(crate) fn events(&self) -> &Arc<Hub> {
        &self.0.events
    }

    fn publish(&self, stamp: Stamp) {
        self.0.publication.fetch_add(1, Ordering::AcqRel);
        self.write(|state| state.stamp = stamp);
    }

    fn for_each_watcher(&self, tell: impl Fn(&dyn Watcher)) {
        let watchers = self
            .0
            .watchers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter().filter_map(Weak::upgrade) {
            tell(&*watcher);
        }
    }

    fn applying(&self) -> MutexGuard<'_, ()> {
        self.0
            .applying
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("stamp", &self.stamp())
            .field("publication", &self.publication())
            .finish_non_exhaustive()
    }
}
