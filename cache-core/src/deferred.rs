//! Values are dropped outside locks: their `Drop` is the user's code and may call the cache.
//!
//! A store that replaces or evicts an entry may drop it at any moment, on any thread that happens
//! to clean up. While a thread is in a [`section`], what entries hold is set aside instead, and
//! dropped when the section, and with it the lock, has ended.

use std::cell::RefCell;

use crate::entry::Payload;

#[derive(Default)]
struct Held {
    depth: usize,
    payloads: Vec<Payload>,
}

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

/// Runs `work`, which takes locks and gives them back, without dropping any value meanwhile.
pub(crate) fn section<T>(work: impl FnOnce() -> T) -> T {
    // A thread that is ending has no place to set anything aside.
    let entered = HELD.try_with(|held| held.borrow_mut().depth += 1);
    let _leaving = entered.is_ok().then_some(Leaving);
    work()
}

/// Drops what an entry held, now or at the end of the section.
pub(crate) fn discard(payload: Payload) {
    let mut payload = Some(payload);
    // A thread that is ending has no sections any more; `payload` then drops here.
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if held.depth > 0 {
            held.payloads.extend(payload.take());
        }
    });
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        let released = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            held.depth -= 1;
            if held.depth == 0 {
                std::mem::take(&mut held.payloads)
            } else {
                Vec::new()
            }
        });
        drop(released);
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
