//! What would run the user's code waits until no lock is held: values are dropped, and readers of
//! events are woken, outside locks. Both may call the cache.
//!
//! A store that replaces or evicts an entry may drop it at any moment, on any thread that happens
//! to clean up. While a thread is in a [`section`], what entries hold is set aside instead, and
//! dropped when the section, and with it the lock, has ended. Events are handed on then, too.

use std::cell::RefCell;
use std::sync::Arc;

use crate::entry::Payload;
use crate::events::{Hub, Told};

#[derive(Default)]
struct Held {
    depth: usize,
    aside: Aside,
}

/// What waits for the end of a section.
#[derive(Default)]
struct Aside {
    payloads: Vec<Payload>,
    events: Vec<(Arc<Hub>, Told)>,
}

impl Aside {
    fn release(self) {
        for (hub, told) in self.events {
            hub.send(told);
        }
        drop(self.payloads);
    }

    fn is_empty(&self) -> bool {
        self.payloads.is_empty() && self.events.is_empty()
    }
}

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

/// Runs `work`, which takes locks and gives them back, without running the user's code meanwhile.
pub(crate) fn section<T>(work: impl FnOnce() -> T) -> T {
    // A thread that is ending has no place to set anything aside.
    let entered = HELD.try_with(|held| held.borrow_mut().depth += 1);
    let _leaving = entered.is_ok().then_some(Leaving);
    work()
}

/// Drops what an entry held, now or at the end of the section.
pub(crate) fn discard(payload: Payload) {
    // What is not set aside drops here.
    let _ = set_aside(payload, |aside, payload| aside.payloads.push(payload));
}

/// Hands an event on, now or at the end of the section.
pub(crate) fn tell(hub: &Arc<Hub>, told: Told) {
    let event = (Arc::clone(hub), told);
    if let Some((hub, told)) = set_aside(event, |aside, event| aside.events.push(event)) {
        hub.send(told);
    }
}

/// Gives `what` back if no section is being run: a thread that is ending has none any more.
fn set_aside<T>(what: T, keep: impl FnOnce(&mut Aside, T)) -> Option<T> {
    let mut what = Some(what);
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if held.depth > 0
            && let Some(what) = what.take()
        {
            keep(&mut held.aside, what);
        }
    });
    what
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        let released = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            held.depth -= 1;
            let is_due = held.depth == 0 && !held.aside.is_empty();
            is_due.then(|| std::mem::take(&mut held.aside))
        });
        if let Ok(Some(aside)) = released {
            aside.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::value::Local;

    #[derive(Clone)]
    struct Noisy(Arc<AtomicBool>);

    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_value_outlives_the_section_that_discards_it() {
        let dropped = Arc::new(AtomicBool::new(false));
        let payload = Payload::typed(Local(Noisy(Arc::clone(&dropped))));
        section(|| {
            discard(payload);
            assert!(!dropped.load(Ordering::SeqCst));
        });
        assert!(dropped.load(Ordering::SeqCst));
    }
}
