//! What tests of caches need: contracts as ready-made tests, and the helpers behind them.
//!
//! [`race_table!`](crate::race_table) emits one named test for each way in which a load can race
//! with somebody who makes its value go, [`conformance!`](crate::conformance) one for each thing
//! that a provider must do. The toolkit's own providers run them, and yours can.

mod chaos;
pub mod conformance;
#[doc(hidden)]
pub mod fuzz;
mod gate;
pub mod race;

use std::any::Any;
use std::future::Future;
use std::time::{Duration, Instant};

pub use chaos::{Chaos, ChaosProvider, Fault, Operation};
pub use gate::{Gate, Held};

use crate::cache::Cache;
use crate::clock::ManualClock;
use crate::entry::Owner;
use crate::terms::EntryOptions;

/// Two handles on the same stored values: the one that loads, and the one that acts. They can be
/// the same, or two nodes on one backend.
#[derive(Debug)]
pub struct Nodes {
    /// Loads and reads.
    pub reader: Cache,
    /// Invalidates and writes.
    pub actor: Cache,
    /// The clock that both are built with, if a test can move it.
    clock: Option<ManualClock>,
    /// What must live as long as the test, such as a server.
    keep: Vec<Box<dyn Any + Send>>,
}

impl Nodes {
    /// One handle that does both.
    pub fn one(cache: Cache) -> Self {
        Self::two(cache.clone(), cache)
    }

    /// Two nodes on one backend.
    pub fn two(reader: Cache, actor: Cache) -> Self {
        Self {
            reader,
            actor,
            clock: None,
            keep: Vec::new(),
        }
    }

    /// The clock that the caches were built with, so that checks move it instead of sleeping.
    #[must_use]
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps something alive as long as the test.
    #[must_use]
    pub fn keeping(mut self, keep: impl Any + Send) -> Self {
        self.keep.push(Box::new(keep));
        self
    }

    /// Lets time pass for the backend: by its clock, or, for a real server, by waiting.
    pub async fn elapse(&self, span: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(span),
            None => tokio::time::sleep(span).await,
        }
    }
}

/// Runs a test's future on a runtime of two threads.
///
/// # Panics
///
/// If the machine has no threads to give, or the future panics.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(future)
}

/// Waits until `reader` has applied all that `actor` has, as it does by itself within the
/// backend's delivery time.
///
/// # Panics
///
/// If that takes more than ten seconds.
pub async fn delivered(reader: &Cache, actor: &Cache) {
    let goal = actor.engine().log.stamp();
    let applied = || {
        let stamp = reader.engine().log.stamp();
        stamp.incarnation() == goal.incarnation() && stamp.sequence() >= goal.sequence()
    };
    eventually("the record reaches the reader's node", applied).await;
}

/// How many callers wait for the load of `key` that is under way.
pub fn followers(cache: &Cache, key: &str) -> usize {
    let question = cache.question(key, Owner::HANDLE, &EntryOptions::new());
    question.map_or(0, |question| cache.engine().followers(&question.key))
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If that takes more than ten seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
