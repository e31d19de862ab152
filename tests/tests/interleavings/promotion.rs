//! The memory tier: what another node has written while this one was copying what it replaced.

use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use crate::{breaks, holds};

/// What is taken out.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    /// Copies are made whatever was applied meanwhile.
    NoFence,
    /// The fence is left after the remote tier was asked.
    FencedLate,
    /// Applying the record takes the copy away, and leaves the fence.
    FenceStays,
}

/// `Store` of `Near`: the copy and the fence of one key, under the key's lock.
#[derive(Default)]
struct Store {
    copy: Option<u64>,
    lease: Option<u64>,
}

struct Node {
    broken: Broken,
    near: Mutex<Store>,
    remote: AtomicU64,
    /// The version whose `Changed` record has been applied here.
    applied: AtomicU64,
    next: AtomicU64,
}

impl Node {
    /// `Engine::look_far`.
    fn read(&self) -> u64 {
        let copy = self.near.lock().unwrap().copy;
        copy.unwrap_or_else(|| self.ask())
    }

    /// `Engine::ask`, and the promotion of what it is answered.
    fn ask(&self) -> u64 {
        let early = (self.broken != Broken::FencedLate).then(|| self.fence());
        let version = self.remote.load(Ordering::SeqCst);
        let token = early.unwrap_or_else(|| self.fence());
        self.fill(token, version);
        version
    }

    /// `Near::fence`.
    fn fence(&self) -> u64 {
        let token = self.next.fetch_add(1, Ordering::SeqCst);
        self.near.lock().unwrap().lease = Some(token);
        token
    }

    /// `Store::fill`.
    fn fill(&self, token: u64, version: u64) {
        let mut near = self.near.lock().unwrap();
        if near.lease == Some(token) || self.broken == Broken::NoFence {
            *near = Store {
                copy: Some(version),
                lease: None,
            };
        }
    }

    /// `Log::apply` of `Changed`: it leaves no barrier that would hide the copy.
    fn apply_changed(&self, version: u64) {
        let mut near = self.near.lock().unwrap();
        near.copy = None;
        if self.broken != Broken::FenceStays {
            near.lease = None;
        }
        drop(near);
        self.applied.store(version, Ordering::SeqCst);
    }
}

fn run(broken: Broken) {
    let node = Arc::new(Node {
        broken,
        near: Mutex::default(),
        remote: AtomicU64::new(1),
        applied: AtomicU64::new(1),
        next: AtomicU64::new(0),
    });
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let node = Arc::clone(&node);
            thread::spawn(move || look(&node))
        })
        .collect();
    for version in 2..4 {
        node.remote.store(version, Ordering::SeqCst);
        node.apply_changed(version);
    }
    for reader in readers {
        reader.join().unwrap();
    }
    look(&node);
}

/// A read that starts after the write was delivered sees nothing older.
fn look(node: &Node) {
    let applied = node.applied.load(Ordering::SeqCst);
    let read = node.read();
    assert!(
        read >= applied,
        "{read} was read after {applied} was applied"
    );
}

#[test]
fn no_copy_is_made_of_what_was_replaced_meanwhile() {
    holds(|| run(Broken::Nothing));
}

#[test]
fn a_promotion_without_a_fence_is_found_out() {
    breaks(|| run(Broken::NoFence));
}

#[test]
fn a_fence_that_is_left_after_the_question_is_found_out() {
    breaks(|| run(Broken::FencedLate));
}

#[test]
fn a_fence_that_outlives_the_record_is_found_out() {
    breaks(|| run(Broken::FenceStays));
}
