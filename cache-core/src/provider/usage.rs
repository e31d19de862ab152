//! What a provider holds, and what has left it by itself.

/// What a provider holds and has lost, since it was built. `None` where it cannot be told without
/// asking a server or looking at every key.
///
/// The memory provider and the memory tier tell everything, a little late: they tidy up while they are
/// used. [`Cache::sweep`](crate::Cache::sweep) makes the figures exact.
///
/// A Redis server tells nothing here. `DBSIZE` and `INFO` count the keys, evictions and expirations of
/// everybody who uses the server; they belong to its own monitoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Entries that are stored, expired and hidden ones that have not been freed among them.
    pub entries: Option<u64>,
    /// About how many bytes keys and values take.
    pub bytes: Option<u64>,
    /// Entries that made room for others.
    pub evictions: Option<u64>,
    /// Entries that were freed after their time to live had passed.
    pub expirations: Option<u64>,
}
