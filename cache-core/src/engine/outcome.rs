//! What of a load's result is stored, and what those who waited get of the rest.

use crate::value::{AnyValue, Value};

/// How the result of a load maps to what is stored of it.
pub trait Outcome<R> {
    /// The part of a result that is stored.
    type Stored: Value;

    /// What to store of a result; `None` for a result that is not kept, such as an `Err`.
    fn stored(&self, result: &R) -> Option<Self::Stored>;

    /// The result that a stored part stands for.
    fn restored(&self, stored: Self::Stored) -> R;

    /// Whether a result is an error, in whose place a stale value may be shown, and which counts as
    /// one in [`Metrics`](crate::Metrics). Default: no.
    fn is_error(&self, result: &R) -> bool {
        let _ = result;
        false
    }

    /// A copy, for those who wait, of a result that is not kept; `None` if it cannot be copied.
    /// They then compute it for themselves.
    fn shared(&self, result: &R) -> Option<AnyValue> {
        let _ = result;
        None
    }

    /// The result that such a copy stands for.
    fn unshared(&self, shared: &AnyValue) -> Option<R> {
        let _ = shared;
        None
    }
}
