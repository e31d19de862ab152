//! Settings, and the assembly of a provider.

#[cfg(any(
    feature = "config",
    feature = "encryption",
    feature = "lz4",
    feature = "zstd"
))]
mod packing;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::address::Address;
use super::backplane::{Backplane, LEAST_ROOM};
use super::entries::Entries;
use super::error::configuration;
use super::held::Held;
use super::link::Link;
use super::tasks::Heartbeat;
use super::turns::Turns;
use super::{MemcachedProvider, NAME};
use crate::clock::Clock;
#[cfg(feature = "encryption")]
use crate::codec::EncryptionKeys;
use crate::codec::Packing;
use crate::error::{Error, Result};
use crate::namespace::{MAX_PREFIX_BYTES, Scope};

/// The most room for the log: half of what a server takes by default.
const MOST_ROOM: usize = 512 << 10;

/// Settings of a [`MemcachedProvider`]; see [`MemcachedProvider::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemcachedProviderBuilder {
    url: String,
    key_prefix: String,
    connect_timeout: Duration,
    command_timeout: Duration,
    heartbeat: Duration,
    touch_bound: Duration,
    lease_ttl: Duration,
    log_bytes: usize,
    packing: Packing,
    clock: Clock,
    lazy: bool,
}

impl MemcachedProviderBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            key_prefix: "cache".into(),
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            touch_bound: Duration::from_secs(3),
            lease_ttl: Duration::from_secs(10),
            log_bytes: 64 << 10,
            packing: Packing::PLAIN,
            clock: Clock::system(),
            lazy: false,
        }
    }

    /// What the keys of this deployment begin with, 1 to 128 bytes; default `cache`. Processes
    /// share entries and invalidations if they share server and prefix. The cache that is built on
    /// the provider must have the same.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The longest that connecting takes; default 2 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest that one operation takes, with all its round trips; default 1 s.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// The time from one heartbeat to the next; default 1 s. It finds out whether the server is
    /// there, and delivers what is [`Pending`](crate::Invalidated::Pending). Reads do not depend on
    /// it: each asks the log by itself.
    pub fn heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = period;
        self
    }

    /// How long the server is asked at all, counted from the sending of the last heartbeat that was
    /// answered; default 3 s. After that values are computed without asking, until the next
    /// heartbeat succeeds. Must be longer than the heartbeat's period.
    pub fn touch_bound(mut self, bound: Duration) -> Self {
        self.touch_bound = bound;
        self
    }

    /// How long a load keeps its key reserved without being renewed, to the second; default 10 s. It
    /// is renewed three times as often while the load runs. With the
    /// [distributed lock](crate::CacheBuilder::distributed_lock) it bounds for how long others wait
    /// for a process that has died, besides their `lock_wait`. Less than 1 s, which the server does not
    /// count, is refused by [`build`](Self::build).
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// About how many bytes of invalidations the log remembers, 8 KiB to 512 KiB; default 64 KiB.
    ///
    /// Half of it is for tags, a quarter for keys, an eighth each for patterns and for namespaces;
    /// each takes the length of its text and 11 bytes. Where there are more tags, what is older than
    /// the oldest that is remembered counts as hidden if it carries any tag; with patterns and
    /// namespaces, whatever is older; keys that are forgotten hide nothing.
    ///
    /// Each invalidation writes the whole log, and each process reads it with its first read
    /// afterwards, so that more room costs more traffic. If the server takes no items of that size,
    /// everything is hidden once, and half of the room used from then on.
    pub fn log_bytes(mut self, bytes: usize) -> Self {
        self.log_bytes = bytes;
        self
    }

    /// The clock that entries and the touch bound are judged by; must be the cache's own. Default:
    /// the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds without waiting for the server, and connects in the background. Until then the
    /// provider is out of touch: values are computed, explicit operations return an error.
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// Connects, reads the log, and starts the heartbeat. Must be called in a Tokio runtime, which
    /// the provider uses from then on. Dropped halfway, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for settings that cannot
    /// work, a server without CAS numbers (`-C`), and a missing runtime;
    /// [`ErrorKind::Backend`](crate::ErrorKind::Backend) if the server does not know the meta
    /// commands; [`ErrorKind::Connection`](crate::ErrorKind::Connection) or
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it does not answer in time;
    /// [`ErrorKind::Unready`](crate::ErrorKind::Unready) if it has no room for the log. With
    /// [`lazy`](Self::lazy), the server is not waited for.
    pub async fn build(self) -> Result<MemcachedProvider> {
        let built = self.assemble().await;
        built.map_err(|error| error.during("build", NAME))
    }

    async fn assemble(self) -> Result<MemcachedProvider> {
        let address = Address::parse(&self.url)?;
        self.check()?;
        let runtime = Handle::try_current().map_err(|_| {
            configuration("there is no Tokio runtime here; build the provider inside one")
        })?;
        let link = Link::new(
            address.clone(),
            self.connect_timeout,
            self.command_timeout,
            runtime.clone(),
        );
        let root = Scope::root(&self.key_prefix).as_str().to_owned();
        let (bound, room) = (self.touch_bound, self.log_bytes);
        let backplane = Arc::new(Backplane::new(link, root, self.clock, bound, room));
        let first = match self.lazy {
            true => Duration::ZERO,
            false => self.heartbeat,
        };
        if !self.lazy {
            backplane
                .beat()
                .await
                .map_err(|error| told(error, &address))?;
        }
        let heartbeat = Heartbeat::start(&runtime, &backplane, first, self.heartbeat);
        Ok(MemcachedProvider {
            entries: Entries {
                backplane,
                lease_ttl: self.lease_ttl,
                packing: self.packing,
                turns: Turns::new(),
                held: Held::default(),
            },
            key_prefix: self.key_prefix.into(),
            address: address.to_string().into(),
            _heartbeat: heartbeat,
        })
    }

    /// Settings that cannot work are refused before anything is connected.
    fn check(&self) -> Result<()> {
        let length = self.key_prefix.len();
        if !(1..=MAX_PREFIX_BYTES).contains(&length) {
            let message =
                format!("the key prefix has {length} bytes; 1 to {MAX_PREFIX_BYTES} are possible");
            return Err(configuration(message));
        }
        if !(LEAST_ROOM..=MOST_ROOM).contains(&self.log_bytes) {
            return Err(configuration(format!(
                "log_bytes is {}; {LEAST_ROOM} to {MOST_ROOM} are possible",
                self.log_bytes
            )));
        }
        #[cfg(feature = "encryption")]
        self.check_keys()?;
        self.check_spans()
    }

    #[cfg(feature = "encryption")]
    fn check_keys(&self) -> Result<()> {
        let keys = self.packing.keys.as_ref();
        match keys.and_then(EncryptionKeys::ambiguous) {
            None => Ok(()),
            Some(id) => Err(configuration(format!(
                "two encryption keys go by the number {id}; each needs one of its own"
            ))),
        }
    }

    fn check_spans(&self) -> Result<()> {
        let spans = [
            ("connect_timeout", self.connect_timeout),
            ("command_timeout", self.command_timeout),
            ("heartbeat", self.heartbeat),
            ("touch_bound", self.touch_bound),
        ];
        for (name, span) in spans {
            if span < Duration::from_millis(1) {
                return Err(configuration(format!("{name} is shorter than 1 ms")));
            }
        }
        if self.lease_ttl < Duration::from_secs(1) {
            return Err(configuration(
                "lease_ttl is shorter than 1 s; memcached counts in seconds",
            ));
        }
        if self.touch_bound <= self.heartbeat {
            return Err(configuration(
                "touch_bound must be longer than heartbeat, or the provider loses touch between two of them",
            ));
        }
        Ok(())
    }
}

/// What an attempt was about, if it is worth another one; a refusal speaks for itself.
fn told(error: Error, address: &Address) -> Error {
    match error.is_retryable() {
        true => {
            let what = format!("the server at {address} could not be reached");
            Error::new(error.kind(), what).with_source(error)
        }
        false => error,
    }
}
