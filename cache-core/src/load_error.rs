//! Why a call of `get_or_load` has no value.

use std::error::Error as StdError;
use std::fmt;

use crate::error::Error;

/// Why [`Cache::get_or_load`](crate::Cache::get_or_load) has no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader's own error.
    Failed(E),
    /// The load did not end within the [hard timeout](crate::Policy::hard_timeout), or was dropped after the
    /// [load timeout](crate::Policy::load_timeout), which is an error of kind
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout); or its task has ended with its runtime, which is one
    /// of kind [`ErrorKind::Unready`](crate::ErrorKind::Unready).
    Unfinished(Error),
}

impl<E> LoadError<E> {
    /// The loader's own error, if it is one.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Unfinished(_) => None,
        }
    }
}

impl<E> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the load failed"),
            Self::Unfinished(_) => f.write_str("the load did not end in time"),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Unfinished(error) => Some(error),
        }
    }
}
