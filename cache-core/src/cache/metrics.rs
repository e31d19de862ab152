//! What the cache has done, in numbers.

use super::Cache;
use crate::metrics::Metrics;

impl Cache {
    /// What this namespace has done since the cache was built, through any handle. Namespaces
    /// inside it count for themselves.
    pub fn metrics(&self) -> Metrics {
        self.counters().snapshot()
    }

    /// What the namespace of this name, inside this one, has done, as
    /// [`namespace(name).metrics()`](Self::metrics) would say. `None` if nobody has opened it yet; it
    /// is not opened by asking.
    ///
    /// Namespaces beyond the first [`MAX_COUNTED`](crate::MAX_COUNTED) that were opened in the whole
    /// cache are counted together and not found here either.
    ///
    /// ```
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// let cache = cache_core::Cache::memory();
    /// let users = cache.namespace("users");
    /// users.set("42", "Ada").await?;
    /// users.get::<String>("42").await?;
    /// users.get::<String>("43").await?;
    ///
    /// let metrics = cache.get_metrics("users").unwrap();
    /// assert_eq!((metrics.sets, metrics.hits, metrics.absent), (1, 1, 1));
    /// assert_eq!(cache.hit_rate("users"), Some(0.5));
    /// assert_eq!(cache.hit_rate("groups"), None);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn get_metrics(&self, namespace: &str) -> Option<Metrics> {
        let scope = self.0.scope.nested(namespace);
        let counters = self.0.namespaces.find(&scope)?;
        Some(counters.snapshot())
    }

    /// Hits among all reads of the namespace of this name inside this one, from 0 to 1; 0 before the
    /// first read. `None` where [`get_metrics`](Self::get_metrics) is.
    pub fn hit_rate(&self, namespace: &str) -> Option<f64> {
        Some(self.get_metrics(namespace)?.hit_rate())
    }

    /// What all namespaces of this cache have done, together.
    pub fn total_metrics(&self) -> Metrics {
        let mut total = Metrics::default();
        for counters in self.0.namespaces.all() {
            total.add(&counters.snapshot());
        }
        total
    }

    /// What each namespace of this cache has done, by its whole name, in the order of the names: levels
    /// joined by `/`, unusual bytes percent-encoded, empty for the root. Those beyond the first
    /// [`MAX_COUNTED`](crate::MAX_COUNTED) come together, as `(others)`.
    pub fn metrics_by_namespace(&self) -> Vec<(String, Metrics)> {
        let all = self.0.namespaces.all();
        all.iter()
            .map(|counters| (counters.namespace().to_owned(), counters.snapshot()))
            .collect()
    }
}
