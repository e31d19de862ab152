//! What a memory hit costs: no allocation of ours, neither for the key nor for the answer.

use std::convert::Infallible;
use std::sync::Arc;

use cache_core::{Cache, Owner};

const HITS: u64 = 100;

/// moka's memory reclamation allocates about once in 100 reads, as soon as anything was ever written
/// or removed; a hit of ours would each time.
#[track_caller]
fn assert_no_hit_allocates(hits: impl FnOnce()) {
    let allocations = allocation_counter::measure(hits).count_total;
    assert!(allocations < HITS / 20, "{allocations} in {HITS} hits");
}

#[test]
fn a_memory_hit_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let cache = Cache::memory().namespace("users");
    let value = Arc::new("a value that is shared".to_owned());
    runtime.block_on(async { cache.set("user:1", &value).await.unwrap() });

    let peek = || {
        for _ in 0..HITS {
            let hit = cache.peek("user:1", Owner::HANDLE).unwrap();
            assert_eq!(hit.value::<Arc<String>>().unwrap(), value);
        }
    };
    // moka sets up its statistics on the first reads.
    peek();
    assert_no_hit_allocates(peek);

    assert_no_hit_allocates(|| {
        runtime.block_on(async {
            for _ in 0..HITS {
                let load = || async { Ok::<Arc<String>, Infallible>(Arc::default()) };
                assert_eq!(cache.get_or_set("user:1", load).await.unwrap(), value);
            }
        });
    });
}
