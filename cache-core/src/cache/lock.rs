//! Locks among all who share the backend.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;
use tokio::time::{Instant, sleep};

use super::Cache;
use crate::clock::Timestamp;
use crate::entry::EntryId;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{BoxFuture, Locks, locks_of};
use crate::random;

const DEFAULT_TTL: Duration = Duration::from_secs(30);
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
const SHORTEST_TTL: Duration = Duration::from_millis(1);
const LONGEST_TTL: Duration = Duration::from_secs(366 * 86_400);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// By how much two clocks are taken to differ after a hundred times as long, and besides.
const DRIFT: u32 = 100;
const JITTER: Duration = Duration::from_millis(2);

impl Cache {
    /// A lock by this name in this namespace, among all who share the backend. Awaited it is taken:
    /// `Some`, or `None` if others held it for as long as [`wait`](Lock::wait).
    ///
    /// ```
    /// use cache_core::Cache;
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let cache = Cache::memory();
    /// let lock = cache.lock("nightly-report").ttl(Duration::from_secs(60));
    /// if let Some(mut guard) = lock.await? {
    ///     // Whatever the report is stored in refuses a number that is less than the last one.
    ///     println!("writing as {}", guard.fencing());
    ///     guard.extend(Duration::from_secs(60)).await?;
    ///     assert!(guard.release().await?, "it was held to the end");
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// [`LockGuard`] says what the lock promises, and what it cannot.
    pub fn lock(&self, name: &str) -> Lock<'_> {
        Lock {
            cache: self,
            name: name.into(),
            ttl: DEFAULT_TTL,
            wait: DEFAULT_WAIT,
        }
    }

    /// Like [`lock`](Self::lock), without waiting: `None` if somebody holds it.
    pub fn try_lock(&self, name: &str) -> Lock<'_> {
        self.lock(name).wait(Duration::ZERO)
    }

    fn locks(&self) -> Result<&dyn Locks> {
        locks_of(&*self.engine().provider)
    }
}

/// A lock that is about to be taken; await it. By [`Cache::lock`] and [`Cache::try_lock`].
#[derive(Debug)]
#[must_use = "nothing is locked until the `Lock` is awaited"]
pub struct Lock<'a> {
    cache: &'a Cache,
    name: Box<str>,
    ttl: Duration,
    wait: Duration,
}

impl<'a> Lock<'a> {
    /// How long it is held, if it is neither given back nor [extended](LockGuard::extend) before: the
    /// longest that others wait for a process that has died. 1 ms to 366 days. Default: 30 s.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long to wait while others hold it. Default: 10 s; of [`Cache::try_lock`], not at all.
    ///
    /// Who waits asks again and again, after 2 ms at first and every 100 ms at last, less a random
    /// part. It is not fair: whoever asks first after it is free has it. Outside a Tokio runtime
    /// there is no timer, and nobody waits.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    async fn run(self) -> Result<Option<LockGuard>> {
        let cache = self.cache;
        let acquired = self.acquire().await;
        acquired.map_err(|error| cache.during("lock", error))
    }

    async fn acquire(self) -> Result<Option<LockGuard>> {
        check_ttl(self.ttl)?;
        let locks = self.cache.locks()?;
        let mut claim = Claim {
            key: self.cache.full_key(&self.name)?.as_str().into(),
            cache: self.cache.clone(),
            token: EntryId::random(),
            may_hold: false,
        };
        let mut pauses = Pauses::until(Instant::now().checked_add(self.wait));
        loop {
            let until = claim.held_until(self.ttl);
            claim.may_hold = true;
            let acquired = locks.acquire(&claim.key, claim.token, self.ttl).await?;
            if let Some(fencing) = acquired {
                return Ok(Some(LockGuard {
                    claim,
                    fencing,
                    until,
                }));
            }
            claim.may_hold = false;
            if !pauses.next().await {
                return Ok(None);
            }
        }
    }
}

