//! One upstream request for many, and no queue where there is nothing to share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::Cache;
use cache_core::testkit::{Gate, Held, eventually, followers};
use cache_tower::CacheLayer;
use http::StatusCode;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tower::{Layer, ServiceExt};

use crate::support::*;

/// A service that stands at a gate before it gives its numbered answer.
fn held(fields: &'static [(&'static str, &'static str)]) -> (Gate, Origin, Calls) {
    let (gate, held) = Gate::new();
    let (answers, calls) = numbered(fields);
    let (origin, _) = origin(move |request| {
        let (held, answers) = (held.clone(), answers.clone());
        async move {
            let answer = answers.oneshot(request);
            held.pass().await;
            answer.await
        }
    });
    (gate, origin, calls)
}

fn spawn_get(site: &Site) -> JoinHandle<String> {
    let site = site.clone();
    tokio::spawn(async move { get_text(&site, "/a").await })
}

/// So many callers, all of whom wait for the first.
async fn followed_by(site: &Site, layer: &CacheLayer, count: usize) -> Vec<JoinHandle<String>> {
    let callers = (0..count).map(|_| spawn_get(site)).collect();
    let all_wait = || followers(layer.cache(), &key("/a")) == count;
    eventually("all wait for the first", all_wait).await;
    callers
}

#[tokio::test]
async fn fifty_callers_ask_the_service_once() {
    let (gate, origin, calls) = held(&[]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    let leader = spawn_get(&site);
    gate.entered().await;
    let callers = followed_by(&site, &layer, 49).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), "answer 1");
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "answer 1");
    }
    assert_eq!(calls.count(), 1);
    assert!(is_hit(&get(&site, "/a").await));
}

#[tokio::test]
async fn a_follower_is_told_that_its_answer_was_shared() {
    let (gate, origin, _) = held(&[]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    let _leader = spawn_get(&site);
    gate.entered().await;
    let follower = tokio::spawn({
        let site = site.clone();
        async move { get(&site, "/a").await }
    });
    eventually("it waits", || followers(layer.cache(), &key("/a")) == 1).await;
    gate.open();
    let answer = follower.await.unwrap();
    let shared = ["cache-core; fwd=miss; collapsed", "cache-core; hit; ttl=59"];
    assert!(shared.contains(&status(&answer)), "{}", status(&answer));
}

#[tokio::test]
async fn followers_get_the_answer_when_the_leaders_client_has_gone() {
    let (gate, origin, calls) = held(&[]);
    let layer = layer(rule());
    let site = layer.layer(origin);
    let leader = spawn_get(&site);
    gate.entered().await;
    let callers = followed_by(&site, &layer, 3).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "answer 1");
    }
    assert_eq!(calls.count(), 1);
}

/// A service that never answers, its calls, and how many of them have been given up.
fn silent() -> (Origin, Calls, Arc<AtomicUsize>) {
    struct GivenUp(Arc<AtomicUsize>);
    impl Drop for GivenUp {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let given_up = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&given_up);
    let (origin, calls) = origin(move |_| {
        let call = GivenUp(Arc::clone(&counter));
        async move {
            let _call = call;
            std::future::pending().await
        }
    });
    (origin, calls, given_up)
}

