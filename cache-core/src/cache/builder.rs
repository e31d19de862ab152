//! Settings of a cache.

use std::sync::Arc;
use std::time::Duration;

use super::namespaces::Namespaces;
use super::{Cache, Handle};
use crate::chain::Chain;
use crate::codec::CodecId;
use crate::engine::{Engine, MemoryTier, Near, Reading, Waits};
use crate::error::{Error, ErrorKind, Result};
use crate::namespace::{MAX_PREFIX_BYTES, Scope};
use crate::policy::Policy;
use crate::provider::{Peek, Provider};
use crate::terms::Ttl;

/// Settings of a [`Cache`].
#[derive(Debug)]
#[must_use]
pub struct CacheBuilder {
    provider: Arc<dyn Provider>,
    key_prefix: Option<String>,
    default_ttl: Ttl,
    codec: CodecId,
    flight_wait: Duration,
    distributed_lock: bool,
    lock_wait: Option<Duration>,
    memory_tier: Option<MemoryTier>,
    policy: Policy,
}

impl CacheBuilder {
    pub(crate) fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            key_prefix: None,
            default_ttl: Ttl::After(Duration::from_secs(300)),
            codec: CodecId::JSON,
            flight_wait: Duration::from_secs(5),
            distributed_lock: false,
            lock_wait: None,
            memory_tier: None,
            policy: Policy::new(),
        }
    }

    /// What all keys of this deployment begin with. Default: the provider's, or `cache`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = Some(prefix.into());
        self
    }

    /// The time to live of what is stored without one of its own. Default: 300 s.
    pub fn default_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.default_ttl = ttl.into();
        self
    }

    /// No limit in time, unless a value is stored with one.
    pub fn no_default_ttl(self) -> Self {
        self.default_ttl(Ttl::Never)
    }

    /// What values are written by where they become bytes, that is for a remote provider. Default:
    /// [`CodecId::JSON`]. What is read is read by the codec that it was written by, so that caches
    /// with different settings share their values. [`Cache::with_codec`] chooses for one namespace.
    ///
    /// ```
    /// use cache_core::{Cache, CodecId, MemoryProvider};
    ///
    /// # fn example() -> Result<(), cache_core::Error> {
    /// let cache = Cache::builder(MemoryProvider::new()).codec(CodecId::JSON).build()?;
    /// let pages = cache.namespace("pages").with_codec(CodecId::RAW);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn codec(mut self, codec: CodecId) -> Self {
        self.codec = codec;
        self
    }

    /// How long a caller waits for somebody else's load of the same key before it loads the value
    /// itself, unshared. Default: 5 s. It is counted from the call, through every leader that
    /// gives up.
    pub fn flight_wait(mut self, wait: Duration) -> Self {
        self.flight_wait = wait;
        self
    }

    /// Whether a load waits for one of the same key in another process, so that however many
    /// processes want a key at one moment, one of them loads it. Default: no; each process then
    /// loads once.
    ///
    /// This spares the source of the values and promises nothing: a process that has waited as long
    /// as [`lock_wait`](Self::lock_wait), or that loses touch with the backend, loads as well. The
    /// wait ends at once when the value is stored, when the load that is waited for fails or its
    /// result is not to be stored, and when the key, its tags, its pattern or its namespace are
    /// invalidated. While the process that loads hangs, or has died until its lease has run out,
    /// others wait in vain: at most `lock_wait` for each call.
    ///
    /// For work of your own there is [`Cache::lock`], which has nothing to do with this one.
    ///
    /// [`Cache::with_distributed_lock`] chooses otherwise for one handle. Over a
    /// [`MemoryProvider`](crate::MemoryProvider) there is nobody to wait for.
    pub fn distributed_lock(mut self, on: bool) -> Self {
        self.distributed_lock = on;
        self
    }

    /// How long a caller waits for a load in another process, where the
    /// [distributed lock](Self::distributed_lock) is on, before it loads the value itself. Default:
    /// half of [`flight_wait`](Self::flight_wait), and never more: the callers that wait for it in
    /// this process must have time left for its load. It is counted from the call.
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = Some(wait);
        self
    }

    /// Puts a memory tier in front of the provider. Default: none.
    pub fn memory_tier(mut self, tier: MemoryTier) -> Self {
        self.memory_tier = Some(tier);
        self
    }

    /// What is shown stale, loaded early, and waited for no longer than said. Default:
    /// [`Policy::new`], which changes nothing. [`Cache::with_policy`] chooses otherwise for one handle.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Builds the handle on the root namespace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the prefix is empty, longer than 128 bytes, or not the one
    /// that the provider was built with, if a memory tier is put in front of memory or of a provider
    /// that tells nobody of [changes](crate::Capability::copies), or if
    /// `lock_wait` is more than half of `flight_wait`.
    pub fn build(self) -> Result<Cache> {
        let own = self.provider.key_prefix();
        let prefix = self.key_prefix.as_deref().or(own).unwrap_or("cache");
        check_prefix(prefix, own)?;
        let scope = Scope::root(prefix);
        let namespaces = Arc::new(Namespaces::new(self.provider.name()));
        let (near, waits) = (self.near()?, self.waits()?);
        Ok(Cache(Arc::new(Handle {
            counters: namespaces.counters(&scope),
            engine: Arc::new(Engine::new(self.provider, near, waits)),
            namespaces,
            scope,
            default_ttl: self.default_ttl,
            codec: self.codec,
            policy: Arc::new(self.policy),
            fixed: Chain::new(),
            reading: Reading {
                near: true,
                strict: false,
                lock: self.distributed_lock,
            },
        })))
    }

    fn waits(&self) -> Result<Waits> {
        let flight = self.flight_wait;
        let lock = self.lock_wait.unwrap_or(flight / 2);
        if lock > flight / 2 {
            let message = format!(
                "lock_wait is {lock:?}, and flight_wait {flight:?}; it can be half of that at most, \
                 so that there is time left to load"
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(Waits { flight, lock })
    }

    fn near(&self) -> Result<Option<Arc<Near>>> {
        let Some(tier) = self.memory_tier else {
            return Ok(None);
        };
        let provider = &self.provider;
        if !matches!(provider.peek(""), Peek::Ask) {
            let message = format!(
                "the {} provider is in memory itself; a memory tier belongs in front of a remote one",
                provider.name()
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        if !provider.capability().copies {
            let message = format!(
                "the {} provider does not tell what has changed elsewhere, so copies in a memory tier \
                 would go stale; leave the tier out",
                provider.name()
            );
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(Some(Near::new(tier, provider.clock(), provider.log())))
    }
}

fn check_prefix(prefix: &str, own: Option<&str>) -> Result<()> {
    let wrong = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    if let Some(own) = own.filter(|own| *own != prefix) {
        return wrong(format!(
            "the cache's key prefix `{prefix}` is not the provider's `{own}`; leave it out here"
        ));
    }
    match prefix.len() {
        1..=MAX_PREFIX_BYTES => Ok(()),
        len => wrong(format!(
            "a key prefix has 1 to {MAX_PREFIX_BYTES} bytes, not {len}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryProvider;

    #[test]
    fn a_prefix_has_limits() {
        for prefix in [String::new(), "x".repeat(129)] {
            let built = Cache::builder(MemoryProvider::new())
                .key_prefix(prefix)
                .build();
            assert_eq!(built.unwrap_err().kind(), ErrorKind::Configuration);
        }
    }

    #[test]
    fn a_lock_wait_leaves_time_to_load() {
        let build = |flight, lock| {
            let builder = Cache::builder(MemoryProvider::new());
            builder.flight_wait(flight).lock_wait(lock).build()
        };
        let second = Duration::from_secs(1);
        assert!(build(second * 2, second).is_ok());
        assert!(build(Duration::MAX, second * 60).is_ok());
        let error = build(second, second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("flight_wait"), "{error}");
    }

    #[test]
    fn a_prefix_that_is_not_the_providers_is_refused() {
        assert!(check_prefix("app", Some("app")).is_ok());
        let error = check_prefix("app", Some("cache")).unwrap_err();
        assert!(error.to_string().contains("`cache`"), "{error}");
    }
}
