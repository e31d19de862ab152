//! The text of a key under construction: on the stack while it is short.

use std::fmt;

use arrayvec::ArrayString;

/// How long a key can be before it needs the heap.
const STACK_BYTES: usize = 192;

/// Text that spills from the stack to the heap when it outgrows [`STACK_BYTES`].
pub(crate) struct KeyBuffer(Place);

enum Place {
    Stack(ArrayString<STACK_BYTES>),
    Heap(String),
}

impl KeyBuffer {
    pub(crate) const fn new() -> Self {
        Self(Place::Stack(ArrayString::new_const()))
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Place::Stack(text) => text,
            Place::Heap(text) => text,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_str().len()
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        match &mut self.0 {
            Place::Stack(stack) => {
                if stack.try_push_str(text).is_err() {
                    self.0 = Place::Heap([stack.as_str(), text].concat());
                }
            }
            Place::Heap(heap) => heap.push_str(text),
        }
    }

    /// Forgets what stands behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Place::Stack(text) => text.truncate(len),
            Place::Heap(text) => text.truncate(len),
        }
    }

    #[cfg(test)]
    pub(super) fn is_on_the_stack(&self) -> bool {
        matches!(self.0, Place::Stack(_))
    }
}

impl fmt::Write for KeyBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_outgrows_the_stack_goes_on_where_it_was() {
        let mut buffer = KeyBuffer::new();
        buffer.push_str(&"a".repeat(STACK_BYTES));
        assert!(buffer.is_on_the_stack());
        buffer.push_str("bc");
        assert!(!buffer.is_on_the_stack());
        buffer.push_str("d");
        assert_eq!(buffer.as_str(), "a".repeat(STACK_BYTES) + "bcd");
        buffer.truncate(2);
        assert_eq!(buffer.as_str(), "aa");
    }
}
