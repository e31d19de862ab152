//! One transaction: what it finds and changes, and what takes effect when it has been committed.

use redb::{ReadableTable, Table, WriteTransaction};

use super::error::Outcome;
use super::row::{ENTRIES, ORDER, Row, columns, cost};
use super::state::{Own, State};
use super::store::Store;
use crate::entry::Meta;
use crate::log::Record;

/// How many entries are spared in one transaction because they have been read lately.
const SPARED: usize = 64;

/// The tables in one transaction.
pub(super) struct Batch<'t> {
    pub(super) store: &'t Store,
    entries: Table<'t, &'static str, (u64, u64, &'static [u8])>,
    order: Table<'t, u64, &'static str>,
    state: State<'t>,
    bytes: u64,
    place: u64,
    before: u64,
    done: Done,
}

/// What a transaction has done that somebody has to hear of.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What takes effect in the log, in this order.
    effects: Vec<Record>,
    /// Somebody relies on it: it must not be lost with the power.
    pub(super) lasting: bool,
}

impl<'t> Batch<'t> {
    pub(super) fn begin(transaction: &'t WriteTransaction, store: &'t Store) -> Outcome<Self> {
        let state = State::of(transaction)?;
        Ok(Self {
            store,
            entries: transaction.open_table(ENTRIES)?,
            order: transaction.open_table(ORDER)?,
            bytes: state.own(Own::Bytes)?,
            place: state.own(Own::Place)?,
            before: state.own(Own::Sequence)?,
            state,
            done: Done::default(),
        })
    }

    /// What stands at a key.
    pub(super) fn standing(&self, key: &str) -> Outcome<Option<Row>> {
        let row = self.entries.get(key)?;
        Ok(row.map(|row| Row::read(row.value())))
    }

    /// What stands at a key and could be shown.
    pub(super) fn live(&self, key: &str) -> Outcome<Option<(Row, Meta)>> {
        let row = self.standing(key)?;
        let live = |row: Row| {
            let meta = row.meta(key)?;
            self.store.shows(key, Some(&meta)).then_some((row, meta))
        };
        Ok(row.and_then(live))
    }

    /// Puts an entry at a key, as the newest of all. What is larger than everything may be, is not
    /// kept.
    pub(super) fn put(&mut self, key: &str, bytes: &[u8]) -> Outcome<()> {
        if cost(key, bytes) > self.store.max_bytes {
            return self.take(key).map(drop);
        }
        let place = self.place;
        self.place += 1;
        if let Some(before) = self.write(key, place, bytes)? {
            self.order.remove(before)?;
        }
        self.order.insert(place, key)?;
        Ok(())
    }

    /// Puts an entry where another stands, in its place; or nothing, if it is too large.
    pub(super) fn amend(&mut self, key: &str, place: u64, bytes: &[u8]) -> Outcome<()> {
        if cost(key, bytes) > self.store.max_bytes {
            return self.take(key).map(drop);
        }
        self.write(key, place, bytes).map(drop)
    }

    /// Takes away what stands at a key.
    pub(super) fn take(&mut self, key: &str) -> Outcome<Option<Row>> {
        let Some(row) = self.entries.remove(key)? else {
            return Ok(None);
        };
        let (place, _, bytes) = row.value();
        self.bytes = self.bytes.saturating_sub(cost(key, bytes));
        let row = Row::read(row.value());
        self.order.remove(place)?;
        Ok(Some(row))
    }

    /// Lets a record take effect with this transaction, which must not be lost then.
    pub(super) fn record(&mut self, record: Record) -> Outcome<()> {
        if !matches!(record, Record::Key(_) | Record::Changed(_)) {
            self.state.record(&record)?;
        }
        self.done.effects.push(record);
        self.done.lasting = true;
        Ok(())
    }

    /// Makes room, and writes down what has changed.
    pub(super) fn finish(mut self) -> Outcome<Done> {
        self.make_room()?;
        let log = &self.store.log;
        self.state.prune(self.before, |kind| log.floor(kind))?;
        self.state.set_own(Own::Bytes, self.bytes)?;
        self.state.set_own(Own::Place, self.place)?;
        self.state.finish()?;
        Ok(self.done)
    }

    /// The place of what stood there.
    fn write(&mut self, key: &str, place: u64, bytes: &[u8]) -> Outcome<Option<u64>> {
        let before = self.entries.insert(key, columns(place, bytes))?;
        let before = before.map(|row| {
            let (place, _, bytes) = row.value();
            (place, cost(key, bytes))
        });
        let freed = before.map_or(0, |(_, cost)| cost);
        self.bytes = self.bytes.saturating_sub(freed) + cost(key, bytes);
        Ok(before.map(|(place, _)| place))
    }

    /// Evicts the oldest, but for those that have been read since they were looked at last.
    fn make_room(&mut self) -> Outcome<()> {
        let mut spared = 0;
        while self.bytes > self.store.max_bytes {
            let oldest = self.order.pop_first()?;
            let oldest = oldest.map(|(_, key)| Box::<str>::from(key.value()));
            let Some(key) = oldest else {
                return Ok(());
            };
            let row = self.take(&key)?;
            let bytes = row.as_ref().and_then(Row::bytes);
            if let Some(bytes) = bytes.filter(|_| spared < SPARED && self.store.recent.take(&key)) {
                spared += 1;
                self.put(&key, bytes)?;
            }
        }
        Ok(())
    }
}

impl Done {
    /// The transaction has been committed. A load that began before its end must not store what it
    /// has read: so the leases end once more, as they did when their keys were changed.
    pub(super) fn take_effect(self, store: &Store) {
        for record in self.effects {
            if let Record::Key(key) | Record::Changed(key) = &record {
                store.leases.void(key);
            }
            store.log.append_local(&record);
        }
    }
}
