//! From a configuration to caches: first everything is checked, then built.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::factory::RegistryBuilder;
use super::kinds::{TIERED, tiered};
use super::{Registry, no, ready, there_are};
use crate::cache::{Cache, CacheBuilder};
use crate::config::{CacheConfig, Loading, Section};
use crate::engine::MemoryTier;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use crate::provider::Provider;
use crate::provider::null::NullProvider;

/// The name of the provider that is there where none is configured.
const IMPLIED: &str = "memory";

/// What is to be built: every reference in it leads somewhere.
pub(super) struct Assembly {
    config: CacheConfig,
    /// By the name of the provider behind it: a tier's own name, and the tier.
    tiers: BTreeMap<String, (String, MemoryTier)>,
    default: String,
}

impl Assembly {
    pub(super) fn plan(config: CacheConfig, kinds: &RegistryBuilder) -> Result<Self> {
        let mut tiers = BTreeMap::new();
        for section in config.providers.values() {
            if section.kind() == TIERED {
                let (remote, tier) = tiered(section)?;
                check_remote(&config, section, &remote)?;
                if let Some((other, _)) =
                    tiers.insert(remote.clone(), (section.name().to_owned(), tier))
                {
                    let what = format!(
                        "there is a memory tier in front of `{remote}` already: `{other}`; use that one"
                    );
                    return Err(section.error("remote", what));
                }
            } else {
                kinds.factory(section)?;
            }
        }
        check_waits(&config)?;
        let default = default_provider(&config, &tiers)?;
        check_namespaces(&config, &default)?;
        Ok(Self {
            config,
            tiers,
            default,
        })
    }

    pub(super) async fn build(self, kinds: &RegistryBuilder) -> Result<Registry> {
        let mut providers = BTreeMap::new();
        let sections = self.config.providers.values();
        for section in sections.filter(|section| section.kind() != TIERED) {
            let built = kinds.factory(section)?.build(section.clone()).await;
            let provider = built.map_err(|error| told(section, error))?;
            self.add(&mut providers, section, provider)?;
        }
        if providers.is_empty() {
            let memory = Arc::new(crate::MemoryProvider::new());
            providers.insert(IMPLIED.to_owned(), self.builder(memory).build()?);
        }
        let default = providers[&self.default].clone();
        let caches = self.caches(&providers);
        Ok(Registry {
            default,
            providers,
            caches,
        })
    }

    /// Adds a provider, and the tier in front of it. They have one engine: what is invalidated
    /// through one is gone for the other.
    fn add(
        &self,
        all: &mut BTreeMap<String, Cache>,
        section: &Section,
        provider: Arc<dyn Provider>,
    ) -> Result<()> {
        let builder = self.builder(provider);
        let Some((name, tier)) = self.tiers.get(section.name()) else {
            let cache = builder.build().map_err(|error| told(section, error))?;
            all.insert(section.name().to_owned(), cache);
            return Ok(());
        };
        let cache = builder.memory_tier(*tier).build();
        let cache = cache.map_err(|error| told(&self.config.providers[name], error))?;
        all.insert(section.name().to_owned(), cache.without_memory_tier());
        all.insert(name.clone(), cache);
        Ok(())
    }

    fn builder(&self, provider: Arc<dyn Provider>) -> CacheBuilder {
        let prefix = self.config.key_prefix.as_ref();
        let prefix = prefix.filter(|_| provider.key_prefix().is_none()).cloned();
        let mut builder = CacheBuilder::new(provider);
        if let Some(prefix) = prefix {
            builder = builder.key_prefix(prefix);
        }
        if let Some(ttl) = self.config.default_ttl {
            builder = builder.default_ttl(ttl);
        }
        if let Some(codec) = self.config.codec {
            builder = builder.codec(codec);
        }
        loading(builder, self.config.loading).policy(self.policy())
    }

    /// That of what says nothing else.
    fn policy(&self) -> Policy {
        let fields = self.config.policy.as_ref();
        fields.map_or_else(Policy::new, |fields| fields.over(Policy::new()))
    }

    fn caches(&self, providers: &BTreeMap<String, Cache>) -> BTreeMap<String, Cache> {
        let names = self.config.namespaces.keys().map(String::as_str);
        let cache = |name: &str| {
            let namespace = self
                .config
                .namespaces
                .get(name)
                .cloned()
                .unwrap_or_default();
            let provider = namespace.provider.as_ref().unwrap_or(&self.default);
            let mut cache = providers[provider].namespace(name);
            if let Some(ttl) = namespace.ttl().or(ready::ttl(name).map(Into::into)) {
                cache = cache.with_default_ttl(ttl);
            }
            if let Some(codec) = namespace.codec() {
                cache = cache.with_codec(codec);
            }
            if let Some(on) = namespace.distributed_lock {
                cache = cache.with_distributed_lock(on);
            }
            if let Some(fields) = &namespace.policy {
                cache = cache.with_policy(fields.over(self.policy()));
            }
            (name.to_owned(), cache)
        };
        let ready = ready::names().filter(|name| !self.config.namespaces.contains_key(*name));
        names.map(cache).chain(ready.map(cache)).collect()
    }
}

