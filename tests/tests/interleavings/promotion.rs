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
    /// Applying the record voids the fence for one of those who hold it.
    VoidedForOne,
    /// Who finds a fence puts his own in its place.
    Replaced,
    /// The first who gives his fence back takes it from the others.
    ReleasedByFirst,
}

/// `Store` of `Near`: the copy and the fence of one key, under the key's lock.
#[derive(Default)]
struct Store {
    copy: Option<u64>,
    lease: Option<Standing>,
}

#[derive(Clone, Copy)]
struct Standing {
    token: u64,
    holders: usize,
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
        self.release(token);
        version
    }

    /// `Near::fence`, and `Store::join` in it.
    fn fence(&self) -> u64 {
        let token = self.next.fetch_add(1, Ordering::SeqCst);
        let mut near = self.near.lock().unwrap();
        let joins = self.broken != Broken::Replaced;
        let standing = near.lease.filter(|_| joins);
        let (token, holders) = standing.map_or((token, 0), |it| (it.token, it.holders));
        let holders = holders + 1;
        near.lease = Some(Standing { token, holders });
        token
    }

    /// `Store::fill`.
    fn fill(&self, token: u64, version: u64) {
        let mut near = self.near.lock().unwrap();
        let stands = near.lease.is_some_and(|it| it.token == token);
        if stands || self.broken == Broken::NoFence {
            *near = Store {
                copy: Some(version),
                lease: None,
            };
        }
    }

    /// `Store::release`.
    fn release(&self, token: u64) {
        let mut near = self.near.lock().unwrap();
        let others = |it: Standing| Standing {
            holders: it.holders - 1,
            ..it
        };
        let ends = |it: &Standing| it.holders == 0 || self.broken == Broken::ReleasedByFirst;
        if let Some(held) = near.lease.filter(|it| it.token == token) {
            near.lease = Some(others(held)).filter(|it| !ends(it));
        }
    }

    /// `Log::apply` of `Changed`: it leaves no barrier that would hide the copy.
    fn apply_changed(&self, version: u64) {
        let mut near = self.near.lock().unwrap();
        near.copy = None;
        near.lease = match (self.broken, near.lease) {
            (Broken::FenceStays, lease) => lease,
            (Broken::VoidedForOne, Some(held)) if held.holders > 1 => Some(Standing {
                holders: held.holders - 1,
                ..held
            }),
            _ => None,
        };
        drop(near);
        self.applied.store(version, Ordering::SeqCst);
    }
}

fn node(broken: Broken) -> Arc<Node> {
    Arc::new(Node {
        broken,
        near: Mutex::default(),
        remote: AtomicU64::new(1),
        applied: AtomicU64::new(1),
        next: AtomicU64::new(0),
    })
}

fn run(broken: Broken) {
    let node = node(broken);
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

/// Nothing is written. One reader gives up, another does not, whatever others do meanwhile.
fn overlap(broken: Broken) {
    let node = node(broken);
    let given_up = thread::spawn({
        let node = Arc::clone(&node);
        move || node.release(node.fence())
    });
    let other = thread::spawn({
        let node = Arc::clone(&node);
        move || {
            node.ask();
            assert!(node.near.lock().unwrap().copy.is_some(), "no copy is made");
        }
    });
    given_up.join().unwrap();
    other.join().unwrap();
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

#[test]
fn a_fence_that_is_voided_for_one_of_its_holders_is_found_out() {
    breaks(|| run(Broken::VoidedForOne));
}

#[test]
fn who_asks_makes_a_copy_whoever_asks_meanwhile() {
    holds(|| overlap(Broken::Nothing));
}

#[test]
fn fences_that_replace_each_other_are_found_out() {
    breaks(|| overlap(Broken::Replaced));
}

#[test]
fn a_fence_that_ends_with_its_first_holder_is_found_out() {
    breaks(|| overlap(Broken::ReleasedByFirst));
}
