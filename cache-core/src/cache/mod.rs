//! The handle that users hold: one namespace of one deployment.

mod batch;
mod builder;
mod call;
mod events;
mod global;
mod index;
mod invalidate;
mod limit;
mod load;
mod lock;
mod many;
mod metrics;
mod namespaces;
mod ping;
#[cfg(feature = "metrics")]
mod publish;
mod read;
mod scan;
mod stale;
#[cfg(feature = "stream")]
mod stream;
mod sweep;
mod through;
mod update;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use batch::Batch;
pub use builder::CacheBuilder;
pub use limit::RateLimiter;
pub use lock::{Lock, LockGuard};
pub use namespaces::{MAX_COUNTED, MAX_EXPORTED};
pub use ping::Ping;
#[cfg(feature = "testkit")]
pub(crate) use read::KeepOk;
pub use scan::KeyScan;
#[cfg(feature = "stream")]
pub use stream::KeyStream;
pub use update::Update;
pub use write::Set;

use crate::chain::Chain;
use crate::codec::CodecId;
use crate::engine::{Engine, Hit, Question, Reading, Turn};
use crate::entry::Owner;
use crate::error::{Error, ErrorKind, Result};
use crate::key::KeyBuffer;
use crate::metrics::{Counters, Miss};
use crate::namespace::{MAX_KEY_BYTES, Scope};
use crate::policy::Policy;
use crate::provider::memory::MemoryProvider;
use crate::provider::{Capability, Provider};
use crate::terms::{EntryOptions, Ttl};
use crate::value::Value;
use namespaces::Namespaces;

