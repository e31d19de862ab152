//! What a memory hit costs: no allocation, neither for the key nor for the answer.

use std::convert::Infallible;
use std::sync::Arc;

use cache_core::{Cache, Owner};

const HITS: usize = 100;

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
    assert_eq!(allocation_counter::measure(peek).count_total, 0);

    let reads = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..HITS {
                let load = || async { Ok::<Arc<String>, Infallible>(Arc::default()) };
                assert_eq!(cache.get_or_set("user:1", load).await.unwrap(), value);
            }
        });
    });
    assert_eq!(reads.count_total, 0);
}
