//! Provider kinds by name: the toolkit's, and a user's own.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::assembly::Assembly;
use super::kinds::{self, TIERED};
use super::{Registry, there_are};
use crate::config::{CacheConfig, Section};
use crate::error::{Error, ErrorKind, Result};
use crate::provider::{BoxFuture, Provider};

/// Makes the providers of one kind. Every async function from a [`Section`] to a provider is one.
pub trait ProviderFactory: Send + Sync + 'static {
    /// Makes the provider that a section describes.
    ///
    /// # Errors
    ///
    /// What [`Section::read`] and [`Section::error`] say of a wrong section, and what stands in the
    /// way of the provider.
    fn build(&self, section: Section) -> BoxFuture<'static, Result<Arc<dyn Provider>>>;
}

impl<F, Made, P> ProviderFactory for F
where
    F: Fn(Section) -> Made + Send + Sync + 'static,
    Made: Future<Output = Result<P>> + Send + 'static,
    P: Provider,
{
    fn build(&self, section: Section) -> BoxFuture<'static, Result<Arc<dyn Provider>>> {
        let made = self(section);
        Box::pin(async move { Ok(Arc::new(made.await?) as Arc<dyn Provider>) })
    }
}

/// The kinds that a [`Registry`] is built from.
///
/// ```
/// use cache_core::{CacheConfig, MemoryProvider, Registry};
///
/// # async fn example() -> cache_core::Result<()> {
/// let config = CacheConfig::builder()
///     .yaml("cache.yaml", "providers: { shelf: { kind: shelf, boards: 3 } }")
///     .build()?;
/// let registry = Registry::builder()
///     .kind("shelf", async |section: cache_core::config::Section| {
///         #[derive(serde::Deserialize)]
///         #[serde(deny_unknown_fields)]
///         struct Shelf { boards: u64 }
///         let shelf: Shelf = section.read()?;
///         Ok(MemoryProvider::builder().max_bytes(shelf.boards << 20).build())
///     })
///     .build(config)
///     .await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct RegistryBuilder {
    kinds: BTreeMap<String, Box<dyn ProviderFactory>>,
    twice: Vec<String>,
}

impl RegistryBuilder {
    pub(super) fn new() -> Self {
        Self {
            kinds: kinds::ours(),
            twice: Vec::new(),
        }
    }

    /// Adds a provider kind, which sections of a configuration choose by `kind: name`.
    pub fn kind(mut self, name: impl Into<String>, factory: impl ProviderFactory) -> Self {
        let name = name.into();
        if name == TIERED || self.kinds.contains_key(&name) {
            self.twice.push(name);
        } else {
            self.kinds.insert(name, Box::new(factory));
        }
        self
    }

    /// Builds what a configuration describes; see [`Registry::from_config`].
    ///
    /// # Errors
    ///
    /// As [`Registry::from_config`], and [`ErrorKind::Configuration`] if two kinds were given one
    /// name.
    pub async fn build(self, config: CacheConfig) -> Result<Registry> {
        if let Some(name) = self.twice.first() {
            let message = format!("there is a provider kind `{name}` already; choose another name");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Assembly::plan(config, &self)?.build(&self).await
    }

    /// The factory of a section's kind.
    pub(super) fn factory(&self, section: &Section) -> Result<&dyn ProviderFactory> {
        let kind = section.kind();
        if let Some(factory) = self.kinds.get(kind) {
            return Ok(&**factory);
        }
        if matches!(kind, "disk" | "memcached" | "redis") {
            let what = format!("this program is built without the feature `{kind}` of cache-core");
            return Err(section.kind_error(&what));
        }
        let ours = [TIERED.to_owned()];
        let mut names: Vec<_> = self.kinds.keys().chain(&ours).collect();
        names.sort();
        let what = format!(
            "there is no provider kind `{kind}`; {}",
            there_are(names.into_iter())
        );
        Err(section.kind_error(&what))
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("kinds", &self.kinds.keys())
            .finish_non_exhaustive()
    }
}
