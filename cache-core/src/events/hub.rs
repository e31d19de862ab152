//! Hands events on to those who follow them, without ever waiting for one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast::{self, Receiver, Sender};

use super::event::Told;
use crate::deferred;

/// How many events are kept for a reader; who falls further behind is told by
/// [`Event::Lagged`](crate::Event::Lagged).
pub const MAX_EVENTS: usize = 1_024;

/// Where one provider's events come together. There is no buffer as long as nobody follows.
#[derive(Default)]
pub(crate) struct Hub {
    followers: AtomicUsize,
    sender: RwLock<Option<Sender<Told>>>,
}

impl Hub {
    /// Tells everybody who follows, now or as soon as the locks of this thread's section are given
    /// back. `told` is asked only if anybody follows.
    pub(crate) fn tell(self: &Arc<Self>, told: impl FnOnce() -> Told) {
        if self.is_followed() {
            deferred::tell(self, told());
        }
    }

    pub(crate) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }

    /// Wakes readers, which may run code of the user's: no lock may be held here.
    pub(crate) fn send(&self, told: Told) {
        let sender = self.sender();
        if let Some(sender) = sender {
            // An error says that the last one has just stopped following.
            let _ = sender.send(told);
        }
    }

    fn sender(&self) -> Option<Sender<Told>> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        sender.clone()
    }

    pub(super) fn follow(&self) -> Receiver<Told> {
        let mut sender = self.sender.write().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.get_or_insert_with(|| broadcast::channel(MAX_EVENTS).0);
        self.followers.fetch_add(1, Ordering::AcqRel);
        sender.subscribe()
    }

    /// With the last one who follows, the buffer goes.
    pub(super) fn unfollow(&self) {
        let mut sender = self.sender.write().unwrap_or_else(PoisonError::into_inner);
        if self.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *sender = None;
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("followers", &self.followers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EntryKey, Event, Events};

    fn told(key: &Arc<str>) -> Told {
        Told::of(Event::Evicted(EntryKey::new(Arc::clone(key))))
    }

    #[test]
    fn nothing_is_made_of_what_nobody_follows() {
        let hub = Arc::new(Hub::default());
        hub.tell(|| unreachable!("nobody follows"));
        drop(Events::new(&hub, "app:"));
        hub.tell(|| unreachable!("nobody follows any more"));
    }

    #[test]
    fn who_stops_following_leaves_nothing() {
        let hub = Arc::new(Hub::default());
        let key: Arc<str> = "app::k".into();
        let (first, second) = (Events::new(&hub, "app:"), Events::new(&hub, "app:"));
        hub.tell(|| told(&key));
        drop(first);
        assert_eq!(Arc::strong_count(&key), 2, "kept for the other one");
        drop(second);
        assert_eq!(Arc::strong_count(&key), 1);
        assert!(hub.sender().is_none() && !hub.is_followed());
    }

    #[test]
    fn what_is_told_in_a_section_is_handed_on_after_it() {
        let hub = Arc::new(Hub::default());
        let mut events = Events::new(&hub, "app:");
        deferred::section(|| {
            hub.tell(|| told(&"app::k".into()));
            assert_eq!(events.try_next(), None);
        });
        assert!(events.try_next().is_some());
    }
}
