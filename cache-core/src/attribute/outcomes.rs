//! What is stored of a result, kind by kind, and what those who waited get of the rest.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::engine::Outcome;
use crate::value::{AnyValue, Value};

/// A type that a kind is about, without a value of it.
type About<T> = PhantomData<fn() -> T>;

/// Stores every result.
pub struct Always<R>(About<R>);

/// Stores what is in `Some`.
pub struct OnlySome<T>(About<T>);

/// Stores what is in `Ok`; `S` says what becomes of errors.
pub struct OnlyOk<T, E, S>(About<(T, E, S)>);

/// Stores what is in `Ok(Some(_))`; `S` says what becomes of errors.
pub struct OnlyOkSome<T, E, S>(About<(T, E, S)>);

macro_rules! markers {
    ($($marker:ident<$($parameter:ident),*>)*) => { $(
        impl<$($parameter),*> $marker<$($parameter),*> {
            pub(super) const fn new() -> Self {
                Self(PhantomData)
            }
        }
    )* };
}

markers! { Always<R> OnlySome<T> OnlyOk<T, E, S> OnlyOkSome<T, E, S> }

/// What those who waited for a load get of its error.
pub trait ShareError<E> {
    fn copy(error: &E) -> Option<AnyValue>;
    fn restore(shared: &(dyn Any + Send + Sync)) -> Option<E>;
}

/// A copy of the error.
pub struct CopyErrors;

/// Nothing: they run the function themselves.
pub struct OwnErrors;

impl<E: Clone + Send + Sync + 'static> ShareError<E> for CopyErrors {
    fn copy(error: &E) -> Option<AnyValue> {
        Some(Arc::new(error.clone()))
    }

    fn restore(shared: &(dyn Any + Send + Sync)) -> Option<E> {
        shared.downcast_ref().cloned()
    }
}

impl<E> ShareError<E> for OwnErrors {
    fn copy(_: &E) -> Option<AnyValue> {
        None
    }

    fn restore(_: &(dyn Any + Send + Sync)) -> Option<E> {
        None
    }
}

/// `None`, for those who wait.
struct SharedNone;

fn shared_none() -> AnyValue {
    Arc::new(SharedNone)
}

fn is_none(shared: &AnyValue) -> bool {
    shared.is::<SharedNone>()
}

impl<R: Value> Outcome<R> for Always<R> {
    type Stored = R;

    fn stored(&self, result: &R) -> Option<R> {
        Some(result.clone())
    }

    fn restored(&self, stored: R) -> R {
        stored
    }
}

impl<T: Value> Outcome<Option<T>> for OnlySome<T> {
    type Stored = T;

    fn stored(&self, result: &Option<T>) -> Option<T> {
        result.clone()
    }

    fn restored(&self, stored: T) -> Option<T> {
        Some(stored)
    }

    fn shared(&self, _: &Option<T>) -> Option<AnyValue> {
        Some(shared_none())
    }

    fn unshared(&self, shared: &AnyValue) -> Option<Option<T>> {
        is_none(shared).then_some(None)
    }
}

impl<T: Value, E, S: ShareError<E>> Outcome<Result<T, E>> for OnlyOk<T, E, S> {
    type Stored = T;

    fn stored(&self, result: &Result<T, E>) -> Option<T> {
        result.as_ref().ok().cloned()
    }

    fn restored(&self, stored: T) -> Result<T, E> {
        Ok(stored)
    }

    fn is_error(&self, result: &Result<T, E>) -> bool {
        result.is_err()
    }

    fn shared(&self, result: &Result<T, E>) -> Option<AnyValue> {
        S::copy(result.as_ref().err()?)
    }

    fn unshared(&self, shared: &AnyValue) -> Option<Result<T, E>> {
        S::restore(&**shared).map(Err)
    }
}

impl<T: Value, E, S: ShareError<E>> Outcome<Result<Option<T>, E>> for OnlyOkSome<T, E, S> {
    type Stored = T;

    fn stored(&self, result: &Result<Option<T>, E>) -> Option<T> {
        result.as_ref().ok()?.clone()
    }

    fn restored(&self, stored: T) -> Result<Option<T>, E> {
        Ok(Some(stored))
    }

    fn is_error(&self, result: &Result<Option<T>, E>) -> bool {
        result.is_err()
    }

    fn shared(&self, result: &Result<Option<T>, E>) -> Option<AnyValue> {
        match result {
            Ok(_) => Some(shared_none()),
            Err(error) => S::copy(error),
        }
    }

    fn unshared(&self, shared: &AnyValue) -> Option<Result<Option<T>, E>> {
        if is_none(shared) {
            return Some(Ok(None));
        }
        S::restore(&**shared).map(Err)
    }
}
