//! The read engine on the memory provider: one load, no hang, nothing for the wrong question.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::engine::{Followed, Published, Turn};
use cache_core::testkit::{Gate, eventually, followers};
use cache_core::{Cache, EntryOptions, ErrorKind, Local, MemoryProvider, Owner};

const KEY: &str = "k";

fn patient(wait: Duration) -> Cache {
    Cache::builder(MemoryProvider::new())
        .flight_wait(wait)
        .build()
        .unwrap()
}

async fn ok<T>(value: T) -> Result<T, Infallible> {
    Ok(value)
}

/// Polls a future once, as a `select!` does that then looks elsewhere.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_of_a_cold_key_cause_one_load() {
    let cache = Cache::memory();
    let loads = Arc::new(AtomicUsize::new(0));
    let (gate, held) = Gate::new();
    let call = || {
        let (cache, loads, held) = (cache.clone(), Arc::clone(&loads), held.clone());
        tokio::spawn(async move {
            let load = || async {
                loads.fetch_add(1, Ordering::SeqCst);
                held.pass().await;
                Ok::<_, Infallible>(42)
            };
            cache.get_or_set(KEY, load).await
        })
    };
    let callers: Vec<_> = (0..1_000).map(|_| call()).collect();
    eventually("all others wait", || followers(&cache, KEY) == 999).await;
    gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(42));
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    let metrics = cache.metrics();
    assert_eq!((metrics.hits, metrics.misses), (999, 1));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_asks_for_its_own_key_runs_unshared() {
    let cache = patient(Duration::from_secs(3_600));
    let start = tokio::time::Instant::now();
    let outer = cache
        .get_or_set(KEY, || async {
            let inner = cache.get_or_set(KEY, || ok(1)).await?;
            Ok::<_, Infallible>(inner + 1)
        })
        .await;
    assert_eq!(outer, Ok(2));
    assert_eq!(start.elapsed(), Duration::ZERO, "it waited for nobody");
    assert_eq!(cache.get::<i32>(KEY).await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn two_loads_that_wait_for_each_other_both_finish() {
    let cache = patient(Duration::from_secs(3_600));
    let start = tokio::time::Instant::now();
    let both = tokio::sync::Barrier::new(2);
    let crossed = |mine: &'static str, other: &'static str| {
        let (cache, both) = (cache.clone(), &both);
        async move {
            cache
                .get_or_set(mine, || async {
                    both.wait().await;
                    cache.get_or_set(other, || ok(1)).await.map(|n| n + 1)
                })
                .await
        }
    };
    let (a, b) = tokio::join!(crossed("a", "b"), crossed("b", "a"));
    assert_eq!(
        (a.unwrap().min(3), b.unwrap().min(3)),
        (2, 3),
        "one went alone"
    );
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "no wait ran into its limit"
    );
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_three_loads_is_broken_too() {
    let cache = patient(Duration::from_secs(3_600));
    let start = tokio::time::Instant::now();
    let all = tokio::sync::Barrier::new(3);
    let crossed = |mine: &'static str, other: &'static str| {
        let (cache, all) = (cache.clone(), &all);
        async move {
            cache
                .get_or_set(mine, || async {
                    all.wait().await;
                    cache.get_or_set(other, || ok(1)).await
                })
                .await
        }
    };
    let (a, b, c) = tokio::join!(crossed("a", "b"), crossed("b", "c"), crossed("c", "a"));
    assert_eq!((a, b, c), (Ok(1), Ok(1), Ok(1)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_not_polled_holds_nobody_longer_than_flight_wait() {
    let wait = Duration::from_secs(5);
    let cache = patient(wait);
    let leader = cache.get_or_set(KEY, || async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(1)
    });
    let mut leader = std::pin::pin!(leader);
    assert!(
        !poll_once(leader.as_mut()).await,
        "it leads, and is left alone"
    );

    let start = tokio::time::Instant::now();
    assert_eq!(cache.get_or_set(KEY, || ok(2)).await, Ok(2));
    assert_eq!(start.elapsed(), wait);
    assert_eq!(leader.await, Ok(1), "when it is polled again it goes on");
}

#[tokio::test]
async fn when_the_leader_is_dropped_one_who_waits_takes_over() {
    let cache = Cache::memory();
    let (gate, held) = Gate::new();
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async {
                held.pass().await;
                Ok::<_, Infallible>(0)
            };
            cache.get_or_set(KEY, load).await
        }
    });
    gate.entered().await;
    let loads = Arc::new(AtomicUsize::new(0));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = || async {
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>(loads.fetch_add(1, Ordering::SeqCst) + 1)
                };
                cache.get_or_set(KEY, load).await
            })
        })
        .collect();
    eventually("ten wait", || followers(&cache, KEY) == 10).await;
    leader.abort();
    for follower in waiting {
        assert_eq!(follower.await.unwrap(), Ok(1));
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1, "one of them took over");
}

