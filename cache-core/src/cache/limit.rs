//! Limiting how often something is done.

use std::fmt;

use super::Cache;
use crate::error::{Error, Result};
use crate::provider::{Decision, Limits, RateLimit, limits_of};

const OPERATION: &str = "rate_limit";

impl Cache {
    /// Limits how often something is done, for each key of this namespace, and over all who share
    /// the backend.
    ///
    /// ```
    /// use cache_core::{Cache, RateLimit};
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let logins = RateLimit::sliding_window(5, Duration::from_secs(60));
    /// let limiter = Cache::memory().namespace("logins").rate_limiter(logins)?;
    ///
    /// let decision = limiter.check("user:42").await?;
    /// if decision.allowed {
    ///     println!("{} of {} left", decision.remaining, decision.limit);
    /// } else if let Some(after) = decision.retry_after {
    ///     println!("429 Too Many Requests, Retry-After: {}", after.as_secs() + 1);
    /// }
    /// # assert_eq!(decision.remaining, 4);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the provider cannot count calls
    /// ([`Capability::limits`](crate::Capability::limits)),
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the limit is none that can
    /// be kept: see [`RateLimit::validate`].
    pub fn rate_limiter(&self, limit: RateLimit) -> Result<RateLimiter> {
        let checked = self.limits().and_then(|_| limit.validate());
        checked.map_err(|error| self.during(OPERATION, error))?;
        Ok(RateLimiter {
            cache: self.clone(),
            limit,
        })
    }

    fn limits(&self) -> Result<&dyn Limits> {
        limits_of(&*self.engine().provider)
    }
}

/// A [`RateLimit`] at work in one namespace of a cache; made by [`Cache::rate_limiter`]. Clones,
/// and other limiters of the same kind and window in the same namespace, count together.
///
/// # What it is not part of
///
/// What is counted is no entry: `get`, `scan_keys` and counts of keys do not see it, and `clear`,
/// `invalidate*` and `delete*` leave it alone, or whoever can have a page computed anew could also
/// try passwords anew. [`reset`](Self::reset) forgets the count of a key. It ends by itself, with
/// the window, and lies where the provider stores entries, past a memory tier.
///
/// # Where it lies
///
/// | | memory | Redis |
/// |---|---|---|
/// | a check | waits for nothing | one round trip, by one script on one key; on a cluster at the node that has it |
/// | the clock | the provider's | the server's; if it is put back, what is counted lasts longer |
/// | the bound | about 131,072 keys at a time; a new one beyond is an error of kind [`Unready`](crate::ErrorKind::Unready), neither allowed nor denied | the server's memory; if that is full, likewise. An eviction policy that may take keys with a time to live forgets counts, so that more is allowed |
/// | lost | with the process | when the server restarts empty, or a replica that had missed it takes its place: up to `limit` more is allowed |
///
/// # When the backend is away
///
/// A check is an error, of kind [`Connection`](crate::ErrorKind::Connection),
/// [`Timeout`](crate::ErrorKind::Timeout) or [`Unready`](crate::ErrorKind::Unready), within the
/// provider's own bounds. Whether the call is let through then is the caller's to decide:
/// `limiter.check(key).await.map_or(true, |decision| decision.allowed)` lets it, which keeps an
/// application going whose limiter is down; a login form had better refuse.
#[derive(Clone)]
pub struct RateLimiter {
    cache: Cache,
    limit: RateLimit,
}

impl RateLimiter {
    /// The limit that it keeps.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts a call for `key` if it is allowed. What is denied is not counted.
    ///
    /// Never are more than [`limit`](RateLimit::limit) allowed in one window, however many ask at
    /// one moment and from however many processes.
    ///
    /// Dropped halfway, the future leaves the call counted or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey), or what the backend answered; the
    /// call may have been counted then.
    pub async fn check(&self, key: &str) -> Result<Decision> {
        self.check_n(key, 1).await
    }

    /// Like [`check`](Self::check), for a call that counts as `cost` calls: all of it, or nothing.
    /// One that costs more than the limit is denied for good, without a
    /// [`retry_after`](Decision::retry_after). A cost of 0 is a [`peek`](Self::peek).
    ///
    /// # Errors
    ///
    /// Like [`check`](Self::check).
    pub async fn check_n(&self, key: &str, cost: u64) -> Result<Decision> {
        let key = self.cache.full_key(key);
        let decision = async {
            self.cache
                .limits()?
                .check(key?.as_str(), self.limit, cost)
                .await
        };
        decision.await.map_err(|error| self.failed(error))
    }

    /// What [`check`](Self::check) would answer now, without counting: `allowed` says whether a
    /// call would be, and [`remaining`](Decision::remaining) is what is left before it.
    ///
    /// # Errors
    ///
    /// Like [`check`](Self::check).
    pub async fn peek(&self, key: &str) -> Result<Decision> {
        self.check_n(key, 0).await
    }

    /// Forgets what is counted for `key`, in windows of this length and kind: whether there was
    /// anything. After a successful login, for instance.
    ///
    /// # Errors
    ///
    /// Like [`check`](Self::check).
    pub async fn reset(&self, key: &str) -> Result<bool> {
        let key = self.cache.full_key(key);
        let reset = async { self.cache.limits()?.reset(key?.as_str(), self.limit).await };
        reset.await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: Error) -> Error {
        self.cache.during(OPERATION, error)
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("limit", &self.limit)
            .field("cache", &self.cache)
            .finish()
    }
}
