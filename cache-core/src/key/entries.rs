//! Maps: entries sorted by their text, so that a `HashMap` is written the same way each time.

use serde::ser::{Serialize, SerializeMap};

use super::buffer::KeyBuffer;
use super::refusal::Refusal;
use super::serializer::PartSerializer;

pub(super) struct Entries<'b> {
    buffer: &'b mut KeyBuffer,
    /// Where each entry begins in the buffer.
    starts: Vec<usize>,
}

impl<'b> Entries<'b> {
    /// Entries behind the `<` that opened them.
    pub(super) fn new(buffer: &'b mut KeyBuffer) -> Self {
        let starts = Vec::new();
        Self { buffer, starts }
    }

    /// Writes the entries again, in order and separated.
    fn sort(&mut self) {
        let Some(&first) = self.starts.first() else {
            return;
        };
        let written = self.buffer.as_str()[first..].to_owned();
        self.buffer.truncate(first);
        for (index, entry) in self.sorted(&written, first).into_iter().enumerate() {
            if index > 0 {
                self.buffer.push_str(",");
            }
            self.buffer.push_str(entry);
        }
    }

    fn sorted<'w>(&self, written: &'w str, offset: usize) -> Vec<&'w str> {
        let ends = self.starts.iter().skip(1).map(|end| end - offset);
        let ranges = self.starts.iter().zip(ends.chain([written.len()]));
        let mut entries: Vec<_> = ranges
            .map(|(start, end)| &written[start - offset..end])
            .collect();
        entries.sort_unstable();
        entries
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        self.starts.push(self.buffer.len());
        key.serialize(PartSerializer::of::<T>(self.buffer))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.buffer.push_str("=");
        value.serialize(PartSerializer::of::<T>(self.buffer))
    }

    fn end(mut self) -> Result<(), Refusal> {
        self.sort();
        self.buffer.push_str(">");
        Ok(())
    }
}
