//! Sequences and tuples: elements in their order.

use serde::ser::{
    Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::buffer::KeyBuffer;
use super::refusal::Refusal;
use super::serializer::PartSerializer;

pub(super) struct Elements<'b> {
    buffer: &'b mut KeyBuffer,
    separator: &'static str,
    close: &'static str,
}

impl<'b> Elements<'b> {
    /// Elements behind what opened them, up to `close`.
    pub(super) fn new(buffer: &'b mut KeyBuffer, close: &'static str) -> Self {
        Self {
            buffer,
            separator: "",
            close,
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.buffer.push_str(self.separator);
        self.separator = ",";
        value.serialize(PartSerializer::of::<T>(self.buffer))
    }

    fn close(self) -> Result<(), Refusal> {
        self.buffer.push_str(self.close);
        Ok(())
    }
}

macro_rules! elements {
    ($($kind:ident::$method:ident)*) => {
        $(impl $kind for Elements<'_> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
                self.push(value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.close()
            }
        })*
    };
}

elements! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}
