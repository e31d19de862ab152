//! Members of the indexes in memory.
//!
//! Under the lock of a key they are entered before its entry is, and taken away with it. What is
//! overwritten, expires or is evicted leaves them behind, so each write looks after a few members in
//! turn; with two for each one that is entered, there are soon at most about twice as many as entries.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::index::{INDEX_TAG_BYTES, is_index_tag};
use crate::provider::Index;

/// The members of all indexes of one store.
#[derive(Default)]
pub(super) struct Members {
    table: Mutex<Table>,
    count: AtomicUsize,
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

    /// The keys in an index, within their namespace.
    pub(super) fn of(&self, index: Index<'_>) -> Vec<Box<str>> {
        let Place(first) = Place::new(index.tag, &index.full_key(""));
        let table = self.table();
        let from = (Bound::Included(&*first), Bound::Unbounded);
        let members = table.members.range::<str, _>(from);
        members
            .map_while(|member| member.strip_prefix(&*first))
            .map(Into::into)
            .collect()
    }

    /// The members that are next to be looked after.
    pub(super) fn due(&self, count: usize) -> Vec<Place> {
        if self.count() == 0 {
            return Vec::new();
        }
        let mut table = self.table();
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
