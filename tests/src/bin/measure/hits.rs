//! What hits cost: with and without the remote tier behind memory, and on Redis.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cache_core::Cache;
use cache_tests::redis_server::RedisServer;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Client};
use serde::{Deserialize, Serialize};

use crate::spans::median;
use crate::{Work, provider, row, tiered};

/// How often each side has its turn.
const TURNS: usize = 21;
const MEMORY_HITS: usize = 200_000;
const TASKS: usize = 32;
const REDIS_HITS_PER_TASK: usize = 1_000;
const KEY: &str = "user:42";

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    groups: Vec<String>,
}

fn user() -> User {
    User {
        id: 42,
        name: "Ada Lovelace".into(),
        email: "ada@example.org".into(),
        groups: ["analysts", "engines", "poets"].map(str::to_owned).into(),
    }
}

/// A hit of a tiered cache by one of a cache in memory.
pub(crate) async fn measure_tiers(work: Work) {
    let server = RedisServer::start();
    let (memory, tiers) = (Cache::memory(), tiered(provider(&server).await));
    let (mut of_memory, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let alone = hits(&memory, work.of(MEMORY_HITS)).await.as_secs_f64();
        let in_front = hits(&tiers, work.of(MEMORY_HITS)).await.as_secs_f64();
        of_memory.push(alone * 1e9 / work.of(MEMORY_HITS) as f64);
        ratios.push(in_front / alone);
    }
    let nanos = median(&mut of_memory);
    row(
        "`get_or_set` of a number, hit in memory",
        &format!("{nanos:.0} ns"),
    );
    let ratio = median(&mut ratios);
    row(
        "the same with a memory tier in front of Redis",
        &format!("{ratio:.2} times that"),
    );
}

async fn hits(cache: &Cache, count: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        let load = async || Ok::<_, Infallible>(1_u64);
        let Ok(value) = cache.get_or_set(KEY, load).await;
        assert_eq!(value, 1);
    }
    began.elapsed()
}

/// Hits of a cache without a memory tier by what the redis crate does alone.
pub(crate) async fn measure_redis(work: Work) {
    let server = RedisServer::start();
    let cache = Cache::builder(provider(&server).await).build();
    let cache = cache.expect("the cache is built");
    cache.set(KEY, &user()).no_ttl().await.expect("the set");
    let plain = plain(&server).await;
    let hits = work.of(REDIS_HITS_PER_TASK);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let alone = at_once(|| read_plain(plain.clone(), hits)).await;
        let cached = at_once(|| read_cached(cache.clone(), hits)).await;
        rates.push((TASKS * hits) as f64 / alone);
        ratios.push(alone / cached);
    }
    let rate = median(&mut rates);
    let what = format!("`GET` and `serde_json` through `ConnectionManager`, {TASKS} tasks");
    row(&what, &format!("{rate:.0} per second"));
    let ratio = median(&mut ratios);
    row(
        "`get` of the same from the Redis provider",
        &format!("{ratio:.2} times as many"),
    );
}

async fn plain(server: &RedisServer) -> ConnectionManager {
    let client = Client::open(server.url()).expect("the URL");
    let mut plain = ConnectionManager::new(client).await.expect("a connection");
    let bytes = serde_json::to_vec(&user()).expect("JSON");
    plain
        .set::<_, _, ()>("plain", bytes)
        .await
        .expect("the set");
    plain
}

async fn read_plain(mut plain: ConnectionManager, count: usize) {
    for _ in 0..count {
        let bytes: Vec<u8> = plain.get("plain").await.expect("the value");
        let user: User = serde_json::from_slice(&bytes).expect("a user");
        assert_eq!(user.id, 42);
    }
}

async fn read_cached(cache: Cache, count: usize) {
    for _ in 0..count {
        let user = cache.get::<User>(KEY).await.expect("the read");
        assert!(user.is_some_and(|user| user.id == 42));
    }
}

/// Seconds until as many tasks have done it.
async fn at_once<F>(task: impl Fn() -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(task())).collect();
    for task in tasks {
        task.await.expect("the task");
    }
    began.elapsed().as_secs_f64()
}
