//! Locks among all who share the backend.

mod guard;
mod held;

use std::future::IntoFuture;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime;
use tokio::time::{Instant, sleep};

pub use guard::LockGuard;

use super::Cache;
use crate::entry::EntryId;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{BoxFuture, Locks, locks_of};
use crate::random;
use held::{Claim, Held};

const DEFAULT_TTL: Duration = Duration::from_secs(30);
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
const SHORTEST_TTL: Duration = Duration::from_millis(1);
const LONGEST_TTL: Duration = Duration::from_secs(366 * 86_400);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

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
            keep_alive: false,
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
    keep_alive: bool,
}

impl<'a> Lock<'a> {
    /// How long it is held, if it is neither given back nor [extended](LockGuard::extend) before:
    /// the longest that others wait for a process that has died. 1 ms to 366 days. Default: 30 s.
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

    /// Has a task extend the lock by its time to live, each third of it, as long as the guard
    /// lives: for work of unknown length. Default: no.
    ///
    /// The lock is then as long as the guard is, also of one that hangs, and a `ttl` is only how
    /// long others wait when the process has died. An [extension](LockGuard::extend) by hand counts
    /// until the task's next. Outside a Tokio runtime nothing is extended, nor once an extension
    /// has come too late: ask [`is_held`](LockGuard::is_held).
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
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
        let claim = Claim {
            key: self.cache.full_key(&self.name)?.as_str().into(),
            cache: self.cache.clone(),
            token: EntryId::random(),
            may_hold: AtomicBool::new(false),
        };
        let mut pauses = Pauses::until(Instant::now().checked_add(self.wait));
        loop {
            let until = claim.held_until(self.ttl);
            claim.may_hold(true);
            let acquired = locks.acquire(&claim.key, claim.token, self.ttl).await?;
            if let Some(fencing) = acquired {
                let held = Held::new(claim, until);
                return Ok(Some(LockGuard::new(held, fencing, self.kept())));
            }
            claim.may_hold(false);
            if !pauses.pause().await {
                return Ok(None);
            }
        }
    }

    /// The time to live that a task is to extend it by.
    fn kept(&self) -> Option<Duration> {
        self.keep_alive.then_some(self.ttl)
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
    /// ([`Capability::locks`](crate::Capability::locks)), [`ErrorKind::Configuration`] for a time
    /// to live that cannot be, [`ErrorKind::InvalidKey`] for a name that is empty or too long, or
    /// what the backend answered: while it is away nobody waits. On Redis an attempt over a
    /// connection that broke is an error when the `command_timeout` is over, so that it does not
    /// take the lock behind one's back. A full server ([`ErrorKind::Unready`]) gives out no new
    /// locks, and takes back and extends those that are held.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
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
    async fn pause(&mut self) -> bool {
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
