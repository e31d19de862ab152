//! The stored form: one string of a header and the payload. `entry.lua` reads the same layout.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic: `CA 63 68 65` |
//! | 4 | 1 | version: 2 |
//! | 5 | 1 | kind: `e` entry, `l` lease, `c` counter |
//! | 6 | 1 | codec of the payload |
//! | 7 | 1 | flags: how the payload is packed, see below |
//! | 8 | 8 | id; a lease's token |
//! | 16 | 8 | stamp: sequence |
//! | 24 | 16 | stamp: incarnation, as number and nonce |
//! | 40 | 8 | created, in milliseconds of the server's clock |
//! | 48 | 8 | expires, likewise; 0 for never |
//! | 56 | 8 | owner |
//! | 64 | 4 | length of the header, and so where the payload begins |
//! | 68 | 2 | length of the key |
//! | 70 | 2 | number of tags |
//! | 72 | 8 | for how many milliseconds it is kept after it has expired |
//! | 80 | 4 | how many milliseconds the load took |
//! | 84 | 8 | token of a load that runs while the entry still stands here; 0 for none |
//! | 92 | 8 | until when that token counts, in milliseconds of the server's clock |
//! | 100 | | the whole key; then each tag behind its length in 2 bytes; then the payload |
//!
//! Numbers are unsigned and big-endian. A counter's payload is its decimal digits. Version 1 has the key at
//! 72, and is still read: nothing of it is kept after it has expired.
//!
//! | bits of the flags | what stands in place of the payload |
//! |---|---|
//! | 0–1 | 1: its size in 4 bytes, then it by Zstandard; 2: the same by LZ4; 0: itself |
//! | 2 | 1: that sealed by XChaCha20-Poly1305: number of the key in 4 bytes, nonce in 24, ciphertext, tag in 16 |
//!
//! What is sealed is bound to the whole header but for what the server sets, that is the times, and the
//! token of a load with its end: they count as 0.

#[cfg(feature = "testkit")]
pub(crate) mod fuzz;
mod reader;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

#[cfg(any(feature = "disk", feature = "memcached"))]
use crate::clock::Timestamp;
use crate::codec::{CodecId, Damaged, Flags, Packing};
use crate::entry::{Entry, EntryId, MAX_TAG_BYTES, MAX_TAGS, Owner, Payload, Tags};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Incarnation, Stamp};
use reader::Reader;

const MAGIC: [u8; 4] = [0xCA, b'c', b'h', b'e'];
const VERSION: u8 = 2;
/// What has the key at 72.
const FIRST_VERSION: u8 = 1;
const FIXED: usize = 100;
/// Where the server puts its times in, or [`set_times`].
const TIMES: Range<usize> = 40..56;
/// Where it puts the token of a load in.
const REFRESH: Range<usize> = 84..FIXED;
/// Numbers that Lua handles must be exact in a double.
const MAX_EXACT: u64 = 1 << 53;
/// Longer spans are stored as this one, some 139 years: what scripts compute stays exact.
const LONGEST_KEPT_MILLIS: u64 = 1 << 42;

/// What an entry is, in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Entry,
    Lease,
    Counter,
}

/// A decoded header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) form: Form,
    pub(crate) codec: CodecId,
    flags: Flags,
    pub(crate) id: EntryId,
    pub(crate) stamp: Stamp,
    pub(crate) created_millis: u64,
    pub(crate) expires_millis: Option<u64>,
    pub(crate) owner: Owner,
    pub(crate) tags: Tags,
    /// For how long it is kept after it has expired, in milliseconds.
    pub(crate) kept_millis: u64,
    /// How long the load took, in milliseconds.
    pub(crate) load_millis: u32,
    /// The load that runs while the entry still stands here.
    pub(crate) refresh: Option<EntryId>,
    /// Where the payload begins.
    length: usize,
}

