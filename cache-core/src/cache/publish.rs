//! Telling the `metrics` facade.

use std::sync::Arc;

use super::Cache;
use crate::metrics::facade::{Series, describe};

impl Cache {
    /// Publishes the figures of all namespaces, and what is stored, through the
    /// [`metrics`](https://docs.rs/metrics) facade: to whatever recorder the process has installed, such as
    /// an exporter for Prometheus or OpenTelemetry. `docs/metrics.md` in the repository lists them.
    ///
    /// Sums are published when this is called and at no other time, so that a hit in memory costs nothing
    /// more: call it every few seconds, or before each scrape. How long loads and calls of a backend
    /// take is told as they end, without this.
    ///
    /// Labels are few: the key prefix as `cache`, the provider, and the namespace, of which the first
    /// [`MAX_EXPORTED`](crate::MAX_EXPORTED) that were opened have series of their own, and all others
    /// share one, `(others)`. Caches over providers of one kind in one process need key prefixes of
    /// their own to be told apart; else the last that is published is shown.
    ///
    /// ```no_run
    /// # use cache_core::Cache;
    /// # use std::time::Duration;
    /// # async fn example(cache: Cache) {
    /// tokio::spawn(async move {
    ///     let mut every = tokio::time::interval(Duration::from_secs(10));
    ///     loop {
    ///         every.tick().await;
    ///         cache.publish_metrics();
    ///     }
    /// });
    /// # }
    /// ```
    pub fn publish_metrics(&self) {
        let prefix = self.0.scope.prefix();
        let series = Series {
            cache: Arc::from(prefix),
            provider: self.provider_name(),
        };
        describe();
        series.publish(&self.0.namespaces.all());
        series.publish_usage("provider", &self.usage());
        if let Some(usage) = self.memory_tier_usage() {
            series.publish_usage("memory", &usage);
        }
    }
}