/// A cache: one namespace over one [`Provider`]. Cloning it, or opening another namespace, shares
/// what is stored.
///
/// When `invalidate*`, `delete*` or `clear` has returned, no read that starts later on this
/// handle's node returns a value that was computed, or whose computation began, before.
///
/// ```
/// use cache_core::{Cache, EntryOptions};
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), cache_core::Error> {
/// let cache = Cache::memory();
/// let users = cache.namespace("users");
///
/// let name: Result<String, std::io::Error> = users
///     .get_or_set_with(
///         "42",
///         EntryOptions::new().ttl(Duration::from_secs(60)).tag("team:7"),
///         || async { Ok("Ada".to_owned()) },
///     )
///     .await;
/// assert_eq!(name.unwrap(), "Ada");
/// assert_eq!(users.get::<String>("42").await?.as_deref(), Some("Ada"));
///
/// cache.invalidate_tag("team:7").await?;
/// assert_eq!(users.get::<String>("42").await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct Cache(Arc<Handle>);

struct Handle {
    engine: Arc<Engine>,
    namespaces: Arc<Namespaces>,
    scope: Scope,
    counters: Arc<Counters>,
    default_ttl: Ttl,
    codec: CodecId,
    reading: Reading,
    policy: Arc<Policy>,
    /// The namespaces that are named in the program's text.
    fixed: Chain<(&'static str, Cache)>,
}

/// How sure a read must be that nothing was invalidated on another node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// What another node has invalidated is seen within the backend's delivery time:
    /// milliseconds while this node is connected, and never later than its touch bound.
    #[default]
    Delivered,
    /// What any node has invalidated before the read began is seen: the log is asked beside each
    /// read, at the price of one round trip.
    Strict,
}

impl Cache {
    /// A cache in the memory of this process, with the defaults of [`MemoryProvider`] and of
    /// [`CacheBuilder`].
    pub fn memory() -> Self {
        Self::builder(MemoryProvider::new())
            .build()
            .expect("the defaults are valid")
    }

    /// Sets up a cache over a provider.
    pub fn builder(provider: impl Provider) -> CacheBuilder {
        CacheBuilder::new(Arc::new(provider))
    }

    /// Opens a namespace inside this one. `:` separates levels: `tenant:123` is the namespace
    /// `123` inside `tenant`. Keys of different namespaces never meet, whatever they contain, and no
    /// name, not even the empty one, is the namespace that it is opened in.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Self {
        let scope = self.0.scope.nested(name);
        Self(Arc::new(Handle {
            counters: self.0.namespaces.counters(&scope),
            scope,
            ..self.handle()
        }))
    }

    /// A namespace inside this one, kept as long as this handle: for names that are written in
    /// the program, of which there are few.
    #[doc(hidden)]
    pub fn fixed_namespace(&self, name: &'static str) -> &Self {
        let fits = |(fixed, _): &(&str, Self)| *fixed == name;
        let make = || (name, self.namespace(name));
        &self.0.fixed.find_or_add(fits, make).1
    }

    /// The same namespace with another default time to live.
    #[must_use]
    pub fn with_default_ttl(&self, ttl: impl Into<Ttl>) -> Self {
        let mut handle = self.handle();
        handle.default_ttl = ttl.into();
        Self(Arc::new(handle))
    }

    /// The same namespace, and those that are opened in this handle, written by this codec where
    /// values become bytes. Default: [`CacheBuilder::codec`].
    #[must_use]
    pub fn with_codec(&self, codec: CodecId) -> Self {
        let mut handle = self.handle();
        handle.codec = codec;
        Self(Arc::new(handle))
    }

    /// The same namespace, read with this consistency. Default: [`Consistency::Delivered`].
    #[must_use]
    pub fn with_consistency(&self, consistency: Consistency) -> Self {
        let mut handle = self.handle();
        handle.reading.strict = consistency == Consistency::Strict;
        Self(Arc::new(handle))
    }

    /// The same namespace, read and loaded past the memory tier, if there is one.
    #[must_use]
    pub fn without_memory_tier(&self) -> Self {
        let mut handle = self.handle();
        handle.reading.near = false;
        Self(Arc::new(handle))
    }

    /// The same namespace, with or without the
    /// [distributed lock](CacheBuilder::distributed_lock). A caller without it who finds another of
    /// this process waiting follows that one.
    #[must_use]
    pub fn with_distributed_lock(&self, on: bool) -> Self {
        let mut handle = self.handle();
        handle.reading.lock = on;
        Self(Arc::new(handle))
    }

    /// The same namespace, and those that are opened in this handle, under this policy in place of the
    /// cache's. Default: [`CacheBuilder::policy`].
    ///
    /// ```
    /// # use cache_core::{Cache, Policy};
    /// # use std::time::Duration;
    /// # let cache = Cache::memory();
    /// let prices = cache
    ///     .namespace("prices")
    ///     .with_policy(Policy::new().stale_if_error(Duration::from_secs(600)));
    /// ```
    #[must_use]
    pub fn with_policy(&self, policy: Policy) -> Self {
        let mut handle = self.handle();
        handle.policy = Arc::new(policy);
        Self(Arc::new(handle))
    }

    fn handle(&self) -> Handle {
        Handle {
            engine: Arc::clone(&self.0.engine),
            namespaces: Arc::clone(&self.0.namespaces),
            scope: self.0.scope.clone(),
            counters: Arc::clone(&self.0.counters),
            default_ttl: self.0.default_ttl,
            codec: self.0.codec,
            reading: self.0.reading,
            policy: Arc::clone(&self.0.policy),
            fixed: Chain::new(),
        }
    }

    /// What the provider can do; what it cannot answers
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    pub fn capability(&self) -> Capability {
        self.engine().provider.capability()
    }

    /// The provider's name, such as `"memory"`.
    pub fn provider_name(&self) -> &'static str {
        self.0.engine.provider.name()
    }

    /// Looks into memory without waiting: `None` if the value is not there, or only a remote
    /// backend could tell. Allocates nothing.
    pub fn peek(&self, key: &str, owner: Owner) -> Option<Hit> {
        self.peek_if(key, owner, |_| true)
    }

    /// Like [`peek`](Self::peek), where not every value is of use: what `takes` refuses is not
    /// counted as a hit.
    pub fn peek_if(
        &self,
        key: &str,
        owner: Owner,
        takes: impl FnOnce(&Hit) -> bool,
    ) -> Option<Hit> {
        let hit = self.peek_uncounted(key, owner).filter(takes)?;
        self.0.counters.hit();
        Some(hit)
    }

    /// Like [`peek`](Self::peek), for the value; it is a hit if it can be read as a `T`.
    pub(crate) fn peek_value<T: Value>(&self, key: &str, owner: Owner) -> Option<T> {
        let (value, _) = self.peek_read(key, owner)?;
        Some(value)
    }

    /// The same, with the hit.
    pub(crate) fn peek_read<T: Value>(&self, key: &str, owner: Owner) -> Option<(T, Hit)> {
        let hit = self.peek_uncounted(key, owner)?;
        let value = hit.value().ok()?;
        self.0.counters.hit();
        Some((value, hit))
    }

    fn peek_uncounted(&self, key: &str, owner: Owner) -> Option<Hit> {
        let key = self.full_key(key).ok()?;
        let Handle {
            engine, reading, ..
        } = &*self.0;
        engine.peek(key.as_str(), owner, *reading)
    }

    /// The lowest layer of a read: says whether the value is there, is to be loaded by this
    /// caller, or is being loaded by another.
    ///
    /// `options` are those that the value will be published with, as far as they are known: with
    /// the tags, a caller that arrives after one of them was invalidated does not follow a load
    /// that began before.
    ///
    /// Where the [distributed lock](CacheBuilder::distributed_lock) is on, this waits for a load of
    /// the key in another process, at most as long as [`lock_wait`](CacheBuilder::lock_wait).
    ///
    /// No [`Policy`] applies here: nothing stale is shown, and what is published is stored as it is said.
    ///
    /// Dropping the future leaves nothing behind on this node. If it was asking a remote backend
    /// for the lease, that is given back; where this fails it stands there until it runs out.
    pub async fn turn(&self, key: &str, owner: Owner, options: &EntryOptions) -> Turn {
        let turn = match self.question(key, owner, options) {
            Ok(question) => {
                let policy = Arc::clone(&self.0.engine.no_policy);
                let question = Question { policy, ..question };
                self.0.engine.turn(&question).await
            }
            Err(error) => {
                self.bypass(&error);
                Turn::Alone
            }
        };
        if let Turn::Hit(hit) = &turn {
            hit.count(self.counters());
        }
        turn
    }

    /// Counts and logs that a read goes past the cache.
    pub(crate) fn bypass(&self, error: &Error) {
        self.0.engine.failed(error, &self.0.counters);
        self.0.counters.miss(Miss::Bypassed);
    }

    pub(crate) fn question(
        &self,
        key: &str,
        owner: Owner,
        options: &EntryOptions,
    ) -> Result<Question> {
        Ok(Question {
            key: self.full_key(key)?.as_str().into(),
            owner,
            tags: options.checked_tags(self.engine().can_index())?,
            tags_are_all: false,
            arrived: Instant::now(),
            unfit: None,
            counters: Arc::clone(&self.0.counters),
            default_ttl: self.0.default_ttl,
            codec: self.0.codec,
            reading: self.0.reading,
            policy: Arc::clone(&self.0.policy),
            shows_stale_for: Duration::ZERO,
        })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// `{prefix}:{namespace}:{key}`.
    pub(crate) fn full_key(&self, key: &str) -> Result<KeyBuffer> {
        let scope = self.0.scope.as_str();
        let length = scope.len() + 1 + key.len();
        if key.is_empty() {
            return Err(Error::new(ErrorKind::InvalidKey, "the key is empty"));
        }
        if length > MAX_KEY_BYTES {
            let message = format!(
                "the key has {length} bytes with its prefix and namespace; at most {MAX_KEY_BYTES} are possible"
            );
            return Err(Error::new(ErrorKind::InvalidKey, message));
        }
        let mut full = KeyBuffer::new();
        full.push_str(scope);
        full.push_str(":");
        full.push_str(key);
        Ok(full)
    }

    /// Marks an error with the operation that it ended, and where.
    fn during(&self, operation: &'static str, error: Error) -> Error {
        let namespace = self.0.scope.namespace();
        error
            .during(operation, self.provider_name())
            .within(namespace)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("scope", &self.0.scope.as_str())
            .field("provider", &self.0.engine.provider)
            .finish_non_exhaustive()
    }
}
