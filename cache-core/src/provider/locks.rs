//! Locks among all who share a backend: what a provider that has them has to promise.

use std::time::Duration;

use super::{BoxFuture, Provider};
use crate::entry::EntryId;
use crate::error::{Error, ErrorKind, Result};

/// A provider that keeps locks.
///
/// A lock is a lease: it is held by a token and ends with its time, by the backend's clock, if it
/// is not given back before. It is no entry: no read, scan or invalidation of entries sees or
/// changes it.
pub trait Locks: Send + Sync {
    /// Takes the lock `key` for `ttl` unless another token holds it, in one atomic step: the
    /// fencing number if it did, `None` if another holds it. A token that holds it already is told
    /// its number once more.
    ///
    /// The number is larger than any that was given out for this key before, as far as the backend
    /// can know, and less than 2^53.
    ///
    /// An attempt that is an error takes the lock no more after it has returned. Dropping the
    /// future leaves the lock taken or not: whoever drops it releases the token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unready`] if there is no room for another lock. What the backend answers; the
    /// lock may have been taken.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Lets the lock end `ttl` from now, earlier or later than it would have, if this token holds
    /// it still: whether it does. A lock that has run out is not held, whether or not another took
    /// it. An attempt that is an error changes nothing any more after it has returned.
    fn extend<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Gives the lock back if this token holds it still: whether it did. Never another's.
    fn unlock<'a>(&'a self, key: &'a str, token: EntryId) -> BoxFuture<'a, Result<bool>>;

    /// Gives the lock back if this token holds it. Must not wait; may be late, or never happen.
    fn give_back(&self, key: &str, token: EntryId);
}

/// The locks of this provider.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] if it has none.
pub(crate) fn locks_of(provider: &dyn Provider) -> Result<&dyn Locks> {
    let message = "this provider keeps no locks; put locks on memory or Redis";
    let missing = || Error::new(ErrorKind::Unsupported, message);
    provider.locks().ok_or_else(missing)
}
