//! Which cache the service uses: a Redis server if `REDIS_URL` names one, else its own memory.

use std::env;

use cache_core::{Cache, CacheBuilder, Error, MemoryProvider, RedisProvider, Result};

/// What all keys begin with, in case others use the same Redis server.
const KEY_PREFIX: &str = "quickstart";

/// Connects to the cache, and makes it the one that `#[cached]` functions use.
pub(crate) async fn connect() -> Result<Cache> {
    let cache = match env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => redis(url).await?,
        _ => Cache::builder(MemoryProvider::new()).key_prefix(KEY_PREFIX),
    };
    let cache = cache.build()?;
    // The database is a new one, so nothing that an earlier run has left in Redis is true of it.
    cache.clear().await?;
    Cache::set_global(cache.clone())?;
    Ok(cache)
}

async fn redis(url: String) -> Result<CacheBuilder> {
    let provider = RedisProvider::builder(url).key_prefix(KEY_PREFIX).build();
    provider.await.map(Cache::builder).map_err(|error| {
        let message = "REDIS_URL does not lead to a cache; mend it, or unset it to cache in memory";
        Error::new(error.kind(), message).with_source(error)
    })
}
