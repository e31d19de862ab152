//! What a hit costs: no allocation of ours, and a future that does not grow with the body.

use std::sync::Arc;

use cache_core::{Cache, KeyPart, cached};

const HITS: usize = 100;

struct Repository {
    cache: Cache,
    name: Arc<str>,
}

impl Repository {
    #[cached(ttl = 60, cache = self.cache, tags = ["user:{id}"])]
    async fn name(&self, id: u64, locale: &str) -> Result<Option<Arc<str>>, String> {
        let large = [u64::from(locale.is_empty()); 1_000];
        tokio::task::yield_now().await;
        Ok((large.iter().sum::<u64>() < id).then(|| Arc::clone(&self.name)))
    }
}

#[cached(key_prefix = "names")]
async fn in_the_default_cache(id: u64) -> Option<Arc<str>> {
    Some(id.to_string().into())
}

#[cached(cache = cache, skip(cache))]
async fn generic<T: KeyPart + Send + 'static>(cache: &Cache, id: T) -> u64 {
    let _ = (cache, id);
    1
}

#[cached(cache = cache, namespace = "names", skip(cache))]
async fn in_a_namespace(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[test]
fn a_hit_allocates_neither_for_its_key_nor_for_its_future() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let repository = Repository {
        cache: Cache::memory().namespace("users"),
        name: "Ada".into(),
    };
    let call = || {
        runtime.block_on(async {
            for _ in 0..HITS {
                let name = repository.name(42, "en").await.unwrap();
                assert_eq!(name.as_deref(), Some("Ada"));
                assert!(in_the_default_cache(42).await.is_some());
            }
        });
    };
    // The first call stores the value; moka sets up its statistics on the first reads.
    call();
    let allocations = allocation_counter::measure(call).count_total;
    // moka's memory reclamation allocates about once in 130 reads; a call of ours would each time.
    let calls = 2 * HITS as u64;
    assert!(allocations < calls / 20, "{allocations} in {calls} calls");
}

#[test]
fn a_hit_of_any_generic_instance_and_in_any_namespace_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let cache = Cache::memory();
    let call = || {
        runtime.block_on(async {
            for _ in 0..HITS {
                generic(&cache, 1_u8).await;
                generic(&cache, 2_u16).await;
                in_a_namespace(&cache, 3).await;
            }
        });
    };
    call();
    let allocations = allocation_counter::measure(call).count_total;
    let calls = 3 * HITS as u64;
    assert!(allocations < calls / 20, "{allocations} in {calls} calls");
}

#[test]
fn the_future_of_a_call_is_small_however_large_the_body() {
    let repository = Repository {
        cache: Cache::memory(),
        name: "Ada".into(),
    };
    let size = size_of_val(&repository.name(42, "en"));
    assert!(size <= 256, "{size} bytes");
}
