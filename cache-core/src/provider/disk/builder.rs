//! Settings, and the assembly of a provider.

mod check;
#[cfg(any(
    feature = "config",
    feature = "encryption",
    feature = "lz4",
    feature = "zstd"
))]
mod packing;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::on_damage::OnDamage;
use super::opening::Opening;
use super::store::Store;
use super::writer::Writer;
use super::{DiskProvider, NAME};
use crate::clock::Clock;
use crate::codec::Packing;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Caps;

/// Settings of a [`DiskProvider`]; see [`DiskProvider::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct DiskProviderBuilder {
    opening: Opening,
    max_bytes: u64,
    key_prefix: String,
    timeout: Duration,
    sweep: Option<Duration>,
    packing: Packing,
    clock: Clock,
}

impl DiskProviderBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            opening: Opening {
                path,
                page_cache_bytes: 64 << 20,
                caps: Caps::DEFAULT,
                on_damage: OnDamage::Refuse,
            },
            max_bytes: 1 << 30,
            key_prefix: "cache".into(),
            timeout: Duration::from_secs(2),
            sweep: Some(Duration::from_secs(300)),
            packing: Packing::PLAIN,
            clock: Clock::system(),
        }
    }

    /// The bound on the sum of all keys and stored values, in bytes; default 1 GiB. The file
    /// becomes 2 to 4 times as large: see [`DiskProvider`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How much of the file the process keeps in memory, in bytes; default 64 MiB. What the
    /// operating system keeps comes on top.
    pub fn page_cache_bytes(mut self, bytes: usize) -> Self {
        self.opening.page_cache_bytes = bytes;
        self
    }

    /// What the keys of this deployment begin with, 1 to 128 bytes; default `cache`. The cache
    /// that is built on the provider must have the same.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The longest that a caller waits for the disk; default 2 s. Then reads are misses that are
    /// computed, writes are errors, and invalidations hold on this node and
    /// [wait](crate::Invalidated::Pending).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time from one sweep of the file to the next; default 5 min. A sweep frees what has
    /// expired, was hidden, or cannot be read, 256 entries or 4 MiB at a time. It must be 1 ms or more. A
    /// page of the file that cannot be read ends it, and the next begins 5 min later at least.
    pub fn sweep(mut self, interval: Duration) -> Self {
        self.sweep = Some(interval);
        self
    }

    /// Leaves what cannot be shown where it is, until something else is written at its key or room
    /// is made.
    pub fn no_sweep(mut self) -> Self {
        self.sweep = None;
        self
    }

    /// What becomes of a file that cannot be trusted; default [`OnDamage::Refuse`].
    pub fn on_damage(mut self, on_damage: OnDamage) -> Self {
        self.opening.on_damage = on_damage;
        self
    }

    /// How many barriers the log keeps of each kind; default [`Caps::DEFAULT`].
    pub fn caps(mut self, caps: Caps) -> Self {
        self.opening.caps = caps;
        self
    }

    /// The clock that entries are dated by; must be the cache's own. Default: the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the file, or makes it, and starts the thread that writes it. Must be called in a
    /// Tokio runtime. A file that was not closed is looked through first, which takes about as
    /// long as reading it. Dropped halfway, it closes the file again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for settings that cannot work, a folder that is not there or
    /// may not be written, and a missing runtime; [`ErrorKind::Unready`] if another provider has
    /// the file, in any process, and has not closed it within 2 s; [`ErrorKind::Backend`] if it is
    /// damaged, and not to be [replaced](Self::on_damage).
    pub async fn build(self) -> Result<DiskProvider> {
        let built = self.assemble().await;
        built.map_err(|error| error.during("build", NAME))
    }

    async fn assemble(self) -> Result<DiskProvider> {
        self.check()?;
        let (opening, max_bytes, clock, packing) =
            (self.opening, self.max_bytes, self.clock, self.packing);
        let opened = spawn_blocking(move || Store::open(opening, max_bytes, clock, packing));
        let opened = opened.await.map_err(|error| {
            Error::new(ErrorKind::Backend, "the file was not opened").with_source(error)
        })?;
        let store = Arc::new(opened?);
        let (messages, received) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&store), received, self.sweep);
        let thread = thread::Builder::new().name("cache-disk".into());
        let spawned = thread.spawn(move || writer.run());
        spawned.map_err(|error| {
            let message = "the thread that writes the file could not be started";
            Error::new(ErrorKind::Backend, message).with_source(error)
        })?;
        Ok(DiskProvider::over(
            store,
            messages,
            self.key_prefix,
            self.timeout,
        ))
    }
}
