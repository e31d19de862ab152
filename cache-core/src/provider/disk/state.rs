//! What the file knows of the log: which incarnation it is, how far it has come, and what hides.
//!
//! An entry's stamp is a position in the log, so an entry of an earlier run can be judged only if
//! the positions go on where they ended, and every barrier since then is still there. Both are
//! written in the transaction that an invalidation returns after. A sum over all of it tells a
//! file that has lost a part from one that has never had it.

mod kept;

use redb::{ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};

pub(super) use kept::{Kept, bytes, load};

use super::digest::Digest;
use super::error::{Failure, Outcome};
use super::row::{ENTRIES, ORDER};
use crate::log::{Incarnation, Kind, Record};

/// By the letter of what it is and its name: a number.
///
/// | letter | name | number |
/// |---|---|---|
/// | `t`, `p`, `a` | tag, pattern, scope | the position of its last record |
/// | `f` | `t`, `p`, `a` | the floor of that kind |
/// | `m` | as below | what the file keeps of itself |
pub(super) const STATE: TableDefinition<(u8, &str), u64> = TableDefinition::new("state");

/// What this version writes, and reads.
const VERSION: u64 = 1;
const OWN: u8 = b'm';
const FLOOR: u8 = b'f';
/// Single keys leave no barrier: their entries are deleted.
const KEPT: [Kind; 3] = [Kind::Tag, Kind::Pattern, Kind::All];
/// After how many records the barriers below the floors are looked for.
const PRUNE_EVERY: u64 = 4_096;

/// The numbers that the file keeps of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Version,
    Number,
    Nonce,
    Sequence,
    /// What all entries count against the bound.
    Bytes,
    /// The next place in the order of entries.
    Place,
    /// The sum over everything else.
    Sum,
}

impl Own {
    const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Number => "number",
            Self::Nonce => "nonce",
            Self::Sequence => "sequence",
            Self::Bytes => "bytes",
            Self::Place => "place",
            Self::Sum => "sum",
        }
    }
}

/// The state in a transaction.
pub(super) struct State<'t> {
    table: Table<'t, (u8, &'static str), u64>,
    sum: u64,
}

impl<'t> State<'t> {
    pub(super) fn of(transaction: &'t WriteTransaction) -> Outcome<Self> {
        let mut state = Self {
            table: transaction.open_table(STATE)?,
            sum: 0,
        };
        state.sum = state.own(Own::Sum)?;
        Ok(state)
    }

    pub(super) fn own(&self, own: Own) -> Outcome<u64> {
        let number = self.table.get((OWN, own.name()))?;
        Ok(number.map_or(0, |number| number.value()))
    }

    pub(super) fn set_own(&mut self, own: Own, number: u64) -> Outcome<()> {
        self.set(OWN, own.name(), number)
    }

    /// Keeps what a record hides, at the next position.
    pub(super) fn record(&mut self, record: &Record) -> Outcome<()> {
        let sequence = self.own(Own::Sequence)? + 1;
        self.set(letter(record.kind()), record.argument(), sequence)?;
        self.set_own(Own::Sequence, sequence)
    }

    /// Forgets the barriers below the floors, now and then: so there are never many more of them
    /// than the log in memory has.
    pub(super) fn prune(&mut self, before: u64, floor: impl Fn(Kind) -> u64) -> Outcome<()> {
        if before / PRUNE_EVERY == self.own(Own::Sequence)? / PRUNE_EVERY {
            return Ok(());
        }
        for kind in KEPT {
            let floor = floor(kind);
            self.set(FLOOR, &kind.letter().to_string(), floor)?;
            for name in self.below(kind, floor)? {
                self.remove(letter(kind), &name)?;
            }
        }
        Ok(())
    }

    /// Writes the sum.
    pub(super) fn finish(mut self) -> Outcome<()> {
        self.table.insert((OWN, Own::Sum.name()), self.sum)?;
        Ok(())
    }

    fn below(&self, kind: Kind, floor: u64) -> Outcome<Vec<Box<str>>> {
        let letter = letter(kind);
        let mut names = Vec::new();
        for row in self.table.range((letter, "")..(letter + 1, ""))? {
            let (name, sequence) = row?;
            if sequence.value() <= floor {
                names.push(name.value().1.into());
            }
        }
        Ok(names)
    }

    fn set(&mut self, letter: u8, name: &str, number: u64) -> Outcome<()> {
        let before = self.table.insert((letter, name), number)?;
        let before = before.map(|number| number.value());
        self.sum ^= before.map_or(0, |before| sum(letter, name, before));
        self.sum ^= sum(letter, name, number);
        Ok(())
    }

    fn remove(&mut self, letter: u8, name: &str) -> Outcome<()> {
        let before = self.table.remove((letter, name))?;
        let before = before.map(|number| number.value());
        self.sum ^= before.map_or(0, |before| sum(letter, name, before));
        Ok(())
    }
}

/// Makes the tables of a new file, which begins with this incarnation. Those of an older one stay.
pub(super) fn begin(transaction: &WriteTransaction, incarnation: Incarnation) -> Outcome<()> {
    let names: Vec<_> = transaction.list_tables()?.collect();
    if names.iter().any(|table| table.name() == STATE.name()) {
        return Ok(());
    }
    if !names.is_empty() {
        return Err(damaged("there are tables of another program in it"));
    }
    transaction.open_table(ENTRIES)?;
    transaction.open_table(ORDER)?;
    let mut state = State::of(transaction)?;
    state.set_own(Own::Version, VERSION)?;
    state.set_own(Own::Number, incarnation.number())?;
    state.set_own(Own::Nonce, incarnation.nonce())?;
    // Cursors begin at zero, and go on behind the last place.
    state.set_own(Own::Place, 1)?;
    state.finish()
}

fn letter(kind: Kind) -> u8 {
    // All of them are ASCII.
    u8::try_from(kind.letter()).unwrap_or(OWN)
}

fn kind(byte: u8) -> Option<Kind> {
    KEPT.into_iter().find(|&kind| letter(kind) == byte)
}

fn sum(letter: u8, name: &str, number: u64) -> u64 {
    let digest = Digest::new().and(&[letter]).and(name.as_bytes());
    digest.and(&number.to_be_bytes()).sum()
}

fn damaged(what: &str) -> Failure {
    Failure::File(redb::Error::Corrupted(what.into()))
}
