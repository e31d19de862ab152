//! The log as one item on the server: its head, what is remembered, and what is not any more.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic: `CA 6C 6F 67` |
//! | 4 | 1 | version: 1 |
//! | 5 | 16 | incarnation, as number and nonce |
//! | 21 | 8 | sequence of the head |
//! | 29 | 5 × 8 | the floor of each kind, in the order of their numbers |
//! | 69 | 4 | number of records |
//! | 73 | | each record, oldest first: letter of its kind in 1 byte, sequence in 8, length in 2, argument |
//!
//! Numbers are unsigned and big-endian.

use std::collections::HashSet;

use crate::log::{Barriers, Caps, Incarnation, Kind, Positioned, Record, Stamp};

const MAGIC: [u8; 4] = [0xCA, b'l', b'o', b'g'];
const VERSION: u8 = 1;
/// No log gets here by itself, and an entry's header still holds it exactly.
const BEYOND_ALL: u64 = 1 << 52;
/// The most positions that are handed over one by one; with more, the state is taken over.
const MAX_MISSING: u64 = 5_000;
/// What a record takes besides its argument.
const RECORD_BYTES: usize = 11;
/// How many sixteenths of the room each kind has. Keys that are forgotten hide nothing more, so
/// they must not displace what does.
const SHARES: [usize; Kind::EVERY.len()] = [4, 0, 8, 2, 2];

/// The content of the item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ledger {
    pub(super) incarnation: Incarnation,
    pub(super) head: u64,
    floors: [u64; Kind::EVERY.len()],
    records: Vec<Positioned>,
}

impl Ledger {
    /// The beginning of a new incarnation.
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            head: 0,
            floors: [0; Kind::EVERY.len()],
            records: Vec::new(),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::new(self.incarnation, self.head)
    }

    /// The same with these records behind, in about `room` bytes: what is too much is forgotten,
    /// the oldest first, and raises the floor of its kind.
    pub(super) fn with(&self, records: &[Record], room: usize) -> Self {
        let mut next = self.clone();
        for record in records {
            next.head += 1;
            next.records.push(Positioned {
                sequence: next.head,
                record: record.clone(),
            });
        }
        next.forget(room);
        next
    }

    /// Keeps the latest record about each argument, and of those the latest that there is room for.
    fn forget(&mut self, room: usize) {
        let mut used = [0; Kind::EVERY.len()];
        let mut seen = HashSet::new();
        let mut kept = Vec::with_capacity(self.records.len());
        for Positioned { sequence, record } in std::mem::take(&mut self.records).into_iter().rev() {
            if seen.contains(&record) {
                continue;
            }
            let kind = record.kind().index();
            let used = &mut used[kind];
            let is_latest = *used == 0;
            *used += RECORD_BYTES + record.argument().len();
            if is_latest || *used <= room / 16 * SHARES[kind] {
                seen.insert(record.clone());
                kept.push(Positioned { sequence, record });
            } else {
                self.floors[kind] = self.floors[kind].max(sequence);
            }
        }
        kept.reverse();
        self.records = kept;
    }

    /// The records after `applied` without a gap; `None` if one is not remembered, or they are too
    /// many. In the place of one that stands elsewhere since, because it was recorded again, is the
    /// next that is there.
    pub(super) fn since(&self, applied: u64) -> Option<Vec<Positioned>> {
        let is_far = self.head.saturating_sub(applied) > MAX_MISSING;
        if is_far || self.floors.iter().any(|floor| *floor > applied) {
            return None;
        }
        let mut all = Vec::new();
        for later in self.records.iter().filter(|it| it.sequence > applied) {
            let first = applied + 1 + all.len() as u64;
            all.extend((first..=later.sequence).map(|sequence| Positioned {
                sequence,
                record: later.record.clone(),
            }));
        }
        Some(all)
    }

    /// What all of it hides.
    pub(super) fn barriers(&self) -> Barriers {
        let mut barriers = Barriers::new(Caps::DEFAULT);
        for Positioned { sequence, record } in &self.records {
            barriers.insert(record, *sequence);
        }
        for kind in Kind::EVERY {
            barriers.raise_floor(kind, self.floors[kind.index()]);
        }
        barriers
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        let incarnation = [self.incarnation.number(), self.incarnation.nonce()];
        for number in incarnation
            .into_iter()
            .chain([self.head])
            .chain(self.floors)
        {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        // Neither is ever larger: an item has a bound, and arguments have.
        let count = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_be_bytes());
        for Positioned { sequence, record } in &self.records {
            let argument = record.argument();
            let length = u16::try_from(argument.len()).unwrap_or(u16::MAX);
            bytes.push(record.kind().letter() as u8);
            bytes.extend_from_slice(&sequence.to_be_bytes());
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(argument.as_bytes());
        }
        bytes
    }

    /// Reads an item; `None` if it is none of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Reader(bytes);
        if bytes.take(MAGIC.len())? != MAGIC || bytes.take(1)? != [VERSION] {
            return None;
        }
        let incarnation = Incarnation::new(bytes.u64()?, bytes.u64()?);
        let mut ledger = Self::new(incarnation);
        ledger.head = bytes.u64()?;
        for floor in &mut ledger.floors {
            *floor = bytes.u64()?;
        }
        for _ in 0..bytes.u32()? {
            ledger.records.push(bytes.record()?);
        }
        (bytes.0.is_empty() && ledger.is_in_order()).then_some(ledger)
    }

    /// Whether every record and every floor stands where one can.
    fn is_in_order(&self) -> bool {
        let sequences = self.records.iter().map(|record| record.sequence);
        let rising = sequences.clone().zip(sequences.skip(1)).all(|(a, b)| a < b);
        let last = self.records.last().map_or(0, |record| record.sequence);
        let is_known = self.head == 0 || last == self.head;
        let is_near = self.head.max(self.incarnation.number()) < BEYOND_ALL;
        rising && is_known && is_near && self.floors.iter().all(|floor| *floor <= self.head)
    }
}

/// Takes fields off the front of bytes that may end anywhere.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn record(&mut self) -> Option<Positioned> {
        let letter = self.take(1)?[0];
        let mut kinds = Kind::EVERY.into_iter();
        let kind = kinds.find(|kind| kind.letter() as u8 == letter)?;
        let sequence = self.u64()?;
        let length = self.u16()?;
        let argument = std::str::from_utf8(self.take(length.into())?).ok()?;
        Some(Positioned {
            sequence,
            record: Record::new(kind, argument),
        })
    }
}

#[cfg(test)]
mod tests;