#[tokio::test]
async fn a_loader_that_panics_leaves_nothing_locked() {
    let cache = Cache::memory();
    let panicking = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async { panic!("in the loader") };
            cache.get_or_set::<i32, Infallible, _, _>(KEY, load).await
        }
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(cache.get_or_set(KEY, || ok(1)).await, Ok(1));
    assert_eq!(cache.get::<i32>(KEY).await.unwrap(), Some(1));
}

#[tokio::test]
async fn after_an_error_every_waiting_caller_runs_its_own_load_at_once() {
    let cache = patient(Duration::from_secs(3_600));
    let (gate, held) = Gate::new();
    let leader = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = || async {
                held.pass().await;
                Err::<i32, _>("no database")
            };
            cache.get_or_set(KEY, load).await
        }
    });
    gate.entered().await;
    let all = Arc::new(tokio::sync::Barrier::new(5));
    let waiting: Vec<_> = (0..5)
        .map(|n| {
            let (cache, all) = (cache.clone(), Arc::clone(&all));
            tokio::spawn(async move {
                let load = || async {
                    // Passed only if all five loads run at the same time.
                    all.wait().await;
                    Ok::<_, &str>(n)
                };
                cache.get_or_set(KEY, load).await
            })
        })
        .collect();
    eventually("five wait", || followers(&cache, KEY) == 5).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), Err("no database"));
    for (n, follower) in waiting.into_iter().enumerate() {
        assert_eq!(follower.await.unwrap(), Ok(n));
    }
    assert_eq!(
        cache.get::<i32>(KEY).await.unwrap(),
        None,
        "nothing is stored"
    );
}

#[tokio::test]
async fn a_follower_whose_tag_was_invalidated_before_it_came_does_not_take_the_value() {
    let cache = Cache::memory();
    let owner = Owner::HANDLE;
    // The leader does not say beforehand that the value will carry the tag.
    let Turn::Lead(ticket) = cache.turn(KEY, owner, &EntryOptions::new()).await else {
        panic!("the key is cold");
    };
    let Turn::Follow(early) = cache.turn(KEY, owner, &EntryOptions::new()).await else {
        panic!("it is being loaded");
    };
    cache.invalidate_tag("t").await.unwrap();
    let Turn::Follow(late) = cache.turn(KEY, owner, &EntryOptions::new()).await else {
        panic!("nothing is known of its tags yet");
    };
    let published = ticket.publish(1, EntryOptions::new().tag("t")).await;
    assert_eq!(published, Published::Stored);
    assert!(matches!(early.wait().await, Followed::Value(_)));
    assert!(matches!(late.wait().await, Followed::Again));
    assert_eq!(
        cache.get::<i32>(KEY).await.unwrap(),
        None,
        "stored, but hidden"
    );
}

#[tokio::test]
async fn owners_never_see_each_others_values() {
    let cache = Cache::memory();
    let (mine, yours) = (Owner::of("mine"), Owner::of("yours"));
    let Turn::Lead(ticket) = cache.turn(KEY, mine, &EntryOptions::new()).await else {
        panic!("the key is cold");
    };
    let other = cache.turn(KEY, yours, &EntryOptions::new()).await;
    assert!(matches!(other, Turn::Alone), "a flight has an owner");
    ticket.publish(1, EntryOptions::new()).await;
    assert!(cache.peek(KEY, mine).is_some());
    assert!(cache.peek(KEY, yours).is_none());
    assert_eq!(cache.get::<i32>(KEY).await.unwrap(), None);
    assert_eq!(cache.metrics().wrong_owner, 2);
}

