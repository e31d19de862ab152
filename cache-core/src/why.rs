//! Why a read answered as it did.

use std::time::Duration;

use crate::metrics::Miss;

/// What a read found, and why. By [`Cache::read`](crate::Cache::read).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read<T> {
    /// The value; `None` if there is none that may be shown.
    pub value: Option<T>,
    /// Why there is one, or none.
    pub why: Why,
}

/// Why a read answered as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// There was a value that may be shown.
    Hit {
        /// Where it was found.
        from: Source,
        /// How long ago it was stored.
        age: Duration,
    },
    /// There was none, for this reason; never [`Miss::Bypassed`].
    Miss(Miss),
    /// The cache was not asked: it is out of touch with its backend.
    Bypass,
}

impl From<Miss> for Why {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Bypassed => Self::Bypass,
            miss => Self::Miss(miss),
        }
    }
}

/// Where a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// In the provider, which is in this process's memory.
    Memory,
    /// In the memory tier in front of a remote provider.
    MemoryTier,
    /// In a remote provider.
    Remote,
    /// In the hands of another caller, who was loading it.
    Load,
}

impl Source {
    /// The name in traces: `memory`, `memory_tier`, `remote`, `load`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::MemoryTier => "memory_tier",
            Self::Remote => "remote",
            Self::Load => "load",
        }
    }
}
