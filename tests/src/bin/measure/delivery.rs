//! How long an invalidation takes to reach two other nodes.

use std::time::{Duration, Instant};

use cache_core::Provider;
use cache_core::log::Log;
use cache_tests::redis_server::RedisServer;

use crate::spans::{millis, quantile};
use crate::{Work, provider, row, tiered};

const INVALIDATIONS: usize = 10_000;

pub(crate) async fn measure(work: Work) {
    let server = RedisServer::start();
    let origin = provider(&server).await;
    let log = origin.log().clone();
    let origin = tiered(origin);
    let others = [provider(&server).await, provider(&server).await];
    let count = work.of(INVALIDATIONS);
    let (mut calls, mut deliveries) = (Vec::new(), Vec::new());
    for index in 0..count {
        let began = Instant::now();
        let key = format!("k{index}");
        origin.invalidate(&key).await.expect("the invalidation");
        calls.push(began.elapsed());
        let sequence = log.stamp().sequence();
        for other in &others {
            reached(other.log(), sequence).await;
        }
        deliveries.push(began.elapsed());
    }
    let what = format!("{count} invalidations of a key, one after the other");
    row(&format!("{what}: the call itself"), &figures(&mut calls));
    let what =
        format!("{what}: from the beginning of the call until two other nodes have applied it");
    row(&what, &figures(&mut deliveries));
}

async fn reached(log: &Log, sequence: u64) {
    while log.stamp().sequence() < sequence {
        tokio::task::yield_now().await;
    }
}

fn figures(spans: &mut [Duration]) -> String {
    let [p50, p99, longest] = [500, 990, 1_000].map(|permille| millis(quantile(spans, permille)));
    format!("p50 {p50}, p99 {p99}, longest {longest}")
}
