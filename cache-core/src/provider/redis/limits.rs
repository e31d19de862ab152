//! Rate limits on the server: one script, one key, one round trip, by the server's clock.

use std::time::Duration;

use super::error::too_late;
use super::script::{FORGET, LIMIT};
use super::{RedisProvider, during};
use crate::error::Result;
use crate::provider::{BoxFuture, Decision, Limits, RateLimit, WindowKind};

impl Limits for RedisProvider {
    fn check<'a>(
        &'a self,
        key: &'a str,
        limit: RateLimit,
        cost: u64,
    ) -> BoxFuture<'a, Result<Decision>> {
        during("rate_limit", Some(key), self.decide(key, limit, cost))
    }

    fn reset<'a>(&'a self, key: &'a str, limit: RateLimit) -> BoxFuture<'a, Result<bool>> {
        during("rate_limit", Some(key), async move {
            let call = FORGET.on(&[&limit.place(key)]);
            self.entries.backplane.links.call(call).await
        })
    }
}

impl RedisProvider {
    async fn decide(&self, key: &str, limit: RateLimit, cost: u64) -> Result<Decision> {
        let call = LIMIT
            .on(&[&limit.place(key)])
            .arg(limit.limit())
            .arg(limit.window_micros())
            .arg(limit.part_micros())
            .arg(u8::from(limit.kind() == WindowKind::Sliding))
            // Whatever is more than the limit is the same to it, and small enough to be exact.
            .arg(cost.clamp(1, limit.limit().saturating_add(1)))
            .arg(u8::from(cost > 0))
            .with_deadline();
        // Not `write`, which would wait for the deadline after an error: what is still counted then
        // does no harm.
        let answer: (i64, u64, u64, i64) = self.entries.backplane.links.call(call).await?;
        let (allowed, remaining, resets_after, retry_after) = answer;
        if allowed < 0 {
            return Err(too_late());
        }
        Ok(Decision {
            allowed: allowed > 0,
            limit: limit.limit(),
            remaining,
            resets_after: Duration::from_micros(resets_after),
            retry_after: u64::try_from(retry_after).ok().map(Duration::from_micros),
        })
    }
}
