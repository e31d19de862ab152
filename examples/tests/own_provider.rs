//! A provider from outside the toolkit keeps all of its promises.

use std::process::Command;

use cache_core::testkit::Nodes;
use cache_core::{Cache, EntryOptions, ManualClock};
use cache_examples::shelf::ShelfProvider;

async fn shelf() -> Nodes {
    let clock = ManualClock::new();
    let provider = ShelfProvider::with_clock(10_000, clock.clock());
    let cache = Cache::builder(provider).build().expect("a cache");
    Nodes::one(cache).clock(clock)
}

mod conformance {
    cache_core::conformance!(crate::shelf());
}

mod race {
    cache_core::race_table!(crate::shelf());
}

#[tokio::test]
async fn a_full_shelf_holds_no_more() {
    let cache = Cache::builder(ShelfProvider::new(2)).build().unwrap();
    let values = [("a", 1), ("b", 2), ("c", 3)];
    cache.set_many(&values, EntryOptions::new()).await.unwrap();
    let left = cache.get_many::<i32>(&["a", "b", "c"]).await.unwrap();
    assert_eq!(left, [None, Some(2), Some(3)]);
}

#[test]
fn the_example_is_chosen_from_its_configuration() {
    let output = Command::new(env!("CARGO_BIN_EXE_own-provider"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "shelf keeps Bergen: Some(\"Bergen\")\n");
}
