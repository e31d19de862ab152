//! Finding what is expired, hidden or damaged, a little at a time.

use std::ops::Bound;
use std::time::{Duration, Instant};

use redb::ReadTransaction;

use super::batch::Batch;
use super::error::Outcome;
use super::row::{ENTRIES, cost, meta_in};
use super::store::Store;
use crate::error::Result;

/// How many entries one step looks at.
const STEP: usize = 256;
/// How many bytes of entries: nobody can write while they are read.
const STEP_BYTES: u64 = 4 << 20;
/// The time between two steps, in which others write.
const BREATH: Duration = Duration::from_millis(20);
/// The least time to the next sweep when one has met what it cannot read: it would meet it again,
/// and the file is opened anew each time.
const AFTER_FAILURE: Duration = Duration::from_secs(300);

/// Where a sweep is, and when it goes on.
#[derive(Debug)]
pub(super) struct Sweep {
    interval: Duration,
    /// `None` for beyond all that the clock can say.
    due: Option<Instant>,
    /// The last key that has been looked at.
    behind: Option<Box<str>>,
}

/// What can be freed on a page, and the page's last key if there are more.
type Looked = (Vec<Box<str>>, Option<Box<str>>);

impl Sweep {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            due: after(interval),
            behind: None,
        }
    }

    pub(super) fn due_in(&self) -> Duration {
        let due_in = |due: Instant| due.saturating_duration_since(Instant::now());
        self.due.map_or(Duration::MAX, due_in)
    }

    /// What can be freed among the next entries; nothing if it is too early.
    ///
    /// # Errors
    ///
    /// What the disk answers; then it is begun anew after a good while.
    pub(super) fn step(&mut self, store: &Store) -> Result<Vec<Box<str>>> {
        if !self.due_in().is_zero() {
            return Ok(Vec::new());
        }
        let behind = self.behind.take();
        self.due = after(self.interval.max(AFTER_FAILURE));
        let look = || store.read(|transaction| worthless(transaction, store, behind.as_deref()));
        let (found, last) = store.guarded(look)?;
        self.due = after(match &last {
            Some(_) => BREATH,
            None => self.interval,
        });
        self.behind = last;
        Ok(found)
    }
}

fn after(span: Duration) -> Option<Instant> {
    Instant::now().checked_add(span)
}

/// What cannot be shown of the next page.
fn worthless(
    transaction: &ReadTransaction,
    store: &Store,
    behind: Option<&str>,
) -> Outcome<Looked> {
    let entries = transaction.open_table(ENTRIES)?;
    let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = Vec::new();
    let mut bytes = 0;
    let page = entries.range::<&str>((from, Bound::Unbounded))?;
    for (index, row) in page.enumerate() {
        let (key, columns) = row?;
        let (key, columns) = (key.value(), columns.value());
        if !store.keeps(key, meta_in(key, columns).as_ref()) {
            found.push(key.into());
        }
        bytes += cost(key, columns.2);
        if index + 1 == STEP || bytes >= STEP_BYTES {
            return Ok((found, Some(key.into())));
        }
    }
    Ok((found, None))
}

impl Batch<'_> {
    /// Frees what stands at these keys, if it still cannot be shown.
    pub(super) fn sweep(&mut self, keys: &[Box<str>]) -> Outcome<()> {
        for key in keys {
            let meta = self.standing(key)?.and_then(|row| row.meta(key));
            if !self.store.keeps(key, meta.as_ref()) {
                self.take(key)?;
            }
        }
        Ok(())
    }
}