/// Writes an entry. The server puts in its own times as it stores it.
pub(crate) fn encode(key: &str, entry: &Entry, packing: &Packing) -> Result<Vec<u8>> {
    let meta = entry.meta();
    let (payload, codec) = entry.payload().to_bytes()?;
    let (form, (flags, payload)) = match entry.payload() {
        // Scripts add to its digits.
        Payload::Counter(_) => (Form::Counter, (Flags::PLAIN, payload)),
        _ => (Form::Entry, packing.compress(payload)),
    };
    let header = Header {
        form,
        codec,
        flags,
        id: meta.id,
        stamp: meta.stamp,
        created_millis: 0,
        expires_millis: None,
        owner: meta.owner,
        tags: Arc::clone(&meta.tags),
        kept_millis: millis(meta.kept_for).min(LONGEST_KEPT_MILLIS),
        load_millis: u32::try_from(millis(meta.load_time)).unwrap_or(u32::MAX),
        refresh: None,
        length: 0,
    };
    let mut bytes = header.encode(key, payload.len())?;
    let payload = match form {
        Form::Entry => packing.seal(&bytes, payload)?,
        _ => payload,
    };
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Writes a lease.
#[cfg(any(feature = "memcached", feature = "redis", test))]
pub(crate) fn encode_lease(key: &str, token: EntryId, stamp: Stamp) -> Result<Vec<u8>> {
    let header = Header {
        form: Form::Lease,
        codec: CodecId::JSON,
        flags: Flags::PLAIN,
        id: token,
        stamp,
        created_millis: 0,
        expires_millis: None,
        owner: Owner::HANDLE,
        tags: Tags::default(),
        kept_millis: 0,
        load_millis: 0,
        refresh: None,
        length: 0,
    };
    header.encode(key, 0)
}

/// Puts the times into what [`encode`] wrote, where no server does it.
#[cfg(any(feature = "disk", feature = "memcached"))]
pub(crate) fn set_times(bytes: &mut [u8], created: Timestamp, expires: Option<Timestamp>) {
    let exact = |time: Timestamp| time.as_millis().min(MAX_EXACT - 1);
    // 0 is for never.
    let expires = expires.map_or(0, |expires| exact(expires).max(1));
    let times = [exact(created).to_be_bytes(), expires.to_be_bytes()];
    if let Some(place) = bytes.get_mut(TIMES) {
        place.copy_from_slice(times.as_flattened());
    }
}

/// The 16 bytes that stand for an incarnation.
pub(crate) fn incarnation_bytes(incarnation: Incarnation) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&incarnation.number().to_be_bytes());
    bytes[8..].copy_from_slice(&incarnation.nonce().to_be_bytes());
    bytes
}

/// Whether bytes that may be damaged elsewhere are a lease.
#[cfg(feature = "memcached")]
pub(crate) fn is_lease(bytes: &[u8]) -> bool {
    bytes.get(5) == Some(&Form::Lease.letter())
}

/// The id in bytes that may be damaged elsewhere.
#[cfg(any(feature = "memcached", feature = "redis", test))]
pub(crate) fn id_in(bytes: &[u8]) -> Option<EntryId> {
    Some(EntryId::from_u64(Reader(bytes.get(8..)?).u64().ok()?))
}

/// Reads what stands at `key`.
pub(crate) fn decode(
    key: &str,
    bytes: &Bytes,
    packing: &Packing,
) -> Result<(Header, Payload), Damaged> {
    let header = decode_header(key, bytes)?;
    let payload = bytes.slice(header.length..);
    let payload = match header.form {
        Form::Entry => Payload::Bytes {
            bytes: packing.unpack(header.flags, &untouched(bytes, &header), payload)?,
            codec: header.codec,
        },
        // Nobody has vouched for it: it is no function's result.
        Form::Counter if packing.seals() && header.owner != Owner::HANDLE => return Err(Damaged),
        Form::Counter => Payload::Counter(digits(&payload)?),
        Form::Lease if payload.is_empty() => Payload::Counter(0),
        Form::Lease => return Err(Damaged),
    };
    Ok((header, payload))
}

/// The bytes of a header as it was before the server put anything in.
fn untouched(bytes: &[u8], header: &Header) -> Vec<u8> {
    let mut bytes = bytes[..header.length].to_vec();
    bytes[TIMES].fill(0);
    if bytes[MAGIC.len()] != FIRST_VERSION {
        bytes[REFRESH].fill(0);
    }
    bytes
}

/// Reads the header of what stands at `key`; what follows it may be missing.
pub(crate) fn decode_header(key: &str, bytes: &[u8]) -> Result<Header, Damaged> {
    let mut reader = Reader(bytes);
    require(reader.take(4)? == MAGIC)?;
    let version = reader.u8()?;
    require(version == VERSION || version == FIRST_VERSION)?;
    let form = form(reader.u8()?)?;
    let codec = CodecId::from_byte(reader.u8()?).ok_or(Damaged)?;
    let flags = Flags::from_byte(reader.u8()?)?;
    require(form == Form::Entry || flags == Flags::PLAIN)?;
    let id = EntryId::from_u64(reader.u64()?);
    let sequence = reader.exact()?;
    let incarnation = Incarnation::new(reader.exact()?, reader.u64()?);
    let created_millis = reader.exact()?;
    let expires_millis = Some(reader.exact()?).filter(|&millis| millis > 0);
    let owner = Owner::from_u64(reader.u64()?);
    let length = usize::try_from(reader.u32()?).map_err(|_| Damaged)?;
    let (key_length, tag_count) = (reader.u16()?, reader.u16()?);
    let later = match version {
        FIRST_VERSION => Later::default(),
        _ => Later::read(&mut reader)?,
    };
    require(reader.take(key_length)? == key.as_bytes())?;
    let tags = tags(&mut reader, tag_count)?;
    require(bytes.len() - reader.0.len() == length)?;
    Ok(Header {
        form,
        codec,
        flags,
        id,
        stamp: Stamp::new(incarnation, sequence),
        created_millis,
        expires_millis,
        owner,
        tags,
        kept_millis: later.kept_millis,
        load_millis: later.load_millis,
        refresh: later.refresh,
        length,
    })
}

