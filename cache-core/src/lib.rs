//! Caching for web services: typed values over moka, a file, Redis and memcached, with invalidation that holds.
//!
//! Waiting for somebody else's load, and everything about Redis, memcached or a file, needs a Tokio
//! runtime whose timer is enabled (`enable_all` or `enable_time`). Outside a runtime the memory provider works;
//! a caller that would have to wait loads the value itself. In a runtime without a timer Tokio
//! panics where somebody would have to wait.

#[cfg(test)]
extern crate self as cache_core;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod attribute;
mod cache;
mod chain;
mod clock;
mod codec;
#[cfg(feature = "config")]
pub mod config;
mod deferred;
pub mod engine;
mod entry;
mod error;
mod events;
mod index;
mod key;
mod load_error;
mod loaded;
pub mod log;
mod merge_patch;
mod metrics;
mod namespace;
mod pattern;
mod policy;
pub mod provider;
mod random;
#[cfg(feature = "config")]
mod registry;
mod terms;
#[cfg(feature = "testkit")]
pub mod testkit;
mod value;
mod why;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub use attribute as __private;
#[cfg(feature = "macros")]
pub use cache_macros::{cache_invalidate, cached};

#[cfg(feature = "config")]
pub use self::config::{CacheConfig, CacheConfigBuilder};
#[cfg(feature = "stream")]
pub use cache::KeyStream;
pub use cache::{
    Batch, Cache, CacheBuilder, Consistency, KeyScan, Lock, LockGuard, MAX_COUNTED, MAX_EXPORTED,
    Ping, RateLimiter, Set, Update,
};
#[cfg(feature = "testkit")]
pub use clock::ManualClock;
pub use clock::{Clock, Timestamp};
pub use codec::CodecId;
#[cfg(any(feature = "zstd", feature = "lz4"))]
pub use codec::Compression;
#[cfg(feature = "encryption")]
pub use codec::EncryptionKeys;
pub use engine::MemoryTier;
pub use entry::{Entry, EntryId, MAX_TAG_BYTES, MAX_TAGS, Meta, Owner, Payload, Tags};
pub use error::{Error, ErrorKind, Result};
pub use events::{EntryKey, Event, Events, InvalidatedBy, MAX_EVENTS};
#[doc(hidden)]
pub use key::key_part;
pub use key::{KeyPart, KeyWriter};
pub use load_error::LoadError;
pub use loaded::Loaded;
pub use log::Invalidated;
pub use metrics::{Metrics, Miss, Times};
pub use namespace::MAX_KEY_BYTES;
pub use pattern::{MAX_PATTERN_BYTES, Pattern};
pub use policy::Policy;
#[cfg(feature = "disk")]
pub use provider::disk::{DiskProvider, DiskProviderBuilder, DiskSize, OnDamage};
#[cfg(feature = "memcached")]
pub use provider::memcached::{MemcachedProvider, MemcachedProviderBuilder};
pub use provider::memory::{MemoryProvider, MemoryProviderBuilder};
pub use provider::null::NullProvider;
#[cfg(feature = "redis")]
pub use provider::redis::{OnFailover, RedisProvider, RedisProviderBuilder};
pub use provider::{Capability, Decision, Limits, Locks, Provider, RateLimit, WindowKind};
#[cfg(feature = "config")]
pub use registry::{ProviderFactory, Registry, RegistryBuilder};
pub use terms::{EntryOptions, Ttl};
pub use value::{AnyValue, Local, Value, Weighed};
#[doc(hidden)]
pub use value::{Shape, downcast};
pub use why::{Read, Source, Why};