#[tokio::test]
async fn a_value_that_does_not_fit_the_question_is_a_miss_and_is_replaced() {
    let cache = Cache::memory();
    cache.set(KEY, "text").await.unwrap();
    assert_eq!(cache.get::<u32>(KEY).await.unwrap(), None);
    assert_eq!((cache.metrics().hits, cache.metrics().damaged), (0, 1));
    assert_eq!(cache.get_or_set(KEY, || ok(7_u32)).await, Ok(7));
    assert_eq!((cache.metrics().hits, cache.metrics().damaged), (0, 2));
    assert_eq!(cache.get::<u32>(KEY).await.unwrap(), Some(7));
    assert_eq!((cache.metrics().hits, cache.metrics().misses), (1, 2));
}

#[tokio::test]
async fn a_key_that_cannot_be_is_an_error_or_a_computed_value() {
    let cache = Cache::memory();
    for key in [String::new(), "x".repeat(1_025)] {
        let error = cache.get::<i32>(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert!(cache.set(&key, &1).await.is_err());
        assert_eq!(cache.get_or_set(&key, || ok(1)).await, Ok(1));
    }
    assert_eq!(cache.metrics().bypassed, 2);
    assert_eq!(cache.metrics().errors, 2);
}

#[tokio::test]
async fn tags_that_cannot_be_leave_the_value_computed() {
    let cache = Cache::memory();
    let options = EntryOptions::new().tag("");
    assert_eq!(cache.get_or_set_with(KEY, options, || ok(1)).await, Ok(1));
    assert!(!cache.exists(KEY).await.unwrap());
    assert!(cache.set(KEY, &1).tag("").await.is_err());
}

#[tokio::test]
async fn a_value_whose_drop_calls_the_cache_locks_nothing_up() {
    #[derive(Clone)]
    struct Nosy(Cache);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = self.0.peek(KEY, Owner::HANDLE);
            let set = std::pin::pin!(async { self.0.set("other", &1).await });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(set.poll(&mut context).is_ready());
        }
    }
    let cache = Cache::memory();
    for _ in 0..3 {
        cache.set(KEY, &Local(Nosy(cache.clone()))).await.unwrap();
    }
    cache.invalidate(KEY).await.unwrap();
    assert_eq!(cache.get::<i32>("other").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_value_whose_drop_writes_to_the_cache_can_be_evicted_by_a_read() {
    const ENTRIES: usize = 10_000;
    #[derive(Clone)]
    struct Nosy(Cache, Arc<AtomicUsize>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let dropped = self.1.fetch_add(1, Ordering::SeqCst);
            if dropped > ENTRIES {
                return;
            }
            let key = format!("dropped {dropped}");
            let set = std::pin::pin!(async { self.0.set(&key, &1).await });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(set.poll(&mut context).is_ready());
        }
    }
    let provider = MemoryProvider::builder().max_bytes(1 << 20).build();
    let cache = Cache::builder(provider).build().unwrap();
    let dropped = Arc::new(AtomicUsize::new(0));
    for entry in 0..ENTRIES {
        let value = Local(Nosy(cache.clone(), Arc::clone(&dropped)));
        // The copy that is stored is the only one that counts.
        let value = std::mem::ManuallyDrop::new(value);
        cache.set(&entry.to_string(), &*value).await.unwrap();
        for back in 0..4 {
            let key = entry.saturating_sub(back).to_string();
            let _ = cache.peek(&key, Owner::HANDLE);
        }
    }
    assert_ne!(dropped.load(Ordering::SeqCst), 0, "some were evicted");
}

