//! The core's algorithms under every order of their steps: faithful small copies, with the
//! production names, in a scheduler's hands. Each is run as it is, which must hold, and with one
//! thing taken out, which the scheduler must find out; else it would prove nothing.
//!
//! What is copied: `cache-core/src/log/mod.rs` and `engine/mod.rs` (`judge`) in `publication.rs`,
//! `engine/flight.rs` and `provider/memory/store.rs` in `flights.rs`, `engine/near.rs` and the joining
//! of `store.rs` in `promotion.rs`. Who changes those, changes these.

mod flights;
mod promotion;
mod publication;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Orders that are tried of what must hold.
const ORDERS: usize = 4_000;
/// Orders that are tried at most of what must not: the first that breaks it is enough.
const MOST_ORDERS: usize = 200_000;

/// No order of steps breaks it.
fn holds(run: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(run, ORDERS);
}

/// Some order of steps breaks it.
fn breaks(run: impl Fn() + Send + Sync + 'static) {
    let checked = catch_unwind(AssertUnwindSafe(|| shuttle::check_random(run, MOST_ORDERS)));
    assert!(
        checked.is_err(),
        "{MOST_ORDERS} orders of steps show nothing wrong"
    );
}
