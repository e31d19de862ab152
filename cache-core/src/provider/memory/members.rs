//! Members of the indexes in memory.
//!
//! Under the lock of a key they are entered before its entry is, and taken away with it. What is
//! overwritten, expires or is evicted leaves them behind, so each write looks after a few members in
//! turn; with two for each one that is entered, there are soon at most about twice as many as entries.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::index::{INDEX_TAG_BYTES, is_index_tag};
use crate::provider::Index;

/// The most members that are looked at while others wait.
const STEP: usize = 1_000;

/// The members of all indexes of one store.
#[derive(Default)]
pub(super) struct Members {
    table: Mutex<Table>,
    count: AtomicUsize,
    /// How many are to be looked after by the next one who can.
    owed: AtomicUsize,
}

#[derive(Default)]
struct Table {
    /// Tag and whole key in one: those of one index stand together.
    members: BTreeSet<Box<str>>,
    /// The one that was looked after last.
    last: Box<str>,
}

/// A member by itself: the tag of its index and its whole key.
pub(super) struct Place(Box<str>);

impl Place {
    pub(super) fn new(tag: &str, key: &str) -> Self {
        Self([tag, key].concat().into())
    }

    pub(super) fn tag(&self) -> &str {
        self.0.get(..INDEX_TAG_BYTES).unwrap_or_default()
    }

    pub(super) fn key(&self) -> &str {
        self.0.get(INDEX_TAG_BYTES..).unwrap_or_default()
    }
}

impl Members {
    /// How many members there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Enters a key in the indexes that its entry carries the tags of.
    pub(super) fn enter(&self, key: &str, tags: &[Box<str>]) {
        let mut places = places(key, tags).peekable();
        if places.peek().is_some() {
            self.change(|members| members.extend(places));
        }
    }

    /// Takes a key out of these indexes.
    pub(super) fn leave(&self, key: &str, tags: &[Box<str>]) {
        let mut places = places(key, tags).peekable();
        if places.peek().is_some() {
            self.change(|members| {
                for place in places {
                    members.remove(&place);
                }
            });
        }
    }

    /// Takes one member away.
    pub(super) fn remove(&self, place: &Place) {
        self.change(|members| members.remove(&place.0));
    }

    /// The keys in an index, within their namespace. Copied in steps: all writers of anything that
    /// is indexed wait for one.
    pub(super) fn of(&self, index: Index<'_>) -> Vec<Box<str>> {
        let Place(first) = Place::new(index.tag, &index.full_key(""));
        let mut keys = self.behind(Bound::Included(&*first), &first);
        let mut copied = keys.len();
        while copied == STEP {
            let last = keys.last().map(|key| [&*first, &**key].concat());
            let last = last.unwrap_or_default();
            let next = self.behind(Bound::Excluded(&*last), &first);
            copied = next.len();
            keys.extend(next);
        }
        keys
    }

    /// The next members that begin with `first`, without that.
    fn behind(&self, from: Bound<&str>, first: &str) -> Vec<Box<str>> {
        let table = self.table();
        let members = table.members.range::<str, _>((from, Bound::Unbounded));
        members
            .map_while(|member| member.strip_prefix(first))
            .map(Into::into)
            .take(STEP)
            .collect()
    }

    /// The members that are next to be looked after. Who would have to wait for the table leaves
    /// them to the next one who has not.
    pub(super) fn due(&self, count: usize) -> Vec<Place> {
        if self.count() == 0 {
            return Vec::new();
        }
        let mut table = match self.table.try_lock() {
            Ok(table) => table,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.owed.fetch_add(count, Ordering::Relaxed);
                return Vec::new();
            }
        };
        let owed = self.owed.swap(0, Ordering::Relaxed);
        let count = count.saturating_add(owed).min(STEP);
        let later = (Bound::Excluded(&*table.last), Bound::Unbounded);
        let later = table.members.range::<str, _>(later);
        // Then from the beginning: who stayed at the end would meet what is entered there only.
        let due: Vec<Box<str>> = later.chain(&table.members).take(count).cloned().collect();
        table.last = due.last().cloned().unwrap_or_default();
        due.into_iter().map(Place).collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<Box<str>>) -> T) {
        let mut table = self.table();
        change(&mut table.members);
        self.count.store(table.members.len(), Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn places(key: &str, tags: &[Box<str>]) -> impl Iterator<Item = Box<str>> {
    let indexed = tags.iter().filter(|tag| is_index_tag(tag));
    indexed.map(move |tag| Place::new(tag, key).0)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::index::index_tag;

    fn entered(count: usize) -> (Members, Box<str>) {
        let (members, tag) = (Members::default(), index_tag("i", "a"));
        let tags = [tag.clone(), index_tag("i", "b")];
        for number in 0..count {
            members.enter(&format!("cache:n:{number:05}"), &tags);
        }
        members.enter("cache:n/inside:k", &tags);
        (members, tag)
    }

    #[test]
    fn a_long_index_is_copied_whole_and_in_steps() {
        for count in [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP] {
            let (members, tag) = entered(count);
            let index = Index {
                scope: "cache:n",
                tag: &tag,
            };
            let expected: Vec<Box<str>> = (0..count).map(|it| format!("{it:05}").into()).collect();
            assert_eq!(members.of(index), expected);
            let Place(first) = Place::new(&tag, "cache:n:");
            let step = members.behind(Bound::Included(&*first), &first);
            assert_eq!(step.len(), count.min(STEP));
        }
    }

    #[test]
    fn who_would_wait_for_the_table_leaves_what_is_due_to_the_next() {
        let (members, _) = entered(10);
        let members = Arc::new(members);
        let table = members.table();
        let (send, due) = mpsc::channel();
        let other = Arc::clone(&members);
        // A thread of its own: one that waits here stands still for ever.
        std::thread::spawn(move || send.send(other.due(2).len()));
        assert_eq!(due.recv_timeout(Duration::from_secs(20)), Ok(0));
        drop(table);
        assert_eq!(members.due(2).len(), 4);
        assert_eq!(members.due(2).len(), 2);
    }
}