/// Asks, and goes away after a second.
async fn ask_and_go(site: &Site, uri: &str) {
    let asked = tokio::time::timeout(Duration::from_secs(1), get(site, uri));
    assert!(asked.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_waits_for_is_given_up() {
    let (origin, calls, given_up) = silent();
    let site = site(rule(), origin);
    ask_and_go(&site, "/a").await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(given_up.load(Ordering::SeqCst), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((given_up.load(Ordering::SeqCst), calls.count()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_others_wait_for_is_not_given_up() {
    let (origin, calls, given_up) = silent();
    let layer = CacheLayer::builder(patient()).rule(rule()).build().unwrap();
    let site = layer.layer(origin);
    ask_and_go(&site, "/a").await;
    let follower = spawn_get(&site);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!((given_up.load(Ordering::SeqCst), calls.count()), (0, 1));
    follower.abort();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(given_up.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_go_on_for_nobody() {
    let (origin, calls, given_up) = silent();
    let site = site(rule(), origin);
    let clients: Vec<_> = (0..1_003)
        .map(|page| {
            let site = site.clone();
            tokio::spawn(async move { ask_and_go(&site, &format!("/{page}")).await })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((given_up.load(Ordering::SeqCst), calls.count()), (3, 1_003));
}

#[tokio::test(start_paused = true)]
async fn a_page_inside_a_load_does_not_wait_for_that_load() {
    let cache = Cache::memory();
    let functions = cache.clone();
    let (origin, _) = origin(move |_| {
        let functions = functions.clone();
        async move {
            let load = async || Ok::<_, cache_core::Error>("inner".to_owned());
            let text = functions.get_or_set("key", load).await.unwrap();
            Ok(with_fields(text, &[]))
        }
    });
    let layer = CacheLayer::builder(cache.clone()).rule(rule());
    let site = layer.build().unwrap().layer(origin);
    let began = tokio::time::Instant::now();
    let load = async || Ok::<_, cache_core::Error>(get_text(&site, "/a").await);
    assert_eq!(cache.get_or_set("key", load).await.unwrap(), "inner");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn what_is_for_one_alone_is_not_handed_to_those_who_waited() {
    for fields in [
        &[("set-cookie", "id=alice")],
        &[("cache-control", "private")],
        &[("cache-control", "no-store")],
        &[("vary", "*")],
    ] {
        let (gate, origin, calls) = held(fields);
        let layer = layer(rule());
        let site = layer.layer(origin);
        let leader = spawn_get(&site);
        gate.entered().await;
        let callers = followed_by(&site, &layer, 5).await;
        gate.open();
        let mut answers = vec![leader.await.unwrap()];
        for caller in callers {
            answers.push(caller.await.unwrap());
        }
        answers.sort();
        answers.dedup();
        assert_eq!((answers.len(), calls.count()), (6, 6), "{fields:?}");
    }
}

#[tokio::test]
async fn callers_with_authorization_do_not_wait_for_each_other() {
    let barrier = Arc::new(Barrier::new(5));
    let (origin, _) = origin(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok(with_fields("page", &[]))
        }
    });
    let site = site(rule(), origin);
    let callers: Vec<_> = (0..5)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move {
                text(get_with(&site, "/a", &[("authorization", "x")]).await).await
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(soon(caller).await.unwrap(), "page");
    }
}

#[tokio::test]
async fn an_uncacheable_route_does_not_queue_its_callers() {
    // Each call but the first needs nine others beside it.
    let (barrier, first) = (Arc::new(Barrier::new(10)), Once::new());
    let (origin, _) = origin(move |_| {
        let (barrier, is_first) = (Arc::clone(&barrier), first.is_first());
        async move {
            if !is_first {
                barrier.wait().await;
            }
            Ok(with_fields("page", &[("cache-control", "private")]))
        }
    });
    let site = site(rule(), origin);
    get_text(&site, "/a").await;
    let callers: Vec<_> = (0..10).map(|_| spawn_get(&site)).collect();
    for caller in callers {
        assert_eq!(soon(caller).await.unwrap(), "page");
    }
}

#[tokio::test]
async fn a_route_is_shared_again_some_time_after_an_answer_for_one_alone() {
    let (cache, clock) = timed();
    let first = Once::new();
    let (origin, calls) = origin(move |_| {
        let says = if first.is_first() {
            "private"
        } else {
            "public"
        };
        async move { Ok(with_fields("page", &[("cache-control", says)])) }
    });
    let layer = CacheLayer::builder(cache).rule(rule()).build().unwrap();
    let site = layer.layer(origin);
    let first = get(&site, "/a").await;
    assert_eq!(status(&first), "cache-core; fwd=miss; detail=private");
    text(first).await;
    let marked = get(&site, "/a").await;
    assert_eq!(
        status(&marked),
        "cache-core; fwd=bypass; detail=hit-for-miss"
    );
    clock.advance(Duration::from_secs(10));
    assert_eq!(get_text(&site, "/a").await, "page");
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn an_error_of_a_moment_does_not_keep_the_route_from_being_shared() {
    let (answers, _) = numbered(&[]);
    let first = Once::new();
    let (origin, calls) = origin(move |request| {
        let fails = first.is_first();
        let answers = answers.clone();
        async move {
            if fails {
                return Ok(of_status(StatusCode::SERVICE_UNAVAILABLE));
            }
            answers.oneshot(request).await
        }
    });
    let site = site(rule(), origin);
    assert_eq!(
        get(&site, "/a").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get_text(&site, "/a").await, "answer 1");
    assert!(is_hit(&get(&site, "/a").await));
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn the_services_error_is_the_leaders_and_followers_ask_for_themselves() {
    let (gate, held) = Gate::new();
    let first = Once::new();
    let (origin, calls) = origin(move |_| {
        let held: Held = held.clone();
        let fails = first.is_first();
        async move {
            held.pass().await;
            if fails {
                Err(Broken)
            } else {
                Ok(with_fields("page", &[]))
            }
        }
    });
    let layer = layer(rule());
    let site = layer.layer(origin);
    let leader = tokio::spawn(site.clone().oneshot(request(http::Method::GET, "/a", &[])));
    gate.entered().await;
    let callers = followed_by(&site, &layer, 2).await;
    gate.open();
    assert_eq!(leader.await.unwrap().unwrap_err(), Broken);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "page");
    }
    assert_eq!(calls.count(), 3);
}

#[tokio::test]
async fn a_panic_of_the_service_is_its_callers_and_leaves_nothing_locked() {
    let first = Once::new();
    let (origin, _) = origin(move |_| {
        let panics = first.is_first();
        async move {
            assert!(!panics, "on purpose");
            Ok(with_fields("page", &[]))
        }
    });
    let site = site(rule(), origin);
    let fallen = spawn_get(&site).await.unwrap_err();
    let message = fallen.into_panic().downcast::<&str>().unwrap();
    assert_eq!(*message, "on purpose");
    assert_eq!(get_text(&site, "/a").await, "page");
    assert!(is_hit(&get(&site, "/a").await));
}
