//! The source of truth, and which of its versions may not be shown any more.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{NODES, TOUCH_BOUND};

/// How many values there are.
pub(super) const KEYS: usize = 24;

/// Values that consist of their versions.
#[derive(Debug)]
pub(super) struct Truth(Vec<Value>);

#[derive(Debug, Default)]
struct Value {
    newest: AtomicU64,
    /// For each node the newest version whose invalidation it has been told to hold.
    held: [AtomicU64; NODES],
    /// When invalidations had reached the server, and the version that each was of.
    applied: Mutex<Vec<(Instant, u64)>>,
}

impl Truth {
    pub(super) fn new() -> Self {
        Self((0..KEYS).map(|_| Value::default()).collect())
    }

    pub(super) fn newest(&self, key: usize) -> u64 {
        self.0[key].newest.load(Ordering::SeqCst)
    }

    /// Writes a new version.
    pub(super) fn write(&self, key: usize) -> u64 {
        self.0[key].newest.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// An invalidation of what was before `version` has returned on `node`.
    pub(super) fn held(&self, node: usize, key: usize, version: u64) {
        self.0[key].held[node].fetch_max(version, Ordering::SeqCst);
    }

    /// The server has it.
    pub(super) fn applied(&self, key: usize, version: u64) {
        let mut applied = self.0[key].applied.lock().expect("the versions");
        applied.push((Instant::now(), version));
    }

    /// The oldest version that a read on `node` may return that begins now: what its own
    /// invalidations left, and, after the touch bound, those of all.
    pub(super) fn oldest_allowed(&self, node: usize, key: usize) -> u64 {
        let value = &self.0[key];
        let own = value.held[node].load(Ordering::SeqCst);
        let now = Instant::now();
        let applied = value.applied.lock().expect("the versions");
        let of_all = applied
            .iter()
            .rev()
            .filter(|(when, _)| *when + TOUCH_BOUND < now)
            .map(|(_, version)| *version)
            .max();
        own.max(of_all.unwrap_or(0))
    }
}
