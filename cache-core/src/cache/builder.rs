//! Settings of a cache.

use std::sync::Arc;
use std::time::Duration;

use super::namespaces::Namespaces;
use super::{Cache, Handle, Ttl};
use crate::chain::Chain;
use crate::engine::{Engine, Near, Reading};
use crate::error::{Error, ErrorKind, Result};
use crate::namespace::Scope;
use crate::provider::{Peek, Provider};

/// Longest key prefix, in bytes.
const MAX_PREFIX_BYTES: usize = 128;

/// Settings of a [`Cache`].
#[derive(Debug)]
#[must_use]
pub struct CacheBuilder {
    provider: Arc<dyn Provider>,
    key_prefix: Option<String>,
    default_ttl: Ttl,
    flight_wait: Duration,
    memory_tier: Option<MemoryTier>,
}

/// A memory tier in front of a remote provider: reads at the speed of memory, what other nodes
/// change seen within the provider's delivery time.
///
/// ```
/// use cache_core::MemoryTier;
/// use std::time::Duration;
///
/// let tier = MemoryTier::new().max_bytes(64 << 20).max_ttl(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MemoryTier {
    pub(crate) max_bytes: u64,
    pub(crate) max_ttl: Option<Duration>,
    pub(crate) serve_while_away: Duration,
}

impl MemoryTier {
    /// A tier of 256 MiB, whose copies live as long as the entries.
    pub fn new() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_ttl: None,
            serve_while_away: Duration::ZERO,
        }
    }

    /// The bound on the weight of all copies, in bytes. Default: 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a copy is shown before the remote tier is asked again, however long the entry
    /// lives. Default: no limit of its own.
    pub fn max_ttl(mut self, ttl: Duration) -> Self {
        self.max_ttl = Some(ttl);
        self
    }

    /// For how long copies are still shown when the node has lost touch with its backend, beyond
    /// the backend's touch bound. What other nodes invalidate meanwhile is not seen: this chooses
    /// answers at the speed of memory over fresh ones. What this node invalidates is gone all the
    /// same. Default: zero; values are computed instead.
    pub fn serve_while_away(mut self, span: Duration) -> Self {
        self.serve_while_away = span;
        self
    }
}

impl Default for MemoryTier {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheBuilder {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            key_prefix: None,
            default_ttl: Ttl::After(Duration::from_secs(300)),
            flight_wait: Duration::from_secs(5),
            memory_tier: None,
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

    /// How long a caller waits for somebody else's load of the same key before it loads the value
    /// itself, unshared. Default: 5 s. It is counted from the call, through every leader that
    /// gives up.
    pub fn flight_wait(mut self, wait: Duration) -> Self {
        self.flight_wait = wait;
        self
    }

    /// Puts a memory tier in front of the provider. Default: none.
    pub fn memory_tier(mut self, tier: MemoryTier) -> Self {
        self.memory_tier = Some(tier);
        self
    }

    /// Builds the handle on the root namespace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if the prefix is empty, longer than 128 bytes, or not the one
    /// that the provider was built with, or if a memory tier is put in front of memory.
    pub fn build(self) -> Result<Cache> {
        let own = self.provider.key_prefix();
        let prefix = self.key_prefix.as_deref().or(own).unwrap_or("cache");
        check_prefix(prefix, own)?;
        let scope = Scope::root(prefix);
        let namespaces = Arc::new(Namespaces::new());
        let near = self.near()?;
        Ok(Cache(Arc::new(Handle {
            counters: namespaces.counters(&scope),
            engine: Arc::new(Engine::new(self.provider, near, self.flight_wait)),
            namespaces,
            scope,
            default_ttl: self.default_ttl,
            fixed: Chain::new(),
            reading: Reading {
                near: true,
                strict: false,
            },
        })))
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
    fn a_prefix_that_is_not_the_providers_is_refused() {
        assert!(check_prefix("app", Some("app")).is_ok());
        let error = check_prefix("app", Some("cache")).unwrap_err();
        assert!(error.to_string().contains("`cache`"), "{error}");
    }
}