fn loading(mut builder: CacheBuilder, loading: Loading) -> CacheBuilder {
    if let Some(wait) = loading.flight_wait {
        builder = builder.flight_wait(wait);
    }
    if let Some(wait) = loading.lock_wait {
        builder = builder.lock_wait(wait);
    }
    match loading.distributed_lock {
        Some(on) => builder.distributed_lock(on),
        None => builder,
    }
}

/// The waits are the same over every provider: what is wrong with them is told once, at its place.
fn check_waits(config: &CacheConfig) -> Result<()> {
    let builder = loading(
        CacheBuilder::new(Arc::new(NullProvider::new())),
        config.loading,
    );
    let checked = builder.build().map(drop);
    checked.map_err(|error| config.error("lock_wait", error.to_string()))
}

/// Whether a memory tier in front of this kind would be refused.
fn bears_no_tier(kind: &str) -> bool {
    matches!(kind, TIERED | "memcached" | "memory" | "null")
}

fn check_remote(config: &CacheConfig, section: &Section, remote: &str) -> Result<()> {
    let names = || {
        let all = config.providers.values();
        let others = all.filter(|other| !bears_no_tier(other.kind()));
        others.map(Section::name).collect::<Vec<_>>()
    };
    let expected = || match &names()[..] {
        [] => "add one, such as a section with `kind: redis`".to_owned(),
        names => there_are(names.iter()),
    };
    match config.providers.get(remote) {
        None => Err(section.error(
            "remote",
            format!("{}; {}", no("provider", remote), expected()),
        )),
        Some(behind) if behind.kind() == "memcached" => {
            let what = format!(
                "`{remote}` is of the kind `memcached`, which tells nobody what has changed, so that \
                 copies in memory would go stale; use it without a tier"
            );
            Err(section.error("remote", what))
        }
        Some(behind) if bears_no_tier(behind.kind()) => {
            let kind = behind.kind();
            let what = format!(
                "`{remote}` is of the kind `{kind}`; a memory tier belongs in front of a remote provider: {}",
                expected()
            );
            Err(section.error("remote", what))
        }
        Some(_) => Ok(()),
    }
}

/// The provider that is named; else the only one, with the tier in front of it if there is one.
fn default_provider(
    config: &CacheConfig,
    tiers: &BTreeMap<String, (String, MemoryTier)>,
) -> Result<String> {
    let names = || config.providers.keys();
    if let Some(name) = &config.default_provider {
        let implied = config.providers.is_empty() && name == IMPLIED;
        return match implied || config.providers.contains_key(name) {
            true => Ok(name.clone()),
            false => Err(config.error("default_provider", missing(config, name))),
        };
    }
    let mut fronts = names().filter(|name| !tiers.contains_key(*name));
    match (fronts.next(), fronts.next()) {
        (None, _) => Ok(IMPLIED.to_owned()),
        (Some(only), None) => Ok(only.clone()),
        _ => {
            let what = format!(
                "is missing, and there are several providers to choose from; {}",
                there_are(names())
            );
            Err(config.error("default_provider", what))
        }
    }
}

fn check_namespaces(config: &CacheConfig, default: &str) -> Result<()> {
    for (name, namespace) in &config.namespaces {
        let provider = namespace.provider.as_deref().unwrap_or(default);
        if provider != default && !config.providers.contains_key(provider) {
            let path = format!("namespaces.{name}.provider");
            return Err(config.error(&path, missing(config, provider)));
        }
    }
    Ok(())
}

fn missing(config: &CacheConfig, name: &str) -> String {
    let implied = IMPLIED.to_owned();
    let names: Vec<_> = config.providers.keys().collect();
    let names = if names.is_empty() {
        vec![&implied]
    } else {
        names
    };
    format!("{}; {}", no("provider", name), there_are(names.into_iter()))
}

/// A failure with the place of the section that asked for the provider. What the section itself
/// has said stays as it is.
fn told(section: &Section, error: Error) -> Error {
    let kind = error.kind();
    let text = error.to_string();
    let path = format!("`providers.{}", section.name());
    if kind == ErrorKind::Configuration && text.contains(&path) {
        return error;
    }
    let told = section.error("", &text);
    let told = Error::new(kind, told.to_string());
    match kind {
        ErrorKind::Configuration => told,
        _ => told.with_source(error),
    }
}
