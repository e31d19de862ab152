//! What leaves a memory store, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;

use crate::clock::Clock;
use crate::entry::Entry;
use crate::events::{EntryKey, Event, Told};
use crate::log::Log;

/// Why an entry has left its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Departure {
    /// Its time to live has passed.
    Expired,
    /// There was no room.
    Evicted,
    /// Another entry stands in its place.
    Replaced,
    /// Somebody made it go.
    Removed,
}

impl Departure {
    pub(super) fn of(cause: RemovalCause) -> Self {
        match cause {
            RemovalCause::Expired => Self::Expired,
            RemovalCause::Size => Self::Evicted,
            RemovalCause::Replaced => Self::Replaced,
            RemovalCause::Explicit => Self::Removed,
        }
    }

    /// What has expired had left already, however its place was cleared.
    fn at(self, entry: &Entry, clock: &Clock) -> Self {
        match entry.meta().is_expired(clock.now()) {
            true => Self::Expired,
            false => self,
        }
    }
}

/// Hears of each entry that leaves a store, once, on whatever thread makes it go.
///
/// It runs under the locks of the store: it must be quick, run none of the user's code, and take
/// no lock under which anybody calls the store.
pub(crate) type OnDeparture = Box<dyn Fn(&Arc<str>, &Entry, Departure) + Send + Sync>;

/// Tells those who follow events.
pub(super) fn telling(log: Log) -> OnDeparture {
    Box::new(move |key, entry, why| {
        log.events().tell(|| {
            let place = EntryKey::new(Arc::clone(key));
            Told::of(match why {
                Departure::Expired => Event::Expired(place),
                Departure::Evicted => Event::Evicted(place),
                // Whoever stores in the place of what was hidden replaces nothing that there was.
                Departure::Replaced if log.is_visible(key, entry.meta()) => Event::Replaced(place),
                Departure::Replaced | Departure::Removed => Event::Removed(place),
            })
        });
    })
}

/// How many entries have left a store for reasons that nobody asked for.
#[derive(Debug, Default)]
pub(super) struct Departures {
    evicted: AtomicU64,
    expired: AtomicU64,
}

impl Departures {
    /// Counts one, and says why it really went.
    pub(super) fn count(&self, entry: &Entry, why: Departure, clock: &Clock) -> Departure {
        let why = why.at(entry, clock);
        match why {
            Departure::Evicted => self.evicted.fetch_add(1, Ordering::Relaxed),
            Departure::Expired => self.expired.fetch_add(1, Ordering::Relaxed),
            Departure::Replaced | Departure::Removed => 0,
        };
        why
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    pub(super) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}
