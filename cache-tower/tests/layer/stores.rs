//! Backends that are slow, that hold bytes, or that are down.

use std::time::Duration;

use cache_core::testkit::{Chaos, ChaosProvider, Fault, Gate, Operation};
use cache_core::{Cache, MemoryProvider};

/// A cache whose backend cannot be reached.
pub(crate) fn down() -> Cache {
    with(|chaos| {
        chaos.away(true);
    })
}

/// A cache whose backend holds bytes, as one in another process does.
pub(crate) fn remote() -> Cache {
    let (provider, _chaos) = ChaosProvider::remote();
    Cache::builder(provider).build().unwrap()
}

/// A cache that stores the results of loads when the gate is open.
pub(crate) fn slow() -> (Gate, Cache) {
    held(Operation::Fill)
}

/// A cache whose invalidations wait for the gate.
pub(crate) fn slow_invalidation() -> (Gate, Cache) {
    held(Operation::Invalidate)
}

/// A cache whose backend is told of invalidations later.
pub(crate) fn away() -> Cache {
    with(|chaos| {
        chaos.pending(true);
    })
}

/// A cache whose first entry comes back as bytes that nothing can be read from.
pub(crate) fn damaging() -> Cache {
    with(|chaos| {
        chaos.garble(1);
    })
}

fn with(prepare: impl FnOnce(&Chaos)) -> Cache {
    let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
    prepare(&chaos);
    // Longer than any test, so that a follower is not sent on its way by the clock.
    let patient = Cache::builder(provider).flight_wait(Duration::from_secs(60));
    patient.build().unwrap()
}

fn held(operation: Operation) -> (Gate, Cache) {
    let (gate, held) = Gate::new();
    let cache = with(|chaos| {
        chaos.every(operation, Fault::Hold(held));
    });
    (gate, cache)
}
