//! How many bytes a value takes in memory, as far as serde shows it.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// About how many bytes `value` takes: its own size, and what its texts, sequences and maps add.
///
/// Everything that serde can tell is counted, whether or not a codec can write it. What a
/// `Serialize` leaves out, or does not come to because it fails, is not.
pub(crate) fn weigh<T: Serialize>(value: &T) -> usize {
    let mut weight = Weight(0);
    // What was counted until a failure counts.
    let _ = value.serialize(&mut weight);
    size_of::<T>().saturating_add(weight.0)
}

struct Weight(usize);

impl Weight {
    fn add(&mut self, bytes: usize) -> Result<(), Failed> {
        self.0 = self.0.saturating_add(bytes);
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, _: $type) -> Result<(), Failed> {
            self.add(size_of::<$type>())
        })*
    };
}

impl<'w> Serializer for &'w mut Weight {
    type Ok = ();
    type Error = Failed;
    type SerializeSeq = &'w mut Weight;
    type SerializeTuple = &'w mut Weight;
    type SerializeTupleStruct = &'w mut Weight;
    type SerializeTupleVariant = &'w mut Weight;
    type SerializeMap = &'w mut Weight;
    type SerializeStruct = &'w mut Weight;
    type SerializeStructVariant = &'w mut Weight;

    scalars! {
        serialize_bool(bool) serialize_char(char)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64)
    }

    fn serialize_str(self, text: &str) -> Result<(), Failed> {
        self.add(size_of::<String>() + text.len())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Failed> {
        self.add(size_of::<Vec<u8>>() + bytes.len())
    }

    fn serialize_none(self) -> Result<(), Failed> {
        self.add(1)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Failed> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failed> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), Failed> {
        self.add(1)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failed> {
        self.add(1)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Failed> {
        self.add(size_of::<Vec<u8>>())?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Failed> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Failed> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Failed> {
        self.add(1)?;
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Failed> {
        self.add(size_of::<Vec<u8>>())?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Failed> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Failed> {
        self.add(1)?;
        Ok(self)
    }

    fn collect_str<T: Display + ?Sized>(self, text: &T) -> Result<(), Failed> {
        fmt::write(self, format_args!("{text}")).map_err(|_| Failed)?;
        self.add(size_of::<String>())
    }
}

impl fmt::Write for Weight {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.len()).map_err(|_| fmt::Error)
    }
}

macro_rules! compounds {
    ($($name:ident.$method:ident)*) => { $(
        impl $name for &mut Weight {
            type Ok = ();
            type Error = Failed;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Failed> {
                Ok(())
            }
        }
    )* };
}

compounds! {
    SerializeSeq.serialize_element
    SerializeTuple.serialize_element
    SerializeTupleStruct.serialize_field
    SerializeTupleVariant.serialize_field
}

macro_rules! named {
    ($($name:ident)*) => { $(
        impl $name for &mut Weight {
            type Ok = ();
            type Error = Failed;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<(), Failed> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Failed> {
                Ok(())
            }
        }
    )* };
}

named! { SerializeStruct SerializeStructVariant }

impl SerializeMap for &mut Weight {
    type Ok = ();
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failed> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failed> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Failed> {
        Ok(())
    }
}

/// The value's own `Serialize` said no.
#[derive(Debug)]
struct Failed;

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a `Serialize` failed")
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn around<T: Serialize>(value: &T, bytes: usize) -> bool {
        (bytes..bytes + 128).contains(&weigh(value))
    }

    #[test]
    fn texts_sequences_and_maps_weigh_what_they_hold() {
        assert!(around(&7_u8, 1));
        assert!(around(&"x".repeat(1_000), 1_000));
        assert!(around(&vec![0_u8; 1_000], 1_000));
        assert!(around(&vec![0.5_f64; 1_000], 8_000));
        assert!(around(
            &Some(std::sync::Arc::<str>::from("x".repeat(1_000))),
            1_000
        ));
    }

    #[test]
    fn what_json_cannot_write_has_a_weight_too() {
        let map = HashMap::from([((1_u32, 2_u32), vec![0_u8; 1_000])]);
        assert!(serde_json::to_string(&map).is_err());
        assert!(around(&map, 1_000));
        assert!(around(&u128::MAX, 16));
    }

    #[test]
    fn what_was_counted_before_a_failure_counts() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(ser::Error::custom("broken"))
            }
        }
        assert!(around(&("x".repeat(1_000), Broken), 1_000));
    }
}
