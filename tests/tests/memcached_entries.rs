//! Entries on memcached: what one command does, and what others do in between.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::{Lease, Leased, Slot};
use cache_core::{
    Cache, EntryId, EntryOptions, ErrorKind, Invalidated, ManualClock, MemcachedProvider,
    MemoryTier, Provider, Ttl,
};
use cache_tests::memcached_node::{
    LOG, build, cache, entry, key, lead, node, patient, quiet_node, shown,
};
use cache_tests::memcached_server::MemcachedServer;

const MINUTE: Duration = Duration::from_secs(60);

async fn left(cache: &Cache, key: &str) -> Duration {
    match cache.get_ttl(key).await.expect("the time to live") {
        Some(Ttl::After(left)) => left,
        other => panic!("a span was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_is_invalidated_is_hidden_from_every_later_read_on_every_node() {
    let server = MemcachedServer::start();
    let (one, two) = (quiet_node(&server).await, quiet_node(&server).await);
    let key = key("k");
    for record in [
        Record::Key(key.as_str().into()),
        Record::Tag("t".into()),
        Record::Pattern("cache:n:*".into()),
        Record::All("cache:n".into()),
        Record::All("cache:".into()),
    ] {
        one.set(vec![(&key, entry(&one, "old"))]).await.unwrap();
        assert_eq!(shown(&two, &key).await.as_deref(), Some("old"));
        one.invalidate(std::slice::from_ref(&record)).await.unwrap();
        // It has no heartbeat: the read itself asks.
        assert_eq!(shown(&two, &key).await, None, "{record:?}");
    }
}

/// The right to store in the place of what stands there.
async fn beside(node: &MemcachedProvider, key: &str, seen: EntryId) -> Lease {
    match node.lease_beside(key, seen, node.log().stamp()).await {
        Ok(Leased::Lease(lease)) => lease,
        other => panic!("a lease was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_load_beside_an_entry_leaves_it_there_and_stores_in_its_place_alone() {
    let server = MemcachedServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for act in 0..5 {
        let key = key(&format!("k{act}"));
        let old = entry(&one, "old");
        one.set(vec![(&key, Arc::clone(&old))]).await.unwrap();
        let lease = beside(&one, &key, old.meta().id).await;
        assert!(one.renew(&key, lease).await.unwrap());
        assert_eq!(shown(&two, &key).await.as_deref(), Some("old"));
        match act {
            0 => {}
            1 => drop(two.invalidate(&[Record::Key(key.as_str().into())]).await),
            2 => two.set(vec![(&key, entry(&two, "new"))]).await.unwrap(),
            3 => assert!(two.expire(&key, Some(MINUTE)).await.unwrap()),
            _ => assert_eq!(server.cli(&format!("md {key}")), "HD"),
        }
        let filled = one.fill(&key, entry(&one, "loaded"), lease).await;
        assert_eq!(filled.unwrap(), act == 0, "act {act}");
    }
}

#[tokio::test]
async fn a_load_beside_an_entry_that_is_given_up_leaves_the_entry() {
    let server = MemcachedServer::start();
    let one = node(&server).await;
    let (key, old) = (key("k"), entry(&one, "old"));
    one.set(vec![(&key, Arc::clone(&old))]).await.unwrap();
    let lease = beside(&one, &key, old.meta().id).await;
    one.release(&key, lease);
    let (other, fresh) = (self::key("other"), entry(&one, "x"));
    // Sent behind what the release has sent, if it sends anything.
    for _ in 0..20 {
        tokio::task::yield_now().await;
        one.set(vec![(&other, Arc::clone(&fresh))]).await.unwrap();
    }
    assert_eq!(shown(&one, &key).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_lease_that_was_voided_evicted_or_overwritten_takes_no_value() {
    let server = MemcachedServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for act in 0..4 {
        let key = key(&format!("k{act}"));
        let lease = lead(&one, &key).await;
        match act {
            0 => drop(two.invalidate(&[Record::Key(key.as_str().into())]).await),
            1 => two.set(vec![(&key, entry(&two, "new"))]).await.unwrap(),
            2 => assert_eq!(server.cli(&format!("md {key}")), "HD"),
            _ => assert!(two.increment(&key, 1, entry(&two, "")).await.is_ok()),
        }
        let filled = one.fill(&key, entry(&one, "old"), lease).await;
        assert!(!filled.unwrap(), "act {act}");
    }
}

#[tokio::test]
async fn of_two_who_load_the_first_to_end_stores_and_the_lease_is_renewed_for_both() {
    let server = MemcachedServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("k");
    let lease = lead(&one, &key).await;
    let joined = match two.lease(&key, None, two.log().stamp()).await.unwrap() {
        Leased::Standing(standing) => standing,
        other => panic!("the lease of the other was expected, not {other:?}"),
    };
    assert_eq!(joined.token, lease.token);
    assert!(one.renew(&key, lease).await.unwrap());
    assert!(two.renew(&key, joined).await.unwrap());
    assert!(two.fill(&key, entry(&two, "two"), joined).await.unwrap());
    assert!(!one.fill(&key, entry(&one, "one"), lease).await.unwrap());
    assert!(!one.renew(&key, lease).await.unwrap());
    assert_eq!(shown(&one, &key).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn a_lease_of_a_load_that_is_worth_nothing_makes_way() {
    let server = MemcachedServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("k");
    let old = lead(&one, &key).await;
    two.invalidate(&[Record::All("cache:n".into())])
        .await
        .unwrap();
    let new = lead(&two, &key).await;
    assert_ne!(old.token, new.token);
    assert!(!one.fill(&key, entry(&one, "old"), old).await.unwrap());
    assert!(two.fill(&key, entry(&two, "new"), new).await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_gone_and_nothing_else() {
    let server = MemcachedServer::start();
    let one = node(&server).await;
    let (leased, written) = (key("leased"), key("written"));
    let leases = (lead(&one, &leased).await, lead(&one, &written).await);
    one.set(vec![(&written, entry(&one, "new"))]).await.unwrap();
    one.release(&leased, leases.0);
    one.release(&written, leases.1);
    let gone = async || matches!(one.get(&[&leased]).await.unwrap()[..], [Slot::Empty]);
    while !gone().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&one, &written).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn keys_of_any_length_and_kind_are_kept_apart() {
    let server = MemcachedServer::start();
    let one = node(&server).await;
    let long = "x".repeat(1_000);
    let keys = [
        "with space",
        "with\r\nline",
        "with\0nul",
        "é",
        "with_space",
        "noreply 0 0 0\r\nx\r\n",
        &long,
        &long[1..],
        &format!("{long}y"),
    ];
    let keys: Vec<_> = keys.iter().map(|name| key(name)).collect();
    let entries = keys.iter().map(|key| (key.as_str(), entry(&one, key)));
    one.set(entries.collect()).await.unwrap();
    for key in &keys {
        assert_eq!(shown(&one, key).await.as_ref(), Some(key));
        let name = one.inspect(&[key]).await.unwrap().remove(0);
        assert!(name.is_some(), "{key:?}");
    }
    one.invalidate(&[Record::Key(keys[0].as_str().into())])
        .await
        .unwrap();
    assert_eq!(shown(&one, &keys[0]).await, None);
    assert_eq!(shown(&one, &keys[4]).await.as_ref(), Some(&keys[4]));
}

#[tokio::test]
async fn a_key_that_is_given_the_name_of_another_one_is_not_taken_for_it() {
    let server = MemcachedServer::start();
    let one = node(&server).await;
    let odd = key("a b");
    one.set(vec![(&odd, entry(&one, "odd"))]).await.unwrap();
    // Behind the `#` is what `printf 'cache:n:a b' | sha256sum` says.
    let name = "cache:n:a_b#5cd009950324eb83a7f734c568944c83d94902c2c6c4abddba4b0fd6faed38cf";
    assert!(server.item(name).is_some());
    assert!(matches!(
        one.get(&[name]).await.unwrap()[..],
        [Slot::Damaged]
    ));
    one.set(vec![(name, entry(&one, "plain"))]).await.unwrap();
    assert!(matches!(
        one.get(&[&odd]).await.unwrap()[..],
        [Slot::Damaged]
    ));
    assert_eq!(shown(&one, name).await.as_deref(), Some("plain"));
}

#[tokio::test]
async fn what_is_not_ours_or_damaged_makes_way() {
    let server = MemcachedServer::start();
    let one = node(&server).await;
    let key = key("k");
    for bytes in ["x", "", "\u{CA}che\u{1}e"] {
        let put = format!("ms {key} {}\r\n{bytes}", bytes.len());
        assert_eq!(server.cli(&put), "HD");
        assert!(matches!(
            one.get(&[&key]).await.unwrap()[..],
            [Slot::Damaged]
        ));
        assert!(one.inspect(&[&key]).await.unwrap()[0].is_none());
        let lease = lead(&one, &key).await;
        assert!(one.fill(&key, entry(&one, "ours"), lease).await.unwrap());
        assert_eq!(shown(&one, &key).await.as_deref(), Some("ours"));
    }
}

#[tokio::test]
async fn a_time_to_live_of_any_length_is_kept_to_the_millisecond() {
    let server = MemcachedServer::start();
    let manual = ManualClock::new();
    let far = MINUTE * 10;
    let one = patient(server.url()).clock(manual.clock()).touch_bound(far);
    let one = build(one).await;
    let cache = cache(one);
    let days = |days: u64| Duration::from_secs(86_400 * days);
    for (name, ttl) in [
        ("short", MINUTE),
        ("month", days(30)),
        ("years", days(4_000)),
    ] {
        cache.set(name, "v").ttl(ttl).await.unwrap();
        let left = left(&cache, name).await;
        assert!(ttl - left < Duration::from_millis(2), "{name}: {left:?}");
    }
    manual.advance(MINUTE - Duration::from_millis(2));
    assert!(cache.exists("short").await.unwrap());
    manual.advance(Duration::from_millis(2));
    assert!(!cache.exists("short").await.unwrap());
    assert_eq!(cache.get::<String>("short").await.unwrap(), None);
    assert!(cache.exists("month").await.unwrap() && cache.exists("years").await.unwrap());
}

#[tokio::test]
async fn a_value_that_is_too_large_is_an_error_of_set_and_computed_otherwise() {
    let server = MemcachedServer::start();
    let cache = cache(node(&server).await);
    let large = "x".repeat(2 << 20);
    cache.set("k", "small").await.unwrap();
    let error = cache.set("k", &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.to_string().contains("-I"), "{error}");
    assert_eq!(
        cache.get::<String>("k").await.unwrap(),
        None,
        "not the old one"
    );
    for _ in 0..2 {
        let loaded = cache
            .get_or_set("k", async || Ok::<_, ()>(large.clone()))
            .await;
        assert_eq!(loaded.unwrap(), large);
    }
    cache.set("k", "small").await.unwrap();
    assert_eq!(
        cache.get::<String>("k").await.unwrap().as_deref(),
        Some("small")
    );
}

#[tokio::test]
async fn a_memory_tier_in_front_is_refused_with_the_reason() {
    let server = MemcachedServer::start();
    let builder = Cache::builder(node(&server).await).memory_tier(MemoryTier::new());
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().contains("does not tell what has changed"),
        "{error}"
    );
}

#[tokio::test]
async fn what_lists_keys_is_unsupported_and_hides_nothing() {
    let server = MemcachedServer::start();
    let cache = cache(node(&server).await);
    cache.set("k", "v").await.unwrap();
    let error = cache.delete_by_pattern("*").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("invalidate_pattern"), "{error}");
    assert!(cache.exists("k").await.unwrap());
    let applied = cache.invalidate_pattern("*").await.unwrap();
    assert_eq!(applied, Invalidated::Applied);
    assert!(!cache.exists("k").await.unwrap());
}

#[tokio::test]
async fn increments_of_many_tasks_in_two_processes_all_count() {
    let server = MemcachedServer::start();
    let caches = [cache(node(&server).await), cache(node(&server).await)];
    let tasks = (0..20).map(|task: usize| {
        let cache = caches[task % 2].clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                cache.increment("n", 1).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(caches[0].get::<i64>("n").await.unwrap(), Some(2_000));
}

#[tokio::test]
async fn a_counter_begins_anew_where_the_old_one_is_hidden_and_keeps_its_end() {
    let server = MemcachedServer::start();
    let (one, two) = (
        cache(quiet_node(&server).await),
        cache(quiet_node(&server).await),
    );
    let options = EntryOptions::new().ttl(MINUTE).tag("t");
    assert_eq!(one.increment_with("n", 5, options).await.unwrap(), 5);
    assert_eq!(two.increment("n", 1).await.unwrap(), 6);
    assert!(left(&two, "n").await <= MINUTE);
    two.invalidate_tag("t").await.unwrap();
    assert_eq!(one.increment("n", 1).await.unwrap(), 1);
    assert!(one.expire("n", None).await.unwrap());
    assert_eq!(two.get_ttl("n").await.unwrap(), Some(Ttl::Never));
}

#[tokio::test]
async fn the_log_is_one_item_and_two_deployments_have_one_each() {
    let server = MemcachedServer::start();
    let one = cache(node(&server).await);
    let other = build(patient(server.url()).key_prefix("other")).await;
    let other = cache(other);
    one.set("k", "one").tag("t").await.unwrap();
    other.set("k", "other").tag("t").await.unwrap();
    one.invalidate_tag("t").await.unwrap();
    assert_eq!(one.get::<String>("k").await.unwrap(), None);
    assert_eq!(
        other.get::<String>("k").await.unwrap().as_deref(),
        Some("other")
    );
    assert!(server.item(LOG).is_some() && server.item("{other}:log").is_some());
}

#[tokio::test]
async fn hundreds_who_set_one_key_at_once_all_do() {
    let server = MemcachedServer::start();
    let cache = cache(node(&server).await);
    let set = |number: u32| {
        let cache = cache.clone();
        tokio::spawn(async move { cache.set("k", &number).await })
    };
    let sets: Vec<_> = (0..600).map(set).collect();
    for set in sets {
        set.await.unwrap().unwrap();
    }
    assert!(cache.get::<u32>("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_that_the_server_cannot_count_is_refused() {
    let server = MemcachedServer::start();
    let builder = patient(server.url()).lease_ttl(Duration::from_millis(999));
    let error = builder.build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}
