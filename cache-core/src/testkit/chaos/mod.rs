//! Chaos: a provider around a provider, that fails, waits and garbles as a test wants it to.

mod beside;
mod plan;
mod provider;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use provider::ChaosProvider;

use super::Held;
use crate::error::{Error, ErrorKind};
use plan::{Drawn, Plan};

/// A method of [`Provider`](crate::Provider), or of its [`Indexes`](crate::provider::Indexes),
/// [`Limits`](crate::Limits) or [`Locks`](crate::Locks), that chaos can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Operation {
    Acquire,
    CatchUp,
    Check,
    Expire,
    Extend,
    Fill,
    Get,
    Increment,
    Inspect,
    Invalidate,
    Lease,
    Members,
    Ping,
    Remove,
    Renew,
    Replace,
    Reset,
    Scan,
    Set,
    Unlock,
    Sweep,
    Unlink,
}

/// What happens to one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the call goes through, whatever the [error rate](Chaos::error_rate).
    None,
    /// It fails with this kind, and nothing is done.
    Error(ErrorKind),
    /// It is carried out, and its answer is lost: it fails with this kind.
    Lost(ErrorKind),
    /// It begins so much later.
    Delay(Duration),
    /// It stands at a gate before it begins.
    Hold(Held),
    /// It is carried out, and stands at a gate before it answers.
    HoldAnswer(Held),
}

/// What a [`ChaosProvider`] is to do to its calls; clones steer the same one.
///
/// A call meets the first of these that there is: the fault that is [scripted](Self::next) for it;
/// the one that [every](Self::every) such call has; the loss of the [connection](Self::away); an
/// error by [chance](Self::error_rate). It waits for the [delay](Self::delay) in any case.
///
/// ```
/// use cache_core::testkit::{ChaosProvider, Fault, Operation};
/// use cache_core::{Cache, ErrorKind, MemoryProvider};
///
/// # async fn example() -> Result<(), cache_core::Error> {
/// let (provider, chaos) = ChaosProvider::over(MemoryProvider::new());
/// let cache = Cache::builder(provider).build()?;
///
/// chaos.next(Operation::Set, Fault::Error(ErrorKind::Timeout));
/// assert_eq!(cache.set("k", "v").await.unwrap_err().kind(), ErrorKind::Timeout);
/// cache.set("k", "v").await?;
///
/// chaos.seed(7).error_rate(1.0);
/// assert!(cache.get::<String>("k").await.is_err());
/// let loaded = cache.get_or_set("k", || async { Ok::<_, ()>("computed".to_owned()) });
/// assert_eq!(loaded.await.as_deref(), Ok("computed"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chaos(Arc<Mutex<Plan>>);

impl Chaos {
    /// Draws chances from this seed on, so that a test can be repeated. Default: 0.
    pub fn seed(&self, seed: u64) -> &Self {
        self.plan().seed(seed);
        self
    }

    /// How many of all calls fail as if the connection were lost, from 0 to 1; half of them before
    /// they are carried out, half of them after. Default: 0.
    ///
    /// # Panics
    ///
    /// If the rate is not between 0 and 1.
    pub fn error_rate(&self, rate: f64) -> &Self {
        assert!(
            (0.0..=1.0).contains(&rate),
            "{rate} is no rate: from 0 to 1"
        );
        self.plan().error_rate = rate;
        self
    }

    /// How much later each call begins, by Tokio's clock: something in this range. Default: no
    /// later.
    pub fn delay(&self, range: RangeInclusive<Duration>) -> &Self {
        self.plan().delay = Some(range);
        self
    }

    /// Whether the backend is away: every call fails as if the connection were lost, and nothing is
    /// done. Leases and locks that are given back meanwhile stay where they are.
    pub fn away(&self, away: bool) -> &Self {
        self.plan().away = away;
        self
    }

    /// Scripts what the next call of this operation meets; called again, the one after that.
    pub fn next(&self, operation: Operation, fault: Fault) -> &Self {
        self.plan().script(operation, fault);
        self
    }

    /// What all calls of this operation meet for which nothing is scripted.
    pub fn every(&self, operation: Operation, fault: Fault) -> &Self {
        self.plan().every.insert(operation, fault);
        self
    }

    /// Lets this many of the next entries that are stored begin with another byte, so that they are
    /// found and cannot be read: not as JSON, MessagePack or text. Bytes stored as they are can be.
    pub fn garble(&self, entries: usize) -> &Self {
        self.plan().garbled = entries;
        self
    }

    /// Whether invalidations that go through are told to be waiting for the backend.
    pub fn pending(&self, pending: bool) -> &Self {
        self.plan().pending = pending;
        self
    }

    /// How many calls of this operation there were.
    pub fn calls(&self, operation: Operation) -> usize {
        self.plan().calls.get(&operation).copied().unwrap_or(0)
    }

    fn draw(&self, operation: Operation) -> Drawn {
        self.plan().draw(operation)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn injected(kind: ErrorKind) -> Error {
    Error::new(kind, "the test wants this to fail")
}
