//! What is left when everything has had its time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::MemoryProvider;
use crate::cache::{Cache, CacheBuilder};
use crate::clock::ManualClock;
use crate::policy::Policy;
use crate::provider::RateLimit;
use crate::terms::EntryOptions;

const TTL: Duration = Duration::from_secs(60);

fn cache(clock: &ManualClock) -> (Arc<MemoryProvider>, Cache) {
    let provider = Arc::new(MemoryProvider::builder().clock(clock.clock()).build());
    let cache = CacheBuilder::new(Arc::<MemoryProvider>::clone(&provider)).build();
    (provider, cache.expect("a cache"))
}

/// Sizes of all tables: entries, index members, counted calls, locks.
fn sizes(provider: &MemoryProvider) -> [usize; 4] {
    let entries = provider.store.list(|_, _| true).len();
    let (counts, held) = (provider.counts.len(), provider.held.len());
    [entries, provider.indexed(), counts, held]
}

#[tokio::test]
async fn after_everything_has_expired_all_tables_are_empty() {
    let clock = ManualClock::new();
    let (provider, cache) = cache(&clock);
    let mut events = cache.events();
    let limiter = cache.rate_limiter(RateLimit::fixed_window(5, TTL)).unwrap();
    for number in 0..100 {
        let (key, team) = (format!("k{number}"), format!("{}", number % 7));
        let options = EntryOptions::new().ttl(TTL).tag("t").index("team", &team);
        let load = || async { Ok::<_, Infallible>(number) };
        cache.get_or_set_with(&key, options, load).await.unwrap();
        limiter.check(&key).await.unwrap();
        let lock = cache.lock(&key).ttl(TTL).await.unwrap();
        std::mem::forget(lock.expect("it is free"));
    }
    assert_eq!(sizes(&provider), [100; 4]);
    clock.advance(TTL);
    assert_eq!(cache.sweep().await.unwrap(), 100);
    let mut told = 0;
    while events.try_next().is_some() {
        told += 1;
    }
    assert!(told >= 100, "{told}");
    drop(events);
    // Counts and locks go with the next calls, whatever they are about.
    for _ in 0..64 {
        limiter.peek("another").await.unwrap();
        let lock = cache.lock("another").await.unwrap();
        lock.expect("it is free").release().await.unwrap();
    }
    assert_eq!(sizes(&provider), [0; 4]);
}

#[tokio::test]
async fn a_sweep_leaves_what_a_policy_may_show_stale() {
    let clock = ManualClock::new();
    let (_, cache) = cache(&clock);
    let cache = cache.with_policy(Policy::new().stale_if_error(TTL));
    let options = || EntryOptions::new().ttl(TTL);
    let load = |result: Result<u8, &'static str>| move || async move { result };
    let call = async |result| cache.get_or_set_with("k", options(), load(result)).await;
    assert_eq!(call(Ok(1)).await, Ok(1));
    clock.advance(TTL);
    assert_eq!(cache.sweep().await.unwrap(), 0);
    assert_eq!(call(Err("no")).await, Ok(1));
    clock.advance(TTL);
    assert_eq!(cache.sweep().await.unwrap(), 1);
    assert_eq!(call(Err("no")).await, Err("no"));
}
