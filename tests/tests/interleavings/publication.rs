//! The publication counter: a hit whose mark equals it looks at no barrier.

use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::sync::{Arc, RwLock};
use shuttle::thread;

use crate::{breaks, holds};

const UNCHECKED: u64 = u64::MAX;

/// What entries are marked with.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// As it is: a counter that moves with whatever may hide an entry.
    Publication,
    /// Broken: the position that was published last.
    Position,
    /// Broken: the highest position that was ever published.
    Maximum,
}

/// When a reader loads the mark.
#[derive(Clone, Copy, PartialEq)]
enum Loaded {
    BeforeTheLook,
    /// Broken.
    AfterTheLook,
}

/// When the mark moves.
#[derive(Clone, Copy, PartialEq)]
enum Published {
    AfterTheBarrier,
    /// Broken.
    BeforeTheBarrier,
}

/// How the algorithm is run.
#[derive(Clone, Copy)]
struct Variant {
    mark: Mark,
    loaded: Loaded,
    published: Published,
}

const AS_IT_IS: Variant = Variant {
    mark: Mark::Publication,
    loaded: Loaded::BeforeTheLook,
    published: Published::AfterTheBarrier,
};

/// `Log`, as far as one entry without tags needs it.
struct Log {
    variant: Variant,
    publication: AtomicU64,
    state: RwLock<State>,
}

struct State {
    barrier: u64,
    pending: bool,
}

/// `Entry`: its stamp's sequence, and its mark.
struct Entry {
    stamp: u64,
    checked: AtomicU64,
}

impl Log {
    /// `take_effect`. Records that are not about the entry leave no barrier for it.
    fn take_effect(&self, sequence: u64, about_the_entry: bool) {
        if self.variant.published == Published::BeforeTheBarrier {
            self.publish(sequence);
        }
        if about_the_entry {
            let mut state = self.state.write().unwrap();
            state.barrier = state.barrier.max(sequence);
        }
        if self.variant.published == Published::AfterTheBarrier {
            self.publish(sequence);
        }
    }

    fn publish(&self, sequence: u64) {
        match self.variant.mark {
            Mark::Publication => self.publication.fetch_add(1, Ordering::AcqRel),
            Mark::Position => self.publication.swap(sequence, Ordering::AcqRel),
            Mark::Maximum => self.publication.fetch_max(sequence, Ordering::AcqRel),
        };
    }

    /// What is pending has no position yet.
    fn pend(&self) {
        self.state.write().unwrap().pending = true;
        if self.variant.mark == Mark::Publication {
            self.publication.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn is_visible(&self, entry: &Entry) -> bool {
        let state = self.state.read().unwrap();
        entry.stamp >= state.barrier && !state.pending
    }

    /// `Engine::judge`.
    fn shows(&self, entry: &Entry) -> bool {
        let publication = self.publication.load(Ordering::Acquire);
        if entry.checked.load(Ordering::Relaxed) == publication {
            return true;
        }
        if !self.is_visible(entry) {
            return false;
        }
        let mark = match self.variant.loaded {
            Loaded::BeforeTheLook => publication,
            Loaded::AfterTheLook => self.publication.load(Ordering::Acquire),
        };
        entry.checked.store(mark, Ordering::Relaxed);
        true
    }
}

/// How the entry is hidden, while another record is applied and readers look.
#[derive(Clone, Copy)]
enum Way {
    Record,
    Pending,
}

fn run(variant: Variant, way: Way) {
    let log = Log {
        variant,
        publication: AtomicU64::new(0),
        state: RwLock::new(State {
            barrier: 0,
            pending: false,
        }),
    };
    let entry = Entry {
        stamp: 0,
        checked: AtomicU64::new(UNCHECKED),
    };
    let world = Arc::new((log, entry, AtomicBool::new(false)));
    let hider = Arc::clone(&world);
    let hiding = thread::spawn(move || {
        match way {
            Way::Record => hider.0.take_effect(1, true),
            Way::Pending => hider.0.pend(),
        }
        hider.2.store(true, Ordering::SeqCst);
    });
    // A node's own record, whose append returned before an older one was delivered.
    let other = Arc::clone(&world);
    let applying = thread::spawn(move || other.0.take_effect(2, false));
    let reader = Arc::clone(&world);
    let reading = thread::spawn(move || look(&reader));
    look(&world);
    hiding.join().unwrap();
    applying.join().unwrap();
    reading.join().unwrap();
    look(&world);
}

/// A read that starts after the invalidation has returned is not shown the entry.
fn look((log, entry, gone): &(Log, Entry, AtomicBool)) {
    let gone = gone.load(Ordering::SeqCst);
    assert!(!log.shows(entry) || !gone, "shown after it was hidden");
}

#[test]
fn a_counter_that_is_loaded_before_the_look_shows_nothing_that_is_hidden() {
    for way in [Way::Record, Way::Pending] {
        holds(move || run(AS_IT_IS, way));
    }
}

/// Positions say nothing of what has none yet.
#[test]
fn the_position_in_place_of_the_counter_is_found_out() {
    let mark = Mark::Position;
    breaks(move || run(Variant { mark, ..AS_IT_IS }, Way::Pending));
}

#[test]
fn the_highest_position_in_place_of_the_counter_is_found_out() {
    let mark = Mark::Maximum;
    for way in [Way::Record, Way::Pending] {
        breaks(move || run(Variant { mark, ..AS_IT_IS }, way));
    }
}

#[test]
fn a_counter_that_is_loaded_after_the_look_is_found_out() {
    let loaded = Loaded::AfterTheLook;
    for way in [Way::Record, Way::Pending] {
        breaks(move || run(Variant { loaded, ..AS_IT_IS }, way));
    }
}

#[test]
fn a_counter_that_moves_before_the_barrier_stands_is_found_out() {
    let published = Published::BeforeTheBarrier;
    let broken = Variant {
        published,
        ..AS_IT_IS
    };
    breaks(move || run(broken, Way::Record));
}
