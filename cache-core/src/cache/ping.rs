//! Whether the tiers of a cache are well.

use std::time::{Duration, Instant};

use super::Cache;
use crate::error::Result;

/// How the tiers of a cache are, as [`Cache::ping`] found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ping {
    /// How long the backend took to answer; of a cluster, the slowest primary.
    pub latency: Duration,
    /// Whether this node knows what has been invalidated elsewhere, so that what the backend holds
    /// may be shown. A node that has just come back answers without it until its next heartbeat.
    pub in_touch: bool,
    /// Whether the memory tier shows what it has; `None` if there is none.
    pub memory_tier: Option<bool>,
}

impl Cache {
    /// Asks the backend whether it is there, past the circuit breaker and without touching a key;
    /// on Redis by `PING` to the server, or to every primary of a cluster. For health checks.
    ///
    /// ```
    /// # async fn example() -> cache_core::Result<()> {
    /// let cache = cache_core::Cache::memory();
    /// let ping = cache.ping().await?;
    /// println!("{:?}, in touch: {}", ping.latency, ping.in_touch);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it does not answer within the
    /// provider's own bound (on Redis the `command_timeout`),
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) if it cannot be reached,
    /// [`ErrorKind::Unready`](crate::ErrorKind::Unready) if it is loading its data, or a slot of
    /// the cluster has no primary, [`ErrorKind::Backend`](crate::ErrorKind::Backend) or
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it refuses us.
    pub async fn ping(&self) -> Result<Ping> {
        let (engine, asked) = (self.engine(), Instant::now());
        let answered = engine.provider.ping().await;
        answered.map_err(|error| self.during("ping", error))?;
        Ok(Ping {
            latency: asked.elapsed(),
            in_touch: engine.log.in_touch(engine.clock.now()),
            memory_tier: engine.near_serves(),
        })
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use super::*;
    use crate::engine::MemoryTier;
    use crate::error::ErrorKind;
    use crate::testkit::ChaosProvider;

    #[tokio::test]
    async fn a_ping_fails_while_the_backend_is_away_and_names_itself() {
        let (provider, chaos) = ChaosProvider::remote();
        let cache = Cache::builder(provider).build().unwrap();
        chaos.away(true);
        let error = cache.ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert_eq!((error.operation(), error.provider()), ("ping", "chaos"));
        chaos.away(false);
        assert!(cache.ping().await.unwrap().in_touch);
    }

    #[tokio::test]
    async fn a_ping_tells_whether_each_tier_shows_what_it_has() {
        assert_eq!(Cache::memory().ping().await.unwrap().memory_tier, None);
        let tiered = |provider| Cache::builder(provider).memory_tier(MemoryTier::new());
        let well = tiered(ChaosProvider::remote().0).build().unwrap();
        assert_eq!(well.ping().await.unwrap().memory_tier, Some(true));
        let deaf = tiered(ChaosProvider::out_of_touch().0).build().unwrap();
        let ping = deaf.ping().await.unwrap();
        assert_eq!((ping.in_touch, ping.memory_tier), (false, Some(false)));
    }
}