/// What version 1 does not have.
#[derive(Default)]
struct Later {
    kept_millis: u64,
    load_millis: u32,
    refresh: Option<EntryId>,
}

impl Later {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let kept_millis = reader.exact()?;
        let load_millis = reader.u32()?;
        let token = Some(reader.u64()?).filter(|&token| token > 0);
        reader.exact()?;
        Ok(Self {
            kept_millis,
            load_millis,
            refresh: token.map(EntryId::from_u64),
        })
    }
}

impl Header {
    /// For how long it is kept after it has expired.
    pub(crate) fn kept_for(&self) -> Duration {
        Duration::from_millis(self.kept_millis)
    }

    /// How long the load took.
    pub(crate) fn load_time(&self) -> Duration {
        Duration::from_millis(self.load_millis.into())
    }

    /// The header, with room for a payload behind it.
    fn encode(&self, key: &str, payload_bytes: usize) -> Result<Vec<u8>> {
        let tags: usize = self.tags.iter().map(|tag| 2 + tag.len()).sum();
        let length = FIXED + key.len() + tags;
        let mut bytes = Vec::with_capacity(length + payload_bytes);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[
            VERSION,
            self.form.letter(),
            self.codec.as_byte(),
            self.flags.as_byte(),
        ]);
        bytes.extend_from_slice(&self.id.as_u64().to_be_bytes());
        bytes.extend_from_slice(&self.stamp.sequence().to_be_bytes());
        bytes.extend_from_slice(&incarnation_bytes(self.stamp.incarnation()));
        bytes.extend_from_slice(&self.created_millis.to_be_bytes());
        bytes.extend_from_slice(&self.expires_millis.unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&self.owner.as_u64().to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(length).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(&length_of(key.len())?);
        bytes.extend_from_slice(&length_of(self.tags.len())?);
        bytes.extend_from_slice(&self.kept_millis.to_be_bytes());
        bytes.extend_from_slice(&self.load_millis.to_be_bytes());
        bytes.extend_from_slice(&[0; REFRESH.end - REFRESH.start]);
        bytes.extend_from_slice(key.as_bytes());
        for tag in self.tags.iter() {
            bytes.extend_from_slice(&length_of(tag.len())?);
            bytes.extend_from_slice(tag.as_bytes());
        }
        Ok(bytes)
    }
}

impl Form {
    fn letter(self) -> u8 {
        match self {
            Self::Entry => b'e',
            Self::Lease => b'l',
            Self::Counter => b'c',
        }
    }
}

fn form(letter: u8) -> Result<Form, Damaged> {
    match letter {
        b'e' => Ok(Form::Entry),
        b'l' => Ok(Form::Lease),
        b'c' => Ok(Form::Counter),
        _ => Err(Damaged),
    }
}

fn tags(reader: &mut Reader<'_>, count: usize) -> Result<Tags, Damaged> {
    require(count <= MAX_TAGS)?;
    let mut tags = Vec::with_capacity(count);
    for _ in 0..count {
        let length = reader.u16()?;
        require((1..=MAX_TAG_BYTES).contains(&length))?;
        let tag = std::str::from_utf8(reader.take(length)?).map_err(|_| Damaged)?;
        tags.push(tag.into());
    }
    Ok(tags.into())
}

/// A number as the server writes it, and no other spelling of it.
fn digits(payload: &[u8]) -> Result<i64, Damaged> {
    let text = std::str::from_utf8(payload).map_err(|_| Damaged)?;
    let number: i64 = text.parse().map_err(|_| Damaged)?;
    require(number.to_string() == text)?;
    Ok(number)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn require(holds: bool) -> Result<(), Damaged> {
    if holds { Ok(()) } else { Err(Damaged) }
}

fn length_of(length: usize) -> Result<[u8; 2]> {
    Ok(u16::try_from(length).map_err(too_long)?.to_be_bytes())
}

fn too_long(_: std::num::TryFromIntError) -> Error {
    Error::new(
        ErrorKind::InvalidKey,
        "the key, a tag or their number is too large to be stored",
    )
}

#[cfg(test)]
mod tests;
