//! What can be cached, and how a stored value is turned into bytes when it has to travel.

use std::any::{Any, type_name};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecId};
use crate::error::{Error, ErrorKind, Result};

/// A value of any type, as the memory tier holds it.
pub type AnyValue = Arc<dyn Any + Send + Sync>;

/// A type that can be cached.
///
/// Every `Clone + Send + Sync + 'static` type that serde can write and read is one; a memory
/// hit clones it, so keep large values in an [`Arc`]. A type without serde can be kept in the
/// memory tier inside [`Local`].
#[diagnostic::on_unimplemented(
    message = "a value of type `{Self}` cannot be cached",
    note = "derive `Clone`, `serde::Serialize` and `serde::Deserialize` for it, or keep it in memory only with `Local`"
)]
pub trait Value: Clone + Send + Sync + 'static {
    /// How values of this type are written, read and weighed.
    #[doc(hidden)]
    const SHAPE: Shape;

    /// Whether the value is a `None`, as far as that can be told.
    #[doc(hidden)]
    fn is_none(&self) -> bool {
        false
    }
}

#[diagnostic::do_not_recommend]
impl<T> Value for T
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    const SHAPE: Shape = Shape {
        own_form: None,
        name: type_name::<T>,
        encode: |value, codec| codec::encode(downcast::<T>(value)?, codec),
        decode: |bytes, codec| Ok(Arc::new(codec::decode::<T>(bytes, codec)?)),
        weigh: |value| downcast::<T>(value).map_or(0, codec::weigh),
    };

    fn is_none(&self) -> bool {
        codec::is_none(self)
    }
}

/// A value that stays in the memory of this process: it needs no serde, and storing it in a
/// remote tier is an error of kind [`ErrorKind::Encode`].
///
/// Against a bound in bytes it counts as large as its type. Where it points to more, say how much
/// with [`weighing`](Self::weighing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Local<T>(pub T);

impl<T> Deref for Local<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Local<T> {
    /// A value that counts as `bytes` large.
    ///
    /// ```
    /// # use cache_core::{Cache, Local};
    /// # use std::sync::Arc;
    /// # async fn example() -> Result<(), cache_core::Error> {
    /// # let cache = Cache::memory();
    /// let pixels = Arc::new([0_u8; 4_096]);
    /// cache.set("image", &Local::weighing(pixels, 4_096)).await?;
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub const fn weighing(value: T, bytes: usize) -> Weighed<T> {
        Weighed { value, bytes }
    }
}

impl<T: Clone + Send + Sync + 'static> Value for Local<T> {
    const SHAPE: Shape = Shape {
        weigh: |_| size_of::<T>(),
        ..in_memory::<T>()
    };
}

/// A [`Local`] that says how many bytes it takes, by [`Local::weighing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weighed<T> {
    /// The value.
    pub value: T,
    bytes: usize,
}

impl<T> Deref for Weighed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Value for Weighed<T> {
    const SHAPE: Shape = Shape {
        weigh: |value| downcast::<Self>(value).map_or(0, |weighed| weighed.bytes),
        ..in_memory::<T>()
    };
}

/// How a value of this type is handled that has no bytes.
const fn in_memory<T>() -> Shape {
    Shape {
        own_form: None,
        name: type_name::<T>,
        encode: |_, _| Err(stays_in_memory::<T>("written to a remote tier")),
        decode: |_, _| Err(stays_in_memory::<T>("read from stored bytes")),
        weigh: |_| 0,
    }
}

/// The functions that stand in for a value's type once the type is forgotten.
///
/// Implement [`Value`] by hand only for types that have a better byte form than serde gives,
/// such as an HTTP response.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Shape {
    /// The one form that values of this type have; `None` if they have that of the cache.
    pub own_form: Option<CodecId>,
    /// The type's name, for messages.
    pub name: fn() -> &'static str,
    /// Writes the value in this form.
    pub encode: fn(&(dyn Any + Send + Sync), CodecId) -> Result<Bytes>,
    /// Reads a value of this type from bytes in this form.
    pub decode: fn(&[u8], CodecId) -> Result<AnyValue>,
    /// About how many bytes the value takes in memory.
    pub weigh: fn(&(dyn Any + Send + Sync)) -> usize,
}

/// The value as a `T`; an error only if a `Shape` is used on another type's value.
#[doc(hidden)]
pub fn downcast<T: 'static>(value: &(dyn Any + Send + Sync)) -> Result<&T> {
    value.downcast_ref::<T>().ok_or_else(another::<T>)
}

/// Like [`downcast`], for a value that is handed over.
pub(crate) fn downcast_arc<T: Send + Sync + 'static>(value: AnyValue) -> Result<Arc<T>> {
    value.downcast::<T>().map_err(|_| another::<T>())
}

fn another<T>() -> Error {
    let message = format!("the stored value is not a {}", type_name::<T>());
    Error::new(ErrorKind::Decode, message)
}

fn stays_in_memory<T>(attempt: &str) -> Error {
    Error::new(
        ErrorKind::Encode,
        format!(
            "Local<{}> stays in memory and cannot be {attempt}; derive serde's traits and store the type itself",
            type_name::<T>()
        ),
    )
}
