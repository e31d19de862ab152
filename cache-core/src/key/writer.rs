//! A key as it is put together: literal text and parts.

use std::fmt;

use sha2::{Digest, Sha256};

use super::buffer::KeyBuffer;
use super::part::KeyPart;
use crate::error::Result;

/// The longest part that is written out, in bytes.
const MAX_PART_BYTES: usize = 96;
/// How much of a longer part stays readable; with `~` and 64 digits it is as long as the
/// longest that is written out.
const READABLE_BYTES: usize = MAX_PART_BYTES - 1 - 64;

/// A key under construction. A short one needs no allocation.
///
/// ```
/// use cache_core::KeyWriter;
///
/// let mut key = KeyWriter::new();
/// key.literal("users:get_user:");
/// key.part(&42)?;
/// key.literal(":");
/// key.part("a:b")?;
/// assert_eq!(key.as_str(), "users:get_user:42:a%3Ab");
/// # Ok::<(), cache_core::Error>(())
/// ```
pub struct KeyWriter {
    buffer: KeyBuffer,
    style: Style,
}

/// How parts are written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// So that different values are different parts.
    Key,
    /// So that the text is what a person would write.
    Tag,
}

impl KeyWriter {
    /// An empty key.
    pub const fn new() -> Self {
        Self::in_style(Style::Key)
    }

    /// An empty tag: texts stand in it as they are, whatever their length, a newtype and `Some`
    /// as what they hold, a variant without fields as its name. Two values may look the same
    /// in a tag, since one that is invalidated for both hides more, never less.
    ///
    /// ```
    /// # use cache_core::KeyWriter;
    /// let mut tag = KeyWriter::for_tag();
    /// tag.literal("country:");
    /// tag.part("Korea, South")?;
    /// assert_eq!(tag.as_str(), "country:Korea, South");
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    pub const fn for_tag() -> Self {
        Self::in_style(Style::Tag)
    }

    const fn in_style(style: Style) -> Self {
        let buffer = KeyBuffer::new();
        Self { buffer, style }
    }

    /// Adds `text` as it stands.
    pub fn literal(&mut self, text: &str) {
        self.buffer.push_str(text);
    }

    /// Adds a value, without a separator before or behind it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if the value has no form of its
    /// own in a key: NaN, a `HashSet`, or one whose `Serialize` fails. The key is unfinished then.
    pub fn part<T: KeyPart + ?Sized>(&mut self, part: &T) -> Result<()> {
        let start = self.buffer.len();
        part.write_part(self)?;
        let len = self.buffer.len() - start;
        if len > MAX_PART_BYTES && self.style == Style::Key {
            self.shorten(start);
        }
        Ok(())
    }

    /// The key so far.
    pub fn as_str(&self) -> &str {
        self.buffer.as_str()
    }

    pub(super) fn parts(&mut self) -> (&mut KeyBuffer, Style) {
        (&mut self.buffer, self.style)
    }

    /// Replaces the part from `start` on by how it begins and its hash.
    fn shorten(&mut self, start: usize) {
        let key = self.buffer.as_str();
        let digest = Sha256::digest(&key.as_bytes()[start..]);
        self.buffer
            .truncate(char_boundary(key, start + READABLE_BYTES));
        self.buffer.push_str("~");
        self.buffer.push_hex(&digest);
    }
}

/// The last boundary between characters at or before `index`.
fn char_boundary(text: &str, index: usize) -> usize {
    (0..=index)
        .rfind(|&index| text.is_char_boundary(index))
        .unwrap_or(0)
}

impl Default for KeyWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for KeyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys can hold personal data, so the text is not printed.
        write!(f, "KeyWriter({} bytes)", self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn key(part: &str) -> String {
        let mut key = KeyWriter::new();
        key.literal("notes:find:");
        key.part(part).unwrap();
        key.as_str().to_owned()
    }

    #[test]
    fn a_key_of_a_few_short_arguments_stays_on_the_stack() {
        let mut key = KeyWriter::new();
        key.literal("shop::orders::repository:find");
        for part in ["a".repeat(90).as_str(), "berlin", "x"] {
            key.literal(":");
            key.part(part).unwrap();
        }
        key.part(&[1_u64, 2]).unwrap();
        assert!(key.buffer.is_on_the_stack());
    }

    #[test]
    fn a_long_argument_is_hashed_behind_its_beginning() {
        let long = format!("wanted {}", "x".repeat(500));
        let hashed = key(&long);
        assert_eq!(hashed.len(), "notes:find:".len() + MAX_PART_BYTES);
        let pattern = Pattern::new("notes:find:wanted*").unwrap();
        assert!(pattern.matches(&hashed));
        assert_ne!(hashed, key(&(long + "x")));
    }

    #[test]
    fn an_argument_at_the_limit_is_written_out() {
        let at_limit = "x".repeat(MAX_PART_BYTES);
        assert!(key(&at_limit).ends_with(&at_limit));
        assert!(key(&(at_limit + "x")).contains('~'));
    }

    #[test]
    fn text_that_looks_hashed_never_equals_a_hashed_argument() {
        let hashed = key(&"x".repeat(200));
        let imitation = hashed.strip_prefix("notes:find:").unwrap();
        assert_ne!(key(imitation), hashed);
    }

    #[test]
    fn a_long_argument_is_cut_between_characters() {
        for padding in 0..4 {
            let long = "a".repeat(padding) + &"€".repeat(100);
            assert!(key(&long).contains("€~"));
        }
    }

    #[test]
    fn a_tag_reads_as_a_person_would_write_it() {
        #[derive(serde::Serialize)]
        struct UserId(u64);
        #[derive(serde::Serialize)]
        enum Plan {
            Free,
        }
        let mut tag = KeyWriter::for_tag();
        let long = "x".repeat(200);
        for part in ["Korea, South", "7", "", &long] {
            tag.part(part).unwrap();
            tag.literal("/");
        }
        tag.part(&Some(UserId(42))).unwrap();
        tag.part(&Plan::Free).unwrap();
        assert_eq!(tag.as_str(), format!("Korea, South/7//{long}/42Free"));
    }
}
