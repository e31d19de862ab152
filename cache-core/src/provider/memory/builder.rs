//! Settings of the memory provider.

use super::limits::{Counts, MOST};
use super::locks::Held;
use super::store::Store;
use super::{MemoryProvider, departures};
use crate::clock::Clock;
use crate::log::{Caps, Log};

/// Settings of a [`MemoryProvider`].
#[derive(Debug)]
#[must_use]
pub struct MemoryProviderBuilder {
    max_bytes: u64,
    caps: Caps,
    clock: Clock,
}

impl Default for MemoryProviderBuilder {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            caps: Caps::DEFAULT,
            clock: Clock::system(),
        }
    }
}

impl MemoryProviderBuilder {
    /// The bound on the weight of all keys and values, in bytes. Default: 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many barriers the log keeps of each kind. Default: [`Caps::DEFAULT`].
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// The clock that TTLs are measured by. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the provider.
    pub fn build(self) -> MemoryProvider {
        let log = Log::local(self.caps);
        let departed = departures::telling(log.clone());
        MemoryProvider {
            store: Store::new(self.max_bytes, self.clock.clone(), departed).indexed(),
            log,
            clock: self.clock,
            counts: Counts::new(MOST),
            held: Held::new(),
        }
    }
}
