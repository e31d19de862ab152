//! The layer and its settings.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, Error, Result};
use tower_layer::Layer;

use crate::cache_status::Status;
use crate::detached::Detached;
use crate::rules::{Invalidation, Rule, Rules};
use crate::service::CacheService;

/// The namespace that responses are stored in, inside that of the cache.
const NAMESPACE: &str = "http";
/// The largest body that is stored, in bytes, unless set otherwise.
const BODY_LIMIT: usize = 1 << 20;

/// Caches responses by rules. See the [crate documentation](crate).
///
/// Clones share everything.
#[derive(Clone)]
pub struct CacheLayer(Arc<Shared>);

/// What all services of a layer share.
pub(crate) struct Shared {
    /// Where responses are stored.
    pub(crate) cache: Cache,
    pub(crate) rules: Rules,
    pub(crate) detached: Detached,
    failed_invalidations: AtomicU64,
}

impl CacheLayer {
    /// Sets up a layer that stores responses in the namespace `http` of this cache.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_core::Cache;
    /// use cache_tower::{CacheLayer, Invalidation, Rule};
    /// use http::Method;
    ///
    /// let cache = Cache::memory();
    /// let layer = CacheLayer::builder(cache)
    ///     .rule(
    ///         Rule::get("/cities/{id}")
    ///             .ttl(Duration::from_secs(60))
    ///             .tag("city:{id}"),
    ///     )
    ///     .rule(Rule::get("/cities").ttl(Duration::from_secs(10)))
    ///     .invalidate(
    ///         Invalidation::on(Method::PUT, "/cities/{id}")
    ///             .path("/cities")
    ///             .tag("city:{id}"),
    ///     )
    ///     .build()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub fn builder(cache: Cache) -> CacheLayerBuilder {
        CacheLayerBuilder {
            cache,
            namespace: NAMESPACE.to_owned(),
            rules: Vec::new(),
            invalidations: Vec::new(),
            body_limit: BODY_LIMIT,
        }
    }

    /// The handle on what is stored, for invalidations by hand and for metrics.
    ///
    /// A key reads `{path} {host} :{scheme} ?{query} …`, so `invalidate_pattern("/cities/*")` takes all
    /// cities. The responses of one URL carry the tag `http:{path}`.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// How many invalidations failed after a request had succeeded. What they should have made
    /// go may be served until its time to live is over.
    pub fn failed_invalidations(&self) -> u64 {
        self.0.failed_invalidations.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(crate) fn count_failed_invalidations(&self, count: u64) {
        self.failed_invalidations
            .fetch_add(count, Ordering::Relaxed);
    }

    /// Counts and logs that so many things did not go.
    pub(crate) fn invalidation_failed(&self, error: &Error, count: u64) -> Status {
        self.count_failed_invalidations(count);
        tracing::error!(
            %error,
            source = std::error::Error::source(error),
            "what a request has changed may still be served from the cache"
        );
        Status::InvalidationFailed
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, Arc::clone(&self.0))
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("cache", &self.0.cache)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`CacheLayer`].
#[derive(Debug)]
#[must_use]
pub struct CacheLayerBuilder {
    cache: Cache,
    namespace: String,
    rules: Vec<Rule>,
    invalidations: Vec<Invalidation>,
    body_limit: usize,
}

impl CacheLayerBuilder {
    /// Adds a rule. What no rule speaks of passes through untouched.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds a rule about requests that change something.
    pub fn invalidate(mut self, rule: Invalidation) -> Self {
        self.invalidations.push(rule);
        self
    }

    /// The largest body that is stored, in bytes, unless a rule says otherwise. Longer ones pass
    /// through. Default: 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The namespace, inside that of the cache, that responses are stored in. Default: `http`.
    ///
    /// Layers share a namespace only if equal requests have equal answers in all of them. A
    /// layer inside axum's `nest` sees paths without what it is nested under, so two such layers
    /// need namespaces of their own.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Checks all rules and makes the layer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](cache_core::ErrorKind::Configuration) for a route that the
    /// router does not take, two rules that speak of the same requests, a placeholder that is
    /// not a parameter of the route, and settings of a rule that cannot work.
    pub fn build(self) -> Result<CacheLayer> {
        let rules = Rules::compile(self.rules, self.invalidations, &self.cache, self.body_limit)?;
        Ok(CacheLayer(Arc::new(Shared {
            cache: self.cache.namespace(&self.namespace),
            rules,
            detached: Detached::new(),
            failed_invalidations: AtomicU64::new(0),
        })))
    }
}
