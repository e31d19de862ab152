//! A lock that is held.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::check_ttl;
use super::held::{Held, Keeper};
use crate::error::Result;

/// A lock that is held: until it is [released](Self::release), dropped, or its time to live has
/// passed.
///
/// # What it promises
///
/// As long as the backend keeps its memory, and clocks run equally fast, no two guards of one name
/// hold the lock at one moment, in whatever processes. Only the guard that holds it can
/// [extend](Self::extend) or release it: both compare a random token in one step with what they do,
/// so that one who comes too late does nothing to the next holder.
///
/// # What it cannot promise
///
/// A lease ends while its holder still believes in it whenever the holder is suspended, swapped out
/// or busy for longer than it was given, or when its clock stands still, as it does while a machine
/// sleeps. A Redis that restarts empty, is emptied, evicts the lock or fails over to a replica that
/// had not heard of it gives the same lock out a second time, and so does an old primary that goes
/// on answering some. Asking five servers instead of one, as Redlock does, makes the second kind
/// rarer and leaves the first as it is; Antirez and Kleppmann have argued about how rare (["How to
/// do distributed
/// locking"](https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html), 2016, and
/// ["Is Redlock safe?"](https://antirez.com/news/101), 2016). Kleppmann's way out is the one that
/// holds in all cases: the resource itself refuses whoever comes with a smaller number than it has
/// seen. That is what [`fencing`](Self::fencing) is for. Without such a check the lock spares work,
/// and is no ground for correctness.
///
/// # Dropping it
///
/// In memory the lock is free at once. On Redis it is released by a task in the background if the
/// guard is dropped inside a Tokio runtime that goes on running; otherwise, if the server cannot be
/// reached then, or the process dies, others wait until the time to live has passed.
/// [`release`](Self::release) says whether it was held to the end; a drop does not.
///
/// # Beside the distributed lock of loads
///
/// [`CacheBuilder::distributed_lock`](crate::CacheBuilder::distributed_lock) has processes wait for
/// each other's loads by the lease that a load leaves at its key. Both are leases by token; they
/// share nothing else, and no load takes one of these.
///
/// `clear` and `invalidate*` leave locks alone, and no scan shows them.
pub struct LockGuard {
    /// Dropped first.
    keeper: Option<Keeper>,
    held: Arc<Held>,
    fencing: u64,
}

impl LockGuard {
    /// A lock that was just taken; with `kept`, a task extends it by so much.
    pub(super) fn new(held: Arc<Held>, fencing: u64, kept: Option<Duration>) -> Self {
        Self {
            keeper: kept.and_then(|ttl| Keeper::of(&held, ttl)),
            held,
            fencing,
        }
    }

    /// The fencing number of this acquisition: larger than that of any before it by this name, and
    /// less than 2^53, so that JSON and JavaScript keep it exactly.
    ///
    /// It is the last number and one, or the backend's clock in microseconds, whichever is larger.
    /// So it grows, too, when a Redis comes back empty or is replaced, unless its clock is behind
    /// the old one's by more than has passed since. The last number is remembered for an hour after
    /// the lock was free.
    pub fn fencing(&self) -> u64 {
        self.fencing
    }

    /// Whether the lock is still held, as far as that can be known here: by this machine's clock,
    /// counted from before the last successful call was sent, less 1 % of the time to live and 2 ms
    /// for clocks that differ. False may be early; true may be late where a machine slept, or the
    /// backend forgot.
    pub fn is_held(&self) -> bool {
        self.held.is_held()
    }

    /// Lets the lock end `ttl` from now, whether that is later than before or earlier: whether it
    /// was still held. One that has run out is not taken anew.
    ///
    /// Dropped halfway, the future leaves the lock extended or not; [`is_held`](Self::is_held) goes
    /// by the earlier of both ends, as it does after an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for a time to live that cannot
    /// be, or what the backend answered.
    pub async fn extend(&mut self, ttl: Duration) -> Result<bool> {
        let extended = match check_ttl(ttl) {
            Ok(()) => self.held.extend(ttl).await,
            Err(error) => Err(error),
        };
        extended.map_err(|error| self.held.claim.cache.during("extend", error))
    }

    /// Gives the lock back: whether it was still held.
    ///
    /// Dropped halfway, or after an error, it is tried once more as if the guard were dropped.
    ///
    /// # Errors
    ///
    /// What the backend answered; the lock is free when its time to live has passed, if not before.
    pub async fn release(mut self) -> Result<bool> {
        self.keeper = None;
        let claim = &self.held.claim;
        let held = claim.cache.locks()?.unlock(&claim.key, claim.token).await;
        claim.may_hold(held.is_err());
        held.map_err(|error| claim.cache.during("release", error))
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("fencing", &self.fencing)
            .field("is_held", &self.is_held())
            .finish_non_exhaustive()
    }
}
