//! Readers and writers on all nodes, and what they see.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::Invalidated;
use tokio::task::JoinHandle;

use super::LOAD;
use super::deployment::Node;
use super::truth::{KEYS, Truth};

/// How many callers read on each node at a time.
const READERS: u64 = 4;
/// From one call of a reader to its next.
const READ_PAUSE: Duration = Duration::from_millis(1);
/// From one write on a node to its next.
const WRITE_PAUSE: Duration = Duration::from_millis(15);
/// A call that is not answered by then counts as an error.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often an invalidation that was refused is tried again.
const RETRIES: usize = 200;

/// What callers saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Calls of `get_or_set_with`.
    pub calls: u64,
    /// Calls that panicked, or were not answered within ten seconds.
    pub errors: u64,
    /// Calls that returned a version that they must not.
    pub stale: u64,
    /// The longest call of `get_or_set_with`.
    pub longest: Duration,
    /// Invalidations that the server had when they returned.
    pub applied: u64,
    /// Invalidations that were kept for later.
    pub pending: u64,
    /// Invalidations that were refused, and tried again by the writer.
    pub refused: u64,
}

/// Tasks that go on until they are stopped.
pub(super) struct Traffic {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Seen>>,
}

/// What a task needs.
#[derive(Clone)]
struct Caller {
    node: Arc<Node>,
    truth: Arc<Truth>,
    stop: Arc<AtomicBool>,
    /// Key and version of what waits to be delivered.
    waiting: Arc<Mutex<Vec<(usize, u64)>>>,
    dice: Dice,
}

impl Traffic {
    pub(super) fn start(nodes: &[Arc<Node>], truth: &Arc<Truth>) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut tasks = Vec::new();
        for node in nodes {
            let caller = Caller {
                node: Arc::clone(node),
                truth: Arc::clone(truth),
                stop: Arc::clone(&stop),
                waiting: Arc::default(),
                dice: Dice(node.index as u64 * 100),
            };
            for reader in 1..=READERS {
                let dice = Dice(caller.dice.0 + reader);
                tasks.push(tokio::spawn(
                    Caller {
                        dice,
                        ..caller.clone()
                    }
                    .read(),
                ));
            }
            tasks.push(tokio::spawn(caller.clone().write()));
            tasks.push(tokio::spawn(caller.watch_deliveries()));
        }
        Self { stop, tasks }
    }

    pub(super) async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut sum = Seen::default();
        for task in self.tasks {
            sum.add(task.await.unwrap_or(Seen {
                errors: 1,
                ..Seen::default()
            }));
        }
        sum
    }
}

impl Caller {
    async fn read(mut self) -> Seen {
        let mut seen = Seen::default();
        while self.goes_on() {
            let key = self.dice.below(KEYS);
            let oldest = self.truth.oldest_allowed(self.node.index, key);
            let began = Instant::now();
            let load = async || {
                let version = self.truth.newest(key);
                tokio::time::sleep(LOAD).await;
                version
            };
            let call = tokio::time::timeout(GIVE_UP, self.node.read(key, load)).await;
            seen.calls += 1;
            seen.longest = seen.longest.max(began.elapsed());
            match call {
                Ok(version) => seen.stale += u64::from(version < oldest),
                Err(_) => seen.errors += 1,
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
        seen
    }

    async fn write(mut self) -> Seen {
        let mut seen = Seen::default();
        while self.goes_on() {
            let (key, way) = (self.dice.below(KEYS), self.dice.roll());
            let version = self.truth.write(key);
            self.invalidate(key, version, way, &mut seen).await;
            tokio::time::sleep(WRITE_PAUSE).await;
        }
        seen
    }

    /// A refusal is an error that the writer is told of; it tries again.
    async fn invalidate(&self, key: usize, version: u64, way: u64, seen: &mut Seen) {
        for _ in 0..RETRIES {
            match self.node.invalidate(key, way).await {
                Ok(Invalidated::Applied) => {
                    seen.applied += 1;
                    self.truth.held(self.node.index, key, version);
                    return self.truth.applied(key, version);
                }
                Ok(_) => {
                    seen.pending += 1;
                    self.truth.held(self.node.index, key, version);
                    return self.waiting().push((key, version));
                }
                Err(_) => seen.refused += 1,
            }
            tokio::time::sleep(WRITE_PAUSE).await;
        }
    }

    /// What was waiting before nothing waits any more has been delivered.
    async fn watch_deliveries(self) -> Seen {
        while self.goes_on() {
            tokio::time::sleep(WRITE_PAUSE).await;
            let mut waited = std::mem::take(&mut *self.waiting());
            if self.node.has_pending() {
                self.waiting().append(&mut waited);
            }
            for (key, version) in waited {
                self.truth.applied(key, version);
            }
        }
        Seen::default()
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(usize, u64)>> {
        self.waiting.lock().expect("what waits")
    }
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.stale += other.stale;
        self.longest = self.longest.max(other.longest);
        self.applied += other.applied;
        self.pending += other.pending;
        self.refused += other.refused;
    }
}

/// Numbers that look random and are the same in every run: splitmix64.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}
