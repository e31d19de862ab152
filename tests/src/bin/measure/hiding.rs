//! How long hiding many values by one pattern takes its caller.

use std::time::{Duration, Instant};

use cache_core::{Cache, EntryOptions};
use cache_tests::redis_server::RedisServer;

use crate::spans::{millis, quantile};
use crate::{Work, provider, row, tiered};

const SIZES: [usize; 3] = [1, 10_000, 1_000_000];
/// How many values are stored in one round trip.
const BATCH: usize = 500;
/// How often the same values are hidden: one call alone says little.
const CALLS: usize = 201;

pub(crate) async fn measure(work: Work) {
    let mut medians = Vec::new();
    for size in SIZES {
        let size = work.of(size);
        let server = RedisServer::start();
        let cache = tiered(provider(&server).await);
        fill(&cache, size).await;
        let mut calls = hide(&cache).await;
        let (first, median) = (calls[0], quantile(&mut calls, 500));
        let what = format!("hiding {size} values by one pattern, caller's time");
        let figure = format!("p50 of {CALLS} {}, first {}", millis(median), millis(first));
        row(&what, &figure);
        medians.push(median.as_secs_f64());
    }
    let (least, most) = medians
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), &median| {
            (least.min(median), most.max(median))
        });
    row(
        "the longest of these by the shortest",
        &format!("{:.2}", most / least),
    );
}

async fn fill(cache: &Cache, size: usize) {
    let keys: Vec<_> = (0..size).map(|index| format!("item:{index}")).collect();
    for batch in keys.chunks(BATCH) {
        let values: Vec<_> = batch.iter().map(|key| (key.as_str(), 1_u64)).collect();
        let stored = cache.set_many(&values, EntryOptions::new().no_ttl()).await;
        stored.expect("the values are stored");
    }
}

async fn hide(cache: &Cache) -> Vec<Duration> {
    let shown = async || cache.get::<u64>("item:0").await.expect("the read");
    assert_eq!(shown().await, Some(1), "there is something to hide");
    let mut calls = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        let hidden = cache.invalidate_pattern("item:*").await;
        calls.push(began.elapsed());
        hidden.expect("the invalidation");
        assert_eq!(shown().await, None);
    }
    calls
}
