//! Reading what the file knows of the log, and trusting it only if nothing is missing.

use redb::{ReadTransaction, ReadableTable};

use super::{FLOOR, OWN, Own, STATE, VERSION, damaged, kind, sum};
use crate::log::{Barriers, Caps, Incarnation, Kind, Record, Stamp};
use crate::provider::disk::error::Outcome;

/// What all entries count against the bound.
pub(in super::super) fn bytes(transaction: &ReadTransaction) -> Outcome<u64> {
    let state = transaction.open_table(STATE)?;
    let bytes = state.get((OWN, Own::Bytes.name()))?;
    Ok(bytes.map_or(0, |bytes| bytes.value()))
}

/// What a file says of the log.
pub(in super::super) struct Kept {
    pub(in super::super) stamp: Stamp,
    pub(in super::super) barriers: Barriers,
}

/// Reads it all, and trusts it only if nothing is missing.
pub(in super::super) fn load(transaction: &ReadTransaction, caps: Caps) -> Outcome<Kept> {
    let mut reading = Reading::default();
    for row in transaction.open_table(STATE)?.iter()? {
        let (name, number) = row?;
        let (letter, name) = name.value();
        reading.take(letter, name, number.value());
    }
    reading.finish(caps)
}

#[derive(Default)]
struct Reading {
    own: Vec<(Box<str>, u64)>,
    records: Vec<(u64, Record)>,
    floors: Vec<(Kind, u64)>,
    sum: u64,
}

impl Reading {
    fn take(&mut self, letter: u8, name: &str, number: u64) {
        if (letter, name) != (OWN, Own::Sum.name()) {
            self.sum ^= sum(letter, name, number);
        }
        match (letter, kind(letter)) {
            (_, Some(kind)) => self.records.push((number, Record::new(kind, name))),
            (FLOOR, _) => {
                let kind = name.bytes().next().and_then(kind);
                self.floors.extend(kind.map(|kind| (kind, number)));
            }
            _ => self.own.push((name.into(), number)),
        }
    }

    fn own(&self, own: Own) -> Outcome<u64> {
        let found = self.own.iter().find(|(name, _)| **name == *own.name());
        let missing = || damaged("a part of the state is missing");
        found.map(|(_, number)| *number).ok_or_else(missing)
    }

    fn finish(mut self, caps: Caps) -> Outcome<Kept> {
        if self.own(Own::Version)? != VERSION {
            return Err(damaged("it is of another version"));
        }
        if self.own(Own::Sum)? != self.sum {
            return Err(damaged("the state is not what was written"));
        }
        let incarnation = Incarnation::new(self.own(Own::Number)?, self.own(Own::Nonce)?);
        let stamp = Stamp::new(incarnation, self.own(Own::Sequence).unwrap_or(0));
        let mut barriers = Barriers::new(caps);
        for (kind, floor) in self.floors {
            barriers.raise_floor(kind, floor);
        }
        // Where there are more than the caps allow now, the oldest go first.
        self.records.sort_unstable_by_key(|(sequence, _)| *sequence);
        for (sequence, record) in self.records {
            barriers.insert(&record, sequence);
        }
        Ok(Kept { stamp, barriers })
    }
}
