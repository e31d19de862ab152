//! What an earlier run has left: the values, and what hides them.

use std::convert::Infallible;
use std::time::Duration;

use cache_core::{Cache, EntryOptions, Invalidated, Ttl};

use crate::{Disk, opened};

const HOUR: Duration = Duration::from_secs(3_600);

async fn text(cache: &Cache, key: &str) -> Option<String> {
    cache.get(key).await.expect("get")
}

#[tokio::test]
async fn values_are_there_after_a_restart_with_their_terms() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    cache.set("set", "v").ttl(HOUR).tag("t").await.unwrap();
    cache.set("for ever", "v").ttl(Ttl::Never).await.unwrap();
    let load = || async { Ok::<_, Infallible>("loaded".to_owned()) };
    assert_eq!(cache.get_or_set("loaded", load).await.unwrap(), "loaded");
    provider.close().await;

    disk.clock.advance(HOUR / 2);
    let (_provider, cache) = disk.open().await;
    assert_eq!(text(&cache, "set").await.as_deref(), Some("v"));
    let left = cache.get_ttl("set").await.unwrap();
    let Some(Ttl::After(left)) = left else {
        panic!("a limited time to live, not {left:?}");
    };
    // Times are stored in milliseconds.
    assert!(
        left <= HOUR / 2 && left + Duration::from_millis(1) > HOUR / 2,
        "{left:?}"
    );
    assert_eq!(cache.get_ttl("for ever").await.unwrap(), Some(Ttl::Never));
    cache.invalidate_tag("t").await.unwrap();
    assert_eq!(text(&cache, "set").await, None);
}

#[tokio::test]
async fn what_a_load_brought_is_there_after_a_restart() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    let load = |value: i32| async move { Ok::<_, Infallible>(value) };
    assert_eq!(cache.get_or_set("k", || load(1)).await, Ok(1));
    provider.close().await;
    let (_provider, cache) = disk.open().await;
    assert_eq!(cache.get_or_set("k", || load(2)).await, Ok(1));
}

#[tokio::test]
async fn a_provider_that_is_only_dropped_closes_its_file() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    cache.set("k", "v").await.unwrap();
    drop((provider, cache));
    let (_provider, cache) = disk.open().await;
    assert_eq!(text(&cache, "k").await.as_deref(), Some("v"));
}

/// Stores a value that each way of invalidating can hide, in each of which it stays hidden.
async fn hidden_after(act: impl AsyncFn(&Cache) -> Invalidated) {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    let users = cache.namespace("users");
    users.set("k", "old").tag("t").await.unwrap();
    cache.set("other", "stays").await.unwrap();
    assert_eq!(act(&users).await, Invalidated::Applied);
    provider.close().await;
    for run in 0..2 {
        let (provider, cache) = disk.open().await;
        let users = cache.namespace("users");
        assert_eq!(text(&users, "k").await, None, "run {run}");
        assert!(!users.exists("k").await.unwrap());
        assert!(!users.expire("k", HOUR).await.unwrap());
        provider.close().await;
    }
    let (_provider, cache) = disk.open().await;
    let users = cache.namespace("users");
    users.set("k", "new").tag("t").await.unwrap();
    assert_eq!(text(&users, "k").await.as_deref(), Some("new"));
    assert_eq!(text(&cache, "other").await.as_deref(), Some("stays"));
}

#[tokio::test]
async fn what_was_hidden_by_its_key_stays_hidden() {
    hidden_after(async |cache: &Cache| cache.invalidate("k").await.unwrap()).await;
}

#[tokio::test]
async fn what_was_hidden_by_its_tag_stays_hidden() {
    hidden_after(async |cache: &Cache| cache.invalidate_tag("t").await.unwrap()).await;
}

#[tokio::test]
async fn what_was_hidden_by_a_pattern_stays_hidden() {
    hidden_after(async |cache: &Cache| cache.invalidate_pattern("?").await.unwrap()).await;
}

#[tokio::test]
async fn what_was_hidden_with_its_namespace_stays_hidden() {
    hidden_after(async |cache: &Cache| cache.clear().await.unwrap()).await;
}

#[tokio::test]
async fn what_was_hidden_by_a_floor_stays_hidden() {
    let disk = Disk::new();
    let caps = cache_core::log::Caps::DEFAULT.with(cache_core::log::Kind::Tag, 2);
    let (provider, cache) = opened(disk.builder().caps(caps)).await;
    cache.set("k", "old").tag("first").await.unwrap();
    for tag in ["first", "second", "third"] {
        cache.invalidate_tag(tag).await.unwrap();
    }
    provider.close().await;
    let (_provider, cache) = opened(disk.builder().caps(caps)).await;
    assert_eq!(text(&cache, "k").await, None);
    cache.set("k", "new").tag("first").await.unwrap();
    assert_eq!(text(&cache, "k").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn positions_go_on_where_the_earlier_run_ended() {
    let disk = Disk::new();
    let mut positions = Vec::new();
    for run in 0..3 {
        let (provider, cache) = disk.open().await;
        let key = run.to_string();
        cache.set(&key, "v").tag("t").await.unwrap();
        for earlier in 0..run {
            assert_eq!(
                text(&cache, &earlier.to_string()).await,
                None,
                "of run {earlier}"
            );
        }
        assert!(text(&cache, &key).await.is_some());
        cache.invalidate_tag("t").await.unwrap();
        positions.push(cache_core::Provider::log(&provider).stamp());
        provider.close().await;
    }
    let sequences: Vec<_> = positions.iter().map(|stamp| stamp.sequence()).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert!(
        positions
            .iter()
            .all(|stamp| stamp.incarnation() == positions[0].incarnation())
    );
}

#[tokio::test]
async fn counters_go_on_counting() {
    let disk = Disk::new();
    for run in 1..=3 {
        let (provider, cache) = disk.open().await;
        let options = EntryOptions::new().ttl(Ttl::Never);
        assert_eq!(cache.increment_with("n", 1, options).await.unwrap(), run);
        provider.close().await;
    }
}

#[tokio::test]
async fn what_has_expired_between_two_runs_is_gone() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    cache.set("k", "v").ttl(HOUR).await.unwrap();
    cache
        .increment_with("n", 1, EntryOptions::new().ttl(HOUR))
        .await
        .unwrap();
    provider.close().await;
    disk.clock.advance(HOUR);
    let (_provider, cache) = disk.open().await;
    assert_eq!(text(&cache, "k").await, None);
    assert_eq!(cache.increment("n", 1).await.unwrap(), 1);
}