#[tokio::test]
async fn however_many_leaders_give_up_one_load_runs_at_a_time() {
    const CALLERS: usize = 30;
    let cache = patient(Duration::from_secs(3_600));
    let (gate, held) = Gate::new();
    let (leaders, mut led) = tokio::sync::mpsc::unbounded_channel();
    let running = Arc::new(AtomicUsize::new(0));
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (cache, held, leaders) = (cache.clone(), held.clone(), leaders.clone());
            let running = Arc::clone(&running);
            Some(tokio::spawn(async move {
                let load = || async {
                    let (_running, alone) = Running::begin(&running);
                    leaders.send(caller).unwrap();
                    held.pass().await;
                    Ok::<_, Infallible>(alone)
                };
                cache.get_or_set(KEY, load).await
            }))
        })
        .collect();
    for gone in 1..=20 {
        let leader = led.recv().await.unwrap();
        let waiting = CALLERS - gone;
        eventually("all others wait", || followers(&cache, KEY) == waiting).await;
        callers[leader].take().unwrap().abort();
    }
    gate.open();
    for caller in callers.into_iter().flatten() {
        assert_eq!(caller.await.unwrap(), Ok(true));
    }
}

/// Counts a load for as long as it runs.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(running: &Arc<AtomicUsize>) -> (Self, bool) {
        let alone = running.fetch_add(1, Ordering::SeqCst) == 0;
        (Self(Arc::clone(running)), alone)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_again_once_flight_wait_is_over() {
    let wait = Duration::from_secs(5);
    let cache = patient(wait);
    let none = EntryOptions::new();
    let Turn::Lead(leader) = cache.turn(KEY, Owner::HANDLE, &none).await else {
        panic!("the key is cold");
    };
    let Turn::Follow(follower) = cache.turn(KEY, Owner::HANDLE, &none).await else {
        panic!("it is being loaded");
    };
    tokio::time::advance(wait).await;
    drop(leader);
    assert!(matches!(follower.wait().await, Followed::Alone));
}

#[tokio::test]
async fn a_wait_can_be_as_long_as_durations_get() {
    let cache = patient(Duration::MAX);
    assert_eq!(cache.get_or_set(KEY, || ok(1)).await, Ok(1));
    cache.set(KEY, &2).ttl(Duration::MAX).await.unwrap();
    assert_eq!(cache.get_or_set(KEY, || ok(1)).await, Ok(2));
}

#[test]
fn outside_a_runtime_nobody_is_waited_for() {
    let cache = Cache::memory();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let leader = cache.get_or_set(KEY, std::future::pending::<Result<i32, Infallible>>);
    let mut leader = std::pin::pin!(leader);
    assert!(leader.as_mut().poll(&mut context).is_pending());
    let follower = std::pin::pin!(cache.get_or_set(KEY, || ok(2)));
    assert_eq!(follower.poll(&mut context), std::task::Poll::Ready(Ok(2)));
}

#[tokio::test]
async fn a_failure_from_before_an_invalidation_is_not_told_to_who_came_after_it() {
    let cache = Cache::memory();
    let none = EntryOptions::new();
    let Turn::Lead(ticket) = cache.turn(KEY, Owner::HANDLE, &none).await else {
        panic!("the key is cold");
    };
    let Turn::Follow(early) = cache.turn(KEY, Owner::HANDLE, &none).await else {
        panic!("it is being loaded");
    };
    cache.invalidate_tag("t").await.unwrap();
    let Turn::Follow(late) = cache.turn(KEY, Owner::HANDLE, &none).await else {
        panic!("nothing is known of its tags yet");
    };
    ticket.fail(Arc::new("not found"));
    assert!(matches!(early.wait().await, Followed::Failed(_)));
    assert!(matches!(late.wait().await, Followed::Alone));
}

#[tokio::test]
async fn memory_stays_within_its_bound_whatever_json_thinks_of_the_values() {
    let provider = MemoryProvider::builder().max_bytes(1 << 16).build();
    let cache = Cache::builder(provider).build().unwrap();
    let value = || Arc::new(vec![0_u8; 1 << 14]);
    for entry in 0..300_u32 {
        // JSON has texts for keys alone.
        let map = std::collections::HashMap::from([((entry, entry), value().to_vec())]);
        cache.set(&format!("map {entry}"), &map).await.unwrap();
        let local = Local::weighing(value(), 1 << 14);
        cache.set(&format!("local {entry}"), &local).await.unwrap();
    }
    let mut kept = 0;
    let mut keys = cache.scan_keys("*", 1_000).unwrap();
    while let Some(page) = keys.next_page().await.unwrap() {
        kept += page.len();
    }
    // moka evicts a little later than it stores.
    assert!(kept <= 150, "{kept} entries of a quarter of the bound each");
}
