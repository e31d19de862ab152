//! Settings of caches as people write them: YAML, TOML and the environment.
//!
//! [`CacheConfig`] reads them, a [`Registry`](crate::Registry) builds what they describe. The manual page with
//! every field is `docs/configuration.md`.
//!
//! ```
//! use cache_core::{CacheConfig, Registry};
//!
//! # async fn example() -> cache_core::Result<()> {
//! let config = CacheConfig::builder()
//!     .yaml("cache.yaml", "{ default_ttl: 10m, namespaces: { users: { ttl: 1h } } }")
//!     .build()?;
//! let registry = Registry::from_config(config).await?;
//! registry.cache("users")?.set("42", "Ada").await?;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! What counts, from the least to the most: the defaults; the files, in the order in which they are
//! given, field by field; `${NAME:default}` inside of them; the variables `CACHE_DEFAULT_TTL`,
//! `CACHE_KEY_PREFIX`, and `REDIS_URL` or, where that is not set, `REDIS_HOST`, `REDIS_PORT`,
//! `REDIS_PASSWORD` and `REDIS_DB`.

mod builder;
mod codec;
mod environment;
mod merge;
mod policy;
mod section;
mod substitute;
mod toml;
mod units;
mod wrong;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use config::{Value, ValueKind};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use builder::CacheConfigBuilder;
pub(crate) use codec::NamedCodec;
#[cfg(any(feature = "disk", feature = "memcached", feature = "redis"))]
pub(crate) use codec::not_built;
pub(crate) use policy::PolicyFields;
pub use section::Section;
pub use units::{HumanBytes, HumanDuration, HumanTtl};

use crate::codec::CodecId;
use crate::error::{Error, Result};
use crate::namespace::MAX_PREFIX_BYTES;
use crate::terms::Ttl;

/// Which caches there are, over which providers. [`config`](crate::config) says how settings add up.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    pub(crate) default_provider: Option<String>,
    pub(crate) default_ttl: Option<Ttl>,
    pub(crate) key_prefix: Option<String>,
    pub(crate) loading: Loading,
    pub(crate) codec: Option<CodecId>,
    pub(crate) policy: Option<PolicyFields>,
    pub(crate) providers: BTreeMap<String, Section>,
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    places: Places,
}

/// A named cache.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Namespace {
    ttl: Option<HumanTtl>,
    pub(crate) provider: Option<String>,
    codec: Option<NamedCodec>,
    pub(crate) distributed_lock: Option<bool>,
    pub(crate) policy: Option<PolicyFields>,
}

impl Namespace {
    pub(crate) fn ttl(&self) -> Option<Ttl> {
        self.ttl.map(|ttl| ttl.0)
    }

    pub(crate) fn codec(&self) -> Option<CodecId> {
        self.codec.map(|codec| codec.0)
    }
}

/// Who waits for whose load, and how long.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loading {
    pub(crate) flight_wait: Option<Duration>,
    pub(crate) lock_wait: Option<Duration>,
    pub(crate) distributed_lock: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    default_provider: Option<String>,
    default_ttl: Option<HumanTtl>,
    key_prefix: Option<String>,
    flight_wait: Option<HumanDuration>,
    lock_wait: Option<HumanDuration>,
    distributed_lock: Option<bool>,
    codec: Option<NamedCodec>,
    policy: Option<PolicyFields>,
    #[serde(rename = "providers")]
    _providers: Option<IgnoredAny>,
    namespaces: Option<BTreeMap<String, Option<Namespace>>>,
}

/// Where the fields stand that refer to others.
#[derive(Clone, Debug, Default)]
struct Places(BTreeMap<String, String>);

impl CacheConfig {
    /// The settings of a file, YAML or TOML by its extension, under those of the process's
    /// environment.
    ///
    /// # Errors
    ///
    /// As [`CacheConfigBuilder::build`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().file(path).build()
    }

    /// The settings of the process's environment alone.
    ///
    /// # Errors
    ///
    /// As [`CacheConfigBuilder::build`].
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    /// Settings from several places.
    pub fn builder() -> CacheConfigBuilder {
        CacheConfigBuilder::default()
    }

    fn of(root: &Value) -> Result<Self> {
        let fields: Fields = wrong::read(root, "")?;
        if let Some(length) = fields.key_prefix.as_ref().map(String::len)
            && !(1..=MAX_PREFIX_BYTES).contains(&length)
        {
            let what = format!("a key prefix has 1 to {MAX_PREFIX_BYTES} bytes, not {length}");
            let place = wrong::place(root, "key_prefix");
            return Err(wrong::wrong(place, "key_prefix", &what));
        }
        let namespaces = fields.namespaces.unwrap_or_default().into_iter();
        let config = Self {
            providers: sections(root, fields.key_prefix.as_deref())?,
            default_provider: fields.default_provider,
            default_ttl: fields.default_ttl.map(|ttl| ttl.0),
            loading: Loading {
                flight_wait: fields.flight_wait.map(|span| span.0),
                lock_wait: fields.lock_wait.map(|span| span.0),
                distributed_lock: fields.distributed_lock,
            },
            codec: fields.codec.map(|codec| codec.0),
            policy: fields.policy,
            key_prefix: fields.key_prefix,
            namespaces: namespaces
                .map(|(name, namespace)| (name, namespace.unwrap_or_default()))
                .collect(),
            places: Places::of(root),
        };
        match config.namespaces.contains_key("") {
            true => Err(config.error("namespaces", "the name of a namespace is not empty")),
            false => Ok(config),
        }
    }

    /// A mistake in the field at `path`.
    pub(crate) fn error(&self, path: &str, what: impl AsRef<str>) -> Error {
        let place = self.places.get(path).or_else(|| self.places.get(""));
        wrong::wrong(place, path, what.as_ref())
    }
}

fn sections(root: &Value, key_prefix: Option<&str>) -> Result<BTreeMap<String, Section>> {
    let ValueKind::Table(fields) = &root.kind else {
        return Ok(BTreeMap::new());
    };
    let providers = fields.get("providers");
    match providers.map(|providers| &providers.kind) {
        None | Some(ValueKind::Nil) => Ok(BTreeMap::new()),
        Some(ValueKind::Table(providers)) => providers
            .iter()
            .map(|(name, section)| {
                let key_prefix = key_prefix.map(str::to_owned);
                Ok((
                    name.clone(),
                    Section::new(name, section.clone(), key_prefix)?,
                ))
            })
            .collect(),
        Some(_) => {
            let what = "expected a section for each provider, under the name that you give it";
            let place = wrong::place(root, "providers");
            Err(wrong::wrong(place, "providers", what))
        }
    }
}

impl Places {
    fn of(root: &Value) -> Self {
        let mut places = BTreeMap::new();
        collect(root, "", &mut places);
        Self(places)
    }

    fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

fn collect(value: &Value, path: &str, places: &mut BTreeMap<String, String>) {
    if let Some(place) = value.origin() {
        places.insert(path.to_owned(), place.to_owned());
    }
    if let ValueKind::Table(fields) = &value.kind {
        for (name, value) in fields {
            collect(value, &wrong::join(path, name), places);
        }
    }
}
