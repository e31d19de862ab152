//! Arguments as text: how a call becomes a key, so that two different calls never share one.
//!
//! Each argument is written through serde into one *part* of the key. Parts can be read and
//! typed by hand where they are simple, and the writing is injective for whatever serde can
//! tell apart:
//!
//! | value | part |
//! |---|---|
//! | integer, `bool` | `42`, `-7`, `true` |
//! | float | `1.0`, `1e16`; infinity is `1e999`, NaN is refused |
//! | string, `char` | `anna@example.org`; the empty string is `""` |
//! | `None`, `Some(x)` | `()`, `(x)` |
//! | unit | `unit<>` |
//! | sequence | `<1,2>` |
//! | tuple, array | `tuple<1,2>` |
//! | map | `map<a=1,b=2>`, sorted |
//! | bytes | `bytes<00ff>` |
//! | unit struct, newtype | `Name()`, `Name(x)` |
//! | tuple struct | `Name(,1,2)` |
//! | struct | `Name(a=1,b=2)`; without fields `Name(=)` |
//! | variant | `Name!Variant`, followed by what a struct of its kind has in parentheses |
//!
//! 1. In strings and names, the characters that structure a key (`% : , ( ) = < > ! ~ "`), those
//!    that mean something in a pattern (`* ? [ ] ^ \`), braces, which choose the slot in a
//!    Redis cluster, and control characters are written as `%XX`. So a part is a pattern that
//!    matches itself alone.
//! 2. A string that reads as a number, `true` or `false` has its first byte written as `%XX`:
//!    `1` and `"1"` are different keys. Patterns typed by hand must say `%31` for the latter.
//! 3. Numbers are written by value, whatever their type; `f32` as the `f64` that equals it.
//! 4. A newtype is named: `UserId(42)`. With `#[serde(transparent)]` it is written as `42`.
//! 5. A part of more than 96 bytes is cut to its first 31 and followed by `~` and the SHA-256
//!    of the whole part, so patterns still match how it begins.
//! 6. A `HashSet` is refused, because equal sets serialize in different orders: use a
//!    `BTreeSet`. It is recognized by its type's name wherever its own `Serialize` is called, inside
//!    wrappers, fields and elements too; but not where a `Serialize` or `serialize_with` that was
//!    written by hand walks over its elements itself.
//!
//! In tags, which need not tell everything apart, values read as people write them:
//! [`KeyWriter::for_tag`].

mod buffer;
mod elements;
mod entries;
mod fields;
mod part;
mod refusal;
mod serializer;
mod text;
mod writer;

#[cfg(test)]
mod injectivity;

pub(crate) use buffer::KeyBuffer;
pub use part::{KeyPart, key_part};
pub use writer::KeyWriter;
