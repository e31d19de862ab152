//! Limits and locks of the provider that meets chaos.

use std::time::Duration;

use super::{ChaosProvider, Operation};
use crate::entry::EntryId;
use crate::error::Result;
use crate::provider::{BoxFuture, Decision, Limits, Locks, RateLimit, limits_of, locks_of};

impl Limits for ChaosProvider {
    fn check<'a>(
        &'a self,
        key: &'a str,
        limit: RateLimit,
        cost: u64,
    ) -> BoxFuture<'a, Result<Decision>> {
        let call = async move { limits_of(self.inner())?.check(key, limit, cost).await };
        Box::pin(self.meet(Operation::Check, call))
    }

    fn reset<'a>(&'a self, key: &'a str, limit: RateLimit) -> BoxFuture<'a, Result<bool>> {
        let call = async move { limits_of(self.inner())?.reset(key, limit).await };
        Box::pin(self.meet(Operation::Reset, call))
    }
}

impl Locks for ChaosProvider {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        let call = async move { locks_of(self.inner())?.acquire(key, token, ttl).await };
        Box::pin(self.meet(Operation::Acquire, call))
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let call = async move { locks_of(self.inner())?.extend(key, token, ttl).await };
        Box::pin(self.meet(Operation::Extend, call))
    }

    fn unlock<'a>(&'a self, key: &'a str, token: EntryId) -> BoxFuture<'a, Result<bool>> {
        let call = async move { locks_of(self.inner())?.unlock(key, token).await };
        Box::pin(self.meet(Operation::Unlock, call))
    }

    fn give_back(&self, key: &str, token: EntryId) {
        if let Some(locks) = self.inner().locks()
            && !self.is_away()
        {
            locks.give_back(key, token);
        }
    }
}
