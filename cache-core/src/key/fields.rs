//! Structs: named fields in the order of their declaration.

use serde::ser::{Serialize, SerializeStruct, SerializeStructVariant};

use super::buffer::KeyBuffer;
use super::refusal::Refusal;
use super::serializer::PartSerializer;

pub(super) struct Fields<'b> {
    buffer: &'b mut KeyBuffer,
    is_empty: bool,
}

impl<'b> Fields<'b> {
    /// Fields behind the `(` that opened them.
    pub(super) fn new(buffer: &'b mut KeyBuffer) -> Self {
        let is_empty = true;
        Self { buffer, is_empty }
    }

    fn push<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refusal> {
        if !self.is_empty {
            self.buffer.push_str(",");
        }
        self.is_empty = false;
        self.buffer.push_text(name);
        self.buffer.push_str("=");
        value.serialize(PartSerializer::of::<T>(self.buffer))
    }

    fn close(self) -> Result<(), Refusal> {
        // A `=` alone tells a struct without fields from a unit struct.
        let close = if self.is_empty { "=)" } else { ")" };
        self.buffer.push_str(close);
        Ok(())
    }
}

macro_rules! fields {
    ($($kind:ident)*) => {
        $(impl $kind for Fields<'_> {
            type Ok = ();
            type Error = Refusal;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refusal> {
                self.push(name, value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.close()
            }
        })*
    };
}

fields! { SerializeStruct SerializeStructVariant }
