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
}

impl KeyWriter {
    /// An empty key.
    pub const fn new() -> Self {
        let buffer = KeyBuffer::new();
        Self { buffer }
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
        if self.buffer.len() - start > MAX_PART_BYTES {
            self.shorten(start);
        }
        Ok(())
    }

    /// The key so far.
    pub fn as_str(&self) -> &str {
        self.buffer.as_str()
    }

    pub(super) fn buffer(&mut self) -> &mut KeyBuffer {
        &mut self.buffer
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
}
