//! What stands at a key in the file, and what it means.

use std::sync::Arc;

use bytes::Bytes;
use redb::TableDefinition;

use super::digest::Digest;
use crate::clock::Timestamp;
use crate::codec::Packing;
use crate::entry::{Entry, Meta};
use crate::provider::Slot;
use crate::provider::stored::{self, Form, Header};

/// By whole key: the place in [`ORDER`], a sum over the bytes, and the entry's stored form.
pub(super) const ENTRIES: TableDefinition<&str, (u64, u64, &[u8])> =
    TableDefinition::new("entries");
/// The keys in the order in which room is made of them, and scans see them.
pub(super) const ORDER: TableDefinition<u64, &str> = TableDefinition::new("order");

/// The columns of [`ENTRIES`].
pub(super) type Columns<'r> = (u64, u64, &'r [u8]);

/// What stands at a key.
pub(super) struct Row {
    pub(super) place: u64,
    /// The entry's stored form; nothing if it is not what was written.
    sound: Option<Bytes>,
}

impl Row {
    pub(super) fn read(columns: Columns<'_>) -> Self {
        Self {
            place: columns.0,
            sound: sound(columns).map(Bytes::copy_from_slice),
        }
    }

    pub(super) fn bytes(&self) -> Option<&Bytes> {
        self.sound.as_ref()
    }

    pub(super) fn meta(&self, key: &str) -> Option<Meta> {
        header_in(key, self.sound.as_ref()?).map(meta)
    }

    /// The whole entry; `None` if it cannot be read.
    pub(super) fn entry(&self, key: &str, packing: &Packing) -> Option<Entry> {
        let (header, payload) = stored::decode(key, self.sound.as_ref()?, packing).ok()?;
        (header.form != Form::Lease).then(|| Entry::new(meta(header), payload))
    }

    pub(super) fn slot(&self, key: &str, packing: &Packing) -> Slot {
        match self.entry(key, packing) {
            Some(entry) => Slot::Entry(Arc::new(entry)),
            None => Slot::Damaged,
        }
    }
}

/// The terms of the entry in these columns, which are not copied.
pub(super) fn meta_in(key: &str, columns: Columns<'_>) -> Option<Meta> {
    header_in(key, sound(columns)?).map(meta)
}

/// The columns for an entry.
pub(super) fn columns(place: u64, bytes: &[u8]) -> Columns<'_> {
    (place, Digest::new().and(bytes).sum(), bytes)
}

/// What an entry counts against the bound.
pub(super) fn cost(key: &str, bytes: &[u8]) -> u64 {
    (key.len() + bytes.len()) as u64
}

fn sound((_, sum, bytes): Columns<'_>) -> Option<&[u8]> {
    (Digest::new().and(bytes).sum() == sum).then_some(bytes)
}

fn header_in(key: &str, bytes: &[u8]) -> Option<Header> {
    let header = stored::decode_header(key, bytes).ok()?;
    (header.form != Form::Lease).then_some(header)
}

/// The terms in a header, whose times are this node's.
fn meta(header: Header) -> Meta {
    Meta {
        id: header.id,
        owner: header.owner,
        stamp: header.stamp,
        created: Timestamp::from_millis(header.created_millis),
        expires: header.expires_millis.map(Timestamp::from_millis),
        kept_for: header.kept_for(),
        load_time: header.load_time(),
        tags: header.tags,
    }
}