impl<'a> IntoFuture for Lock<'a> {
    type Output = Result<Option<LockGuard>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    /// Dropped halfway, the future gives back what it may have taken, as a dropped [`LockGuard`]
    /// does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the provider keeps no locks
    /// ([`Capability::locks`](crate::Capability::locks)), [`ErrorKind::Configuration`] for a time to live
    /// that cannot be, [`ErrorKind::InvalidKey`] for a name that is empty or too long, or what the
    /// backend answered: while it is away nobody waits. On Redis an attempt over a connection that broke is an
    /// error when the `command_timeout` is over, so that it does not take the lock behind one's back. A full server
    /// ([`ErrorKind::Unready`]) gives out no new locks, and takes back and extends those that are held.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A lock that is held: until it is [released](Self::release), dropped, or its time to live has passed.
///
/// # What it promises
///
/// As long as the backend keeps its memory, and clocks run equally fast, no two guards of one name hold
/// the lock at one moment, in whatever processes. Only the guard that holds it can
/// [extend](Self::extend) or release it: both compare a random token in one step with what they do, so
/// that one who comes too late does nothing to the next holder.
///
/// # What it cannot promise
///
/// A lease ends while its holder still believes in it whenever the holder is suspended, swapped out or
/// busy for longer than it was given, or when its clock stands still, as it does while a machine
/// sleeps. A Redis that restarts empty, is emptied, evicts the lock or fails over to a replica that had not
/// heard of it gives the same lock out a second time. Asking five servers instead of one, as Redlock does,
/// makes the second kind rarer and leaves the first as it is; Antirez and Kleppmann have argued about how
/// rare (["How to do distributed locking"](https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html),
/// 2016, and ["Is Redlock safe?"](https://antirez.com/news/101), 2016). Kleppmann's way out is the one that
/// holds in all cases: the resource itself refuses whoever comes with a smaller number than it has
/// seen. That is what [`fencing`](Self::fencing) is for. Without such a check the lock spares work, and is no
/// ground for correctness.
///
/// # Dropping it
///
/// In memory the lock is free at once. On Redis it is released by a task in the background if the guard is dropped inside a Tokio
/// runtime that goes on running; otherwise, if the server cannot be reached then, or the
/// process dies, others wait until the time to live has passed. [`release`](Self::release) says
/// whether it was held to the end; a drop does not.
///
/// # Beside the distributed lock of loads
///
/// [`CacheBuilder::distributed_lock`](crate::CacheBuilder::distributed_lock) has processes wait for each
/// other's loads by the lease that a load leaves at its key. Both are leases by token; they share nothing
/// else, and no load takes one of these.
///
/// `clear` and `invalidate*` leave locks alone, and no scan shows them.
pub struct LockGuard {
    claim: Claim,
    fencing: u64,
    until: Timestamp,
}

impl LockGuard {
    /// The fencing number of this acquisition: larger than that of any before it by this name, and less
    /// than 2^53, so that JSON and JavaScript keep it exactly.
    ///
    /// It is the last number and one, or the backend's clock in microseconds, whichever is larger. So it
    /// grows, too, when a Redis comes back empty or is replaced, unless its clock is behind the old one's
    /// by more than has passed since. The last number is remembered for an hour after the lock was free.
    pub fn fencing(&self) -> u64 {
        self.fencing
    }

    /// Whether the lock is still held, as far as that can be known here: by this machine's clock,
    /// counted from before the last successful call was sent, less 1 % of the time to live and 2 ms for
    /// clocks that differ. False may be early; true may be late where a machine slept, or the backend
    /// forgot.
    pub fn is_held(&self) -> bool {
        self.claim.now() < self.until
    }

    /// Lets the lock end `ttl` from now, whether that is later than before or earlier: whether it was
    /// still held. One that has run out is not taken anew.
    ///
    /// Dropped halfway, the future leaves the lock extended or not; [`is_held`](Self::is_held) goes by the
    /// earlier of both ends, as it does after an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a time to live that cannot be, or what the backend answered.
    pub async fn extend(&mut self, ttl: Duration) -> Result<bool> {
        let extended = self.try_extend(ttl).await;
        extended.map_err(|error| self.claim.cache.during("extend", error))
    }

    async fn try_extend(&mut self, ttl: Duration) -> Result<bool> {
        check_ttl(ttl)?;
        let until = self.claim.held_until(ttl);
        self.until = self.until.min(until);
        let Claim { key, token, .. } = &self.claim;
        let held = self.claim.cache.locks()?.extend(key, *token, ttl).await?;
        self.until = if held { until } else { Timestamp::default() };
        Ok(held)
    }

    /// Gives the lock back: whether it was still held.
    ///
    /// Dropped halfway, or after an error, it is tried once more as if the guard were dropped.
    ///
    /// # Errors
    ///
    /// What the backend answered; the lock is free when its time to live has passed, if not before.
    pub async fn release(mut self) -> Result<bool> {
        let claim = &mut self.claim;
        let held = claim.cache.locks()?.unlock(&claim.key, claim.token).await;
        claim.may_hold = held.is_err();
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

/// A token that may hold a lock. Dropped, it gives the lock back.
struct Claim {
    cache: Cache,
    key: Arc<str>,
    token: EntryId,
    may_hold: bool,
}

impl Claim {
    fn now(&self) -> Timestamp {
        self.cache.engine().clock.now()
    }

    /// Until when a lock is surely held that is asked for now.
    fn held_until(&self, ttl: Duration) -> Timestamp {
        let margin = (ttl / DRIFT).saturating_add(JITTER);
        self.now().saturating_add(ttl.saturating_sub(margin))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.may_hold
            && let Ok(locks) = self.cache.locks()
        {
            locks.give_back(&self.key, self.token);
        }
    }
}

/// The pauses between two attempts.
struct Pauses {
    /// `None` for no end that clocks could tell.
    until: Option<Instant>,
    next: Duration,
}

impl Pauses {
    fn until(until: Option<Instant>) -> Self {
        Self {
            until,
            next: FIRST_PAUSE,
        }
    }

    /// Pauses, unless there is no time left, or no timer.
    async fn next(&mut self) -> bool {
        let left = self.until.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if left.is_zero() || runtime::Handle::try_current().is_err() {
            return false;
        }
        // Those who wait for one lock must not all ask at one moment.
        let half = self.next / 2;
        let jitter = half.mul_f64(random::u64() as f64 / u64::MAX as f64);
        self.next = (self.next * 3 / 2).min(LONGEST_PAUSE);
        sleep((half + jitter).min(left)).await;
        true
    }
}

fn check_ttl(ttl: Duration) -> Result<()> {
    if (SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        return Ok(());
    }
    let message = format!("a lock's time to live is 1 ms to 366 days, not {ttl:?}");
    Err(Error::new(ErrorKind::Configuration, message))
}
