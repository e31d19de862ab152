//! Flights and leases in one process: what a load brings that began before an invalidation.

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread;

use crate::{breaks, holds};

/// What is taken out.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// The invalidation leaves the key's flight in the table.
    NoFence,
    /// The lease is looked at in one step, and the entry stored in another.
    TornFill,
    /// The invalidation takes the entry away and leaves the lease.
    LeaseStays,
}

/// `Flight`: followers wait until there is a value.
struct Flight {
    id: u64,
    value: Mutex<Option<u64>>,
    landed: Condvar,
}

/// `Store`: the entry and the lease of one key, under the key's lock.
#[derive(Default)]
struct Store {
    entry: Option<u64>,
    lease: Option<u64>,
}

struct Engine {
    broken: Broken,
    flight: Mutex<Option<Arc<Flight>>>,
    store: Mutex<Store>,
    truth: AtomicU64,
    /// The version below which everything has been invalidated, and the call has returned.
    said: AtomicU64,
    next: AtomicU64,
}

impl Engine {
    /// `get_or_set`.
    fn read(&self) -> u64 {
        let entry = self.store.lock().unwrap().entry;
        if let Some(version) = entry {
            return version;
        }
        let (flight, leads) = self.enter();
        if leads {
            self.lead(&flight)
        } else {
            follow(&flight)
        }
    }

    /// `Flights::enter`.
    fn enter(&self) -> (Arc<Flight>, bool) {
        let mut shard = self.flight.lock().unwrap();
        if let Some(flight) = &*shard {
            return (Arc::clone(flight), false);
        }
        let flight = Arc::new(Flight {
            id: self.next.fetch_add(1, Ordering::SeqCst),
            value: Mutex::new(None),
            landed: Condvar::new(),
        });
        *shard = Some(Arc::clone(&flight));
        (flight, true)
    }

    /// `Engine::lead`, the load, and `Ticket::publish`.
    fn lead(&self, flight: &Flight) -> u64 {
        let version = match self.lease(flight.id) {
            Some(found) => found,
            None => {
                let version = self.truth.load(Ordering::SeqCst);
                thread::yield_now();
                self.fill(flight.id, version);
                version
            }
        };
        self.leave(flight);
        *flight.value.lock().unwrap() = Some(version);
        flight.landed.notify_all();
        version
    }

    /// `Store::lease`.
    fn lease(&self, token: u64) -> Option<u64> {
        let mut store = self.store.lock().unwrap();
        if store.entry.is_none() {
            store.lease = Some(token);
        }
        store.entry
    }

    /// `Store::fill`.
    fn fill(&self, token: u64, version: u64) {
        let mut store = self.store.lock().unwrap();
        if store.lease != Some(token) {
            return;
        }
        if self.broken == Broken::TornFill {
            drop(store);
            store = self.store.lock().unwrap();
        }
        *store = Store {
            entry: Some(version),
            lease: None,
        };
    }

    /// `Flights::leave`.
    fn leave(&self, flight: &Flight) {
        let mut shard = self.flight.lock().unwrap();
        if shard.as_ref().is_some_and(|it| it.id == flight.id) {
            *shard = None;
        }
    }

    /// `MemoryProvider::invalidate` of a key: what stands in the store, then the flight.
    fn invalidate(&self) {
        self.take();
        if self.broken != Broken::NoFence {
            self.fence();
        }
    }

    /// `Store::take`.
    fn take(&self) {
        let mut store = self.store.lock().unwrap();
        store.entry = None;
        if self.broken != Broken::LeaseStays {
            store.lease = None;
        }
    }

    fn fence(&self) {
        *self.flight.lock().unwrap() = None;
    }
}

fn follow(flight: &Flight) -> u64 {
    let mut value = flight.value.lock().unwrap();
    loop {
        if let Some(version) = *value {
            return version;
        }
        value = flight.landed.wait(value).unwrap();
    }
}

fn run(broken: Broken) {
    let engine = Arc::new(Engine {
        broken,
        flight: Mutex::new(None),
        store: Mutex::default(),
        truth: AtomicU64::new(1),
        said: AtomicU64::new(1),
        next: AtomicU64::new(0),
    });
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || (0..2).for_each(|_| look(&engine)))
        })
        .collect();
    engine.truth.store(2, Ordering::SeqCst);
    engine.invalidate();
    engine.said.store(2, Ordering::SeqCst);
    look(&engine);
    for reader in readers {
        reader.join().unwrap();
    }
    look(&engine);
}

/// A read that starts after the invalidation has returned sees nothing that was loaded before.
fn look(engine: &Engine) {
    let said = engine.said.load(Ordering::SeqCst);
    let read = engine.read();
    assert!(read >= said, "{read} was read after {said} was said");
}

#[test]
fn a_load_that_began_before_the_invalidation_reaches_nobody_who_comes_after() {
    holds(|| run(Broken::Nothing));
}

#[test]
fn a_flight_that_is_not_fenced_is_found_out() {
    breaks(|| run(Broken::NoFence));
}

#[test]
fn a_fill_in_two_steps_is_found_out() {
    breaks(|| run(Broken::TornFill));
}

#[test]
fn a_lease_that_outlives_the_invalidation_is_found_out() {
    breaks(|| run(Broken::LeaseStays));
}
