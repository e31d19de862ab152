//! What can be an argument of a cached function: whatever serde can write.

use std::any::type_name;

use serde::Serialize;

use super::serializer::PartSerializer;
use super::writer::KeyWriter;
use crate::error::{Error, ErrorKind, Result};

/// A value that can be part of a cache key.
///
/// Every type that serde can write is one. Implement it by hand for a type without serde:
/// two values that are not equal must be written differently.
///
/// ```
/// use cache_core::{KeyPart, KeyWriter, Result};
///
/// struct Point { x: i32, y: i32 }
///
/// impl KeyPart for Point {
///     fn write_part(&self, key: &mut KeyWriter) -> Result<()> {
///         key.part(&(self.x, self.y))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "an argument of type `{Self}` cannot be part of a cache key",
    label = "serde cannot write this argument into the key",
    note = "leave it out with `skip(<argument>)`, derive `serde::Serialize`, or write a template `key = \"…\"`"
)]
pub trait KeyPart {
    /// Writes this value behind what `key` has already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`] if this value has no form of its own in a key; the call that
    /// it is an argument of goes past the cache then.
    fn write_part(&self, key: &mut KeyWriter) -> Result<()>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {
    fn write_part(&self, key: &mut KeyWriter) -> Result<()> {
        let (buffer, style) = key.parts();
        self.serialize(PartSerializer::of::<T>(buffer).in_style(style))
            .map_err(|refusal| {
                let message = format!("a {} cannot be part of a cache key", type_name::<T>());
                Error::new(ErrorKind::InvalidKey, message).with_source(refusal)
            })
    }
}

/// [`KeyWriter::part`] as a function, so that a compiler message points at the argument alone.
#[doc(hidden)]
pub fn key_part<T: KeyPart + ?Sized>(part: &T, key: &mut KeyWriter) -> Result<()> {
    key.part(part)
}
