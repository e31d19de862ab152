//! Settings of the memory tier.

use std::time::Duration;

/// A memory tier in front of a remote provider: reads at the speed of memory, what other nodes
/// change seen within the provider's delivery time.
///
/// ```
/// use cache_core::MemoryTier;
/// use std::time::Duration;
///
/// let tier = MemoryTier::new().max_bytes(64 << 20).max_ttl(Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MemoryTier {
    pub(crate) max_bytes: u64,
    pub(crate) max_ttl: Option<Duration>,
    pub(crate) serve_while_away: Duration,
}

impl MemoryTier {
    /// A tier of 256 MiB, whose copies live as long as the entries.
    pub fn new() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_ttl: None,
            serve_while_away: Duration::ZERO,
        }
    }

    /// The bound on the weight of all copies, in bytes. Default: 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a copy is shown before the remote tier is asked again, however long the entry
    /// lives. Default: no limit of its own.
    pub fn max_ttl(mut self, ttl: Duration) -> Self {
        self.max_ttl = Some(ttl);
        self
    }

    /// For how long copies are still shown when the node has lost touch with its backend, beyond
    /// the backend's touch bound. What other nodes invalidate meanwhile is not seen: this chooses
    /// answers at the speed of memory over fresh ones. What this node invalidates is gone all the
    /// same. Default: zero; values are computed instead.
    pub fn serve_while_away(mut self, span: Duration) -> Self {
        self.serve_while_away = span;
        self
    }
}

impl Default for MemoryTier {
    fn default() -> Self {
        Self::new()
    }
}
