//! Caches by name, built from a configuration.

mod assembly;
mod factory;
mod kinds;
#[cfg(feature = "redis")]
mod packing;
mod ready;
#[cfg(feature = "redis")]
mod redis;

use std::collections::BTreeMap;

pub use factory::{ProviderFactory, RegistryBuilder};

use crate::cache::Cache;
use crate::config::CacheConfig;
use crate::error::{Error, ErrorKind, Result};

/// Caches by name, over the providers of a [`CacheConfig`]. An ordinary value: a program can have
/// several, and drop them.
///
/// Each name is a namespace of its provider, with its own time to live. Besides those of the
/// configuration there are five, on the default provider unless it says otherwise:
///
/// | name | time to live |
/// |---|---|
/// | `confirmation` | 300 s |
/// | `signup` | 1,800 s |
/// | `session` | 86,400 s |
/// | `rate_limit` | 3,600 s |
/// | `temp` | 60 s |
///
/// ```
/// use cache_core::{CacheConfig, Registry};
///
/// # async fn example() -> cache_core::Result<()> {
/// let none: [(&str, &str); 0] = [];
/// let config = CacheConfig::builder().environment(none).build()?;
/// let registry = Registry::from_config(config).await?;
/// registry.cache("signup")?.set("ada@example.org", "token").await?;
///
/// let error = registry.cache("singup").unwrap_err();
/// assert!(error.to_string().contains("`signup`"));
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    default: Cache,
    providers: BTreeMap<String, Cache>,
    caches: BTreeMap<String, Cache>,
}

impl Registry {
    /// Builds what a configuration describes, from the kinds that the toolkit has: `memory`,
    /// `null`, `tiered`, and `redis` where that feature is on. Call it in a Tokio runtime if a
    /// provider is remote. Dropped halfway, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for what is wrong in a section, or refers to what is not there;
    /// and what the providers answer that are built, such as [`ErrorKind::Connection`] for a server
    /// that cannot be reached. Nothing is built before all references and sections of tiers have
    /// been found right.
    pub async fn from_config(config: CacheConfig) -> Result<Self> {
        Self::builder().build(config).await
    }

    /// A registry with provider kinds of one's own.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    /// The cache of a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with all names, if there is none.
    pub fn cache(&self, name: &str) -> Result<Cache> {
        let cache = self.caches.get(name).cloned();
        cache.ok_or_else(|| unknown("cache", name, self.caches.keys()))
    }

    /// The root namespace of a provider.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], with all names, if there is none.
    pub fn provider(&self, name: &str) -> Result<Cache> {
        let cache = self.providers.get(name).cloned();
        cache.ok_or_else(|| unknown("provider", name, self.providers.keys()))
    }

    /// The root namespace of the default provider: what to give to
    /// [`Cache::set_global`](Cache::set_global).
    pub fn default_cache(&self) -> Cache {
        self.default.clone()
    }

    /// The names of all caches.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.caches.keys().map(String::as_str)
    }
}

fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a String>) -> Error {
    let message = format!("{}; {}", no(what, name), there_are(names));
    Error::new(ErrorKind::Configuration, message)
}

fn no(what: &str, name: &str) -> String {
    format!("there is no {what} `{name}`")
}

fn there_are(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    match &names[..] {
        [one] => format!("there is {one}"),
        names => format!("there are {}", names.join(", ")),
    }
}
