//! What a provider says of itself that it can do.

/// What a provider can do beyond storing, reading and invalidating entries.
///
/// What it cannot do answers [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported). The checks
/// of [`conformance!`](crate::conformance) follow what is declared here: what is, must work; what
/// is not, must answer so.
///
/// ```
/// use cache_core::Capability;
///
/// let capability = Capability { scan: false, ..Capability::LOCAL };
/// assert!(capability.counters && !capability.scan);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capability {
    /// Keeps what it is given. Without it, writes succeed and nothing is there afterwards.
    pub storage: bool,
    /// [`Provider::increment`](crate::Provider::increment).
    pub counters: bool,
    /// [`Provider::replace`](crate::Provider::replace), and so
    /// [`Cache::update`](crate::Cache::update).
    pub update: bool,
    /// [`Provider::scan`](crate::Provider::scan), and so
    /// [`Cache::delete_by_pattern`](crate::Cache::delete_by_pattern). Invalidating by pattern
    /// needs it not.
    pub scan: bool,
    /// [`Provider::limits`](crate::Provider::limits), and so
    /// [`Cache::rate_limiter`](crate::Cache::rate_limiter).
    pub limits: bool,
    /// [`Provider::locks`](crate::Provider::locks), and so [`Cache::lock`](crate::Cache::lock).
    pub locks: bool,
    /// [`Provider::indexes`](crate::Provider::indexes), and so
    /// [`EntryOptions::index`](crate::EntryOptions::index) and
    /// [`Cache::get_by_index`](crate::Cache::get_by_index).
    pub indexes: bool,
    /// Several processes see one store. For information: no check follows it.
    pub shared: bool,
    /// Its entries may be copied into a [memory tier](crate::MemoryTier): whatever makes a copy
    /// old, a write in another process included, is recorded in the [log](crate::Provider::log)
    /// and delivered.
    pub copies: bool,
    /// What is stored outlives the process. For information: no check follows it.
    pub persistent: bool,
}

impl Capability {
    /// Nothing, not even storage.
    pub const NONE: Self = Self {
        storage: false,
        counters: false,
        update: false,
        scan: false,
        limits: false,
        locks: false,
        indexes: false,
        shared: false,
        copies: false,
        persistent: false,
    };

    /// What a store in one process's memory can do by the methods of
    /// [`Provider`](crate::Provider) alone. Limits, locks and indexes have traits of their own, which
    /// who implements them declares.
    pub const LOCAL: Self = Self {
        storage: true,
        counters: true,
        update: true,
        scan: true,
        limits: false,
        locks: false,
        indexes: false,
        shared: false,
        copies: true,
        persistent: false,
    };
}
