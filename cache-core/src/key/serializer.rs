//! The serde serializer that writes one part: scalars, and how each compound opens.

use std::any::type_name;
use std::fmt::{Display, Write};

use serde::ser::{self, Serialize, SerializeSeq, Serializer};

use super::buffer::KeyBuffer;
use super::elements::Elements;
use super::entries::Entries;
use super::fields::Fields;
use super::refusal::{Refusal, is_unordered};
use super::writer::Style;

/// Writes one value, of a type that goes by `type_name`.
pub(super) struct PartSerializer<'b> {
    buffer: &'b mut KeyBuffer,
    type_name: &'static str,
    style: Style,
}

impl<'b> PartSerializer<'b> {
    pub(super) fn of<T: ?Sized>(buffer: &'b mut KeyBuffer) -> Self {
        Self {
            buffer,
            type_name: type_name::<T>(),
            style: Style::Key,
        }
    }

    pub(super) fn in_style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn is_tag(&self) -> bool {
        self.style == Style::Tag
    }

    fn display(self, scalar: impl Display) -> Result<(), Refusal> {
        write!(self.buffer, "{scalar}").map_err(ser::Error::custom)
    }

    fn enclosed<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        self.buffer.push_str("(");
        value.serialize(PartSerializer::of::<T>(self.buffer))?;
        self.buffer.push_str(")");
        Ok(())
    }

    fn bare<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        value.serialize(PartSerializer::of::<T>(self.buffer).in_style(self.style))
    }

    fn name(&mut self, name: &str) {
        self.buffer.push_text(name);
    }

    fn variant(&mut self, name: &str, variant: &str) {
        self.name(name);
        self.buffer.push_str("!");
        self.buffer.push_text(variant);
    }

    fn elements(self, open: &str, close: &'static str) -> Elements<'b> {
        self.buffer.push_str(open);
        Elements::new(self.buffer, close)
    }

    fn fields(self) -> Fields<'b> {
        self.buffer.push_str("(");
        Fields::new(self.buffer)
    }
}

macro_rules! display {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, value: $type) -> Result<(), Refusal> {
            self.display(value)
        })*
    };
}

impl<'b> Serializer for PartSerializer<'b> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Elements<'b>;
    type SerializeTuple = Elements<'b>;
    type SerializeTupleStruct = Elements<'b>;
    type SerializeTupleVariant = Elements<'b>;
    type SerializeMap = Entries<'b>;
    type SerializeStruct = Fields<'b>;
    type SerializeStructVariant = Fields<'b>;

    display! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Refusal> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Refusal> {
        if value.is_nan() {
            return Err(Refusal::new("NaN is not equal to itself"));
        }
        if value.is_infinite() {
            let infinity = if value > 0.0 { "1e999" } else { "-1e999" };
            return self.display(infinity);
        }
        // `Debug` writes the shortest digits that read back as the same number, never bare ones.
        self.display(format_args!("{value:?}"))
    }

    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Refusal> {
        if self.is_tag() {
            self.buffer.push_str(value);
        } else {
            self.buffer.push_text(value);
        }
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        let mut text = KeyBuffer::new();
        write!(text, "{value}").map_err(ser::Error::custom)?;
        self.serialize_str(text.as_str())
    }

    /// What sets call, whatever wrapper has handed the serializer on to them.
    fn collect_seq<I>(self, iter: I) -> Result<(), Refusal>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        if is_unordered(type_name::<I>()) {
            return Err(Refusal::unordered());
        }
        let mut elements = self.serialize_seq(None)?;
        for element in iter {
            elements.serialize_element(&element)?;
        }
        elements.end()
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refusal> {
        self.buffer.push_str("bytes<");
        self.buffer.push_hex(value);
        self.buffer.push_str(">");
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        self.display("()")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        if self.is_tag() {
            return self.bare(value);
        }
        self.enclosed(value)
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        self.display("unit<>")
    }

    fn serialize_unit_struct(mut self, name: &'static str) -> Result<(), Refusal> {
        self.name(name);
        self.display("()")
    }

    fn serialize_unit_variant(
        mut self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Refusal> {
        if self.is_tag() {
            return self.serialize_str(variant);
        }
        self.variant(name, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        if self.is_tag() {
            return self.bare(value);
        }
        self.name(name);
        self.enclosed(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        self.variant(name, variant);
        self.enclosed(value)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Elements<'b>, Refusal> {
        if is_unordered(self.type_name) {
            return Err(Refusal::unordered());
        }
        Ok(self.elements("<", ">"))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Elements<'b>, Refusal> {
        Ok(self.elements("tuple<", ">"))
    }

    fn serialize_tuple_struct(
        mut self,
        name: &'static str,
        _len: usize,
    ) -> Result<Elements<'b>, Refusal> {
        self.name(name);
        Ok(self.elements("(,", ")"))
    }

    fn serialize_tuple_variant(
        mut self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Elements<'b>, Refusal> {
        self.variant(name, variant);
        Ok(self.elements("(,", ")"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Entries<'b>, Refusal> {
        self.buffer.push_str("map<");
        Ok(Entries::new(self.buffer))
    }

    fn serialize_struct(mut self, name: &'static str, _len: usize) -> Result<Fields<'b>, Refusal> {
        self.name(name);
        Ok(self.fields())
    }

    fn serialize_struct_variant(
        mut self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'b>, Refusal> {
        self.variant(name, variant);
        Ok(self.fields())
    }
}
