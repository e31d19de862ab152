//! A node: values out of the source, through a memory tier in front of Redis.

use cache_core::log::Log;
use cache_core::{
    Cache, Clock, EntryOptions, Invalidated, MemoryTier, Metrics, Provider, RedisProvider, Result,
};

use crate::Failure;
use crate::options::Options;
use crate::source::{Source, Versioned};

/// How many heartbeats fit into the touch bound: all but one may be late.
const BEATS: u32 = 3;

/// A handle on the node; clones share it.
#[derive(Clone)]
pub(crate) struct Node {
    values: Cache,
    source: Source,
    log: Log,
    clock: Clock,
}

/// What a node is asked to make go.
pub(crate) enum Target<'a> {
    Key(&'a str),
    Tag(&'a str),
    Pattern(&'a str),
}

/// A write to the source, and what became of the copies of the value that was.
pub(crate) struct Written {
    pub(crate) version: i64,
    pub(crate) copies: Result<Invalidated>,
}

impl Node {
    /// Opens the source and connects to Redis.
    pub(crate) async fn start(options: &Options) -> Result<Self, Failure> {
        let source = Source::open(&options.source, options.load_delay)?;
        let provider = RedisProvider::builder(&options.redis)
            .key_prefix(&options.prefix)
            .command_timeout(options.command_timeout)
            .touch_bound(options.touch_bound)
            .heartbeat(options.touch_bound / BEATS)
            .build()
            .await?;
        let (log, clock) = (provider.log().clone(), provider.clock());
        let cache = Cache::builder(provider)
            .memory_tier(MemoryTier::new())
            .distributed_lock(options.lock)
            .build()?;
        Ok(Self {
            values: cache.namespace("values"),
            source,
            log,
            clock,
        })
    }

    /// The value at `key`, from the cache or from the source.
    pub(crate) async fn read(&self, key: &str) -> Result<Versioned, Unread> {
        let options = EntryOptions::new().tag(tag_of(key));
        let load = async || match self.source.read(key).await {
            Ok(value) => value.ok_or(Unread::Absent),
            Err(failure) => Err(Unread::Failed(failure)),
        };
        self.values.get_or_set_with(key, options, load).await
    }

    /// Writes to the source first: a load that begins after the invalidation sees the new value.
    pub(crate) async fn write(&self, key: &str, text: String) -> Result<Written, Failure> {
        let version = self.source.write(key, text).await?;
        let copies = self.values.invalidate(key).await;
        Ok(Written { version, copies })
    }

    pub(crate) async fn invalidate(&self, target: Target<'_>) -> Result<Invalidated> {
        match target {
            Target::Key(key) => self.values.invalidate(key).await,
            Target::Tag(tag) => self.values.invalidate_tag(tag).await,
            Target::Pattern(pattern) => self.values.invalidate_pattern(pattern).await,
        }
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.values.metrics()
    }

    /// How often this node has read the source.
    pub(crate) fn loads(&self) -> u64 {
        self.source.reads()
    }

    /// How many invalidations Redis has yet to take.
    pub(crate) fn pending(&self) -> usize {
        self.log.pending().0.len()
    }

    /// Whether the node hears from Redis; if not, it shows no copies.
    pub(crate) fn is_in_touch(&self) -> bool {
        self.log.in_touch(self.clock.now())
    }
}

/// Why there is no value.
pub(crate) enum Unread {
    Absent,
    Failed(Failure),
}

/// The part before the first `:`, or all of it.
fn tag_of(key: &str) -> &str {
    key.split(':').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_key_is_its_kind() {
        assert_eq!(tag_of("user:42:name"), "user");
        assert_eq!(tag_of("motd"), "motd");
    }
}
