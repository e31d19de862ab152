//! What is told of entries that nobody is reading.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use cache_core::provider::BoxFuture;
use cache_core::testkit::ChaosProvider;
use cache_core::{
    Cache, Event, Events, InvalidatedBy, MAX_EVENTS, ManualClock, MemoryProvider, MemoryTier,
};
use futures_util::FutureExt;

const HOUR: Duration = Duration::from_secs(3_600);

struct Bench {
    clock: ManualClock,
    cache: Cache,
}

fn bench() -> Bench {
    let clock = ManualClock::new();
    let provider = MemoryProvider::builder().clock(clock.clock()).build();
    let cache = Cache::builder(provider).build().unwrap();
    Bench { clock, cache }
}

async fn set(cache: &Cache, key: &str) {
    cache.set(key, "value").ttl(HOUR).tag("all").await.unwrap();
}

/// What has happened, in short.
fn told(events: &mut Events) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|event| match event {
            Event::Expired(it) => format!("expired {}/{}", it.namespace(), it.key()),
            Event::Evicted(it) => format!("evicted {}/{}", it.namespace(), it.key()),
            Event::Replaced(it) => format!("replaced {}/{}", it.namespace(), it.key()),
            Event::Removed(it) => format!("removed {}/{}", it.namespace(), it.key()),
            Event::Invalidated(by) => format!("invalidated {}", named(&by)),
            other => format!("{other:?}"),
        })
        .collect()
}

fn named(by: &InvalidatedBy) -> String {
    match by {
        InvalidatedBy::Key(it) => format!("key {}/{}", it.namespace(), it.key()),
        InvalidatedBy::Tag(tag) => format!("tag {tag}"),
        InvalidatedBy::Pattern(it) => format!("pattern {}/{}", it.namespace(), it.key()),
        InvalidatedBy::Namespace(name) => format!("namespace {name}"),
        _ => unreachable!("there is no other"),
    }
}

#[tokio::test]
async fn every_way_to_make_values_go_is_told_by_what_it_named() {
    let users = Cache::memory().namespace("users");
    let mut events = users.events();
    users.invalidate("a:1").await.unwrap();
    users.delete_many(&["b", "c"]).await.unwrap();
    users.invalidate_tag("team:7").await.unwrap();
    users.invalidate_pattern("list:*").await.unwrap();
    users.clear().await.unwrap();
    users.set("zero", "0").ttl(Duration::ZERO).await.unwrap();
    let expected = [
        "invalidated key users/a:1",
        "invalidated key users/b",
        "invalidated key users/c",
        "invalidated tag team:7",
        "invalidated pattern users/list:*",
        "invalidated namespace users",
        "invalidated key users/zero",
    ];
    assert_eq!(told(&mut events), expected);
}

#[tokio::test]
async fn an_entry_that_leaves_is_told_with_its_reason() {
    let bench = bench();
    let mut events = bench.cache.events();
    set(&bench.cache, "a").await;
    assert!(told(&mut events).is_empty(), "nothing has left");
    set(&bench.cache, "a").await;
    assert_eq!(told(&mut events), ["replaced /a"]);
    bench.cache.delete("a").await.unwrap();
    assert_eq!(told(&mut events), ["removed /a", "invalidated key /a"]);
    set(&bench.cache, "b").await;
    bench.clock.advance(HOUR);
    bench.cache.sweep().await.unwrap();
    assert_eq!(told(&mut events), ["expired /b"]);
    set(&bench.cache, "c").await;
    bench.cache.invalidate_tag("all").await.unwrap();
    assert_eq!(told(&mut events), ["invalidated tag all"]);
    set(&bench.cache, "c").await;
    assert_eq!(told(&mut events), ["removed /c"], "it was hidden by then");
}

#[tokio::test]
async fn what_makes_room_is_told_and_each_stored_entry_leaves_once() {
    let provider = MemoryProvider::builder().max_bytes(4_096).build();
    let cache = Cache::builder(provider).build().unwrap();
    let mut events = cache.events();
    for index in 0..64 {
        let key = (index % 48).to_string();
        cache.set(&key, &"x".repeat(512)).await.unwrap();
    }
    cache.sweep().await.unwrap();
    let left = told(&mut events);
    assert!(left.iter().any(|event| event.starts_with("evicted")));
    let stays = cache.usage().entries.unwrap() as usize;
    assert_eq!(left.len() + stays, 64);
    cache.clear().await.unwrap();
    cache.sweep().await.unwrap();
    assert_eq!(told(&mut events).len(), stays + 1);
}

#[tokio::test]
async fn a_namespace_is_told_of_itself_and_of_those_inside_it() {
    let root = Cache::memory();
    let users = root.namespace("users");
    let inner = users.namespace("admins");
    let mut events = users.events();
    root.invalidate("a").await.unwrap();
    root.namespace("usersx").invalidate("a").await.unwrap();
    root.namespace("other").clear().await.unwrap();
    root.namespace("other")
        .invalidate_pattern("a*")
        .await
        .unwrap();
    assert!(told(&mut events).is_empty());
    inner.invalidate("a").await.unwrap();
    inner.clear().await.unwrap();
    root.clear().await.unwrap();
    root.invalidate_tag("t").await.unwrap();
    let expected = [
        "invalidated key users/admins/a",
        "invalidated namespace users/admins",
        "invalidated namespace ",
        "invalidated tag t",
    ];
    assert_eq!(told(&mut events), expected);
}

#[tokio::test]
async fn who_reads_too_slowly_blocks_nobody_and_is_told_how_much_was_dropped() {
    let cache = Cache::memory();
    let mut slow = cache.events();
    let extra = 500;
    for _ in 0..MAX_EVENTS + extra {
        cache.invalidate("a").await.unwrap();
    }
    assert_eq!(slow.next().await, Some(Event::Lagged(extra as u64)));
    assert_eq!(told(&mut slow).len(), MAX_EVENTS);
    cache.invalidate("a").await.unwrap();
    assert_eq!(told(&mut slow).len(), 1, "it has caught up");
}

/// A reader whose waking calls the cache.
struct Calling {
    cache: Cache,
    woken: AtomicUsize,
}

impl Wake for Calling {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        let calls = async {
            set(&self.cache, "a").await;
            self.cache.invalidate_tag("other").await.unwrap();
            self.cache.delete("a").await.unwrap();
        };
        calls.now_or_never().expect("memory never waits");
    }
}

type Action = fn(&Cache) -> BoxFuture<'_, ()>;

const ACTIONS: [Action; 3] = [
    |cache| Box::pin(set(cache, "a")),
    |cache| {
        Box::pin(async {
            let _ = cache.invalidate_tag("all").await.unwrap();
        })
    },
    |cache| {
        Box::pin(async {
            let _ = cache.delete("a").await.unwrap();
        })
    },
];

async fn wake_a_reader_by(action: Action) {
    let cache = Cache::memory();
    set(&cache, "a").await;
    let calling = Arc::new(Calling {
        cache: cache.clone(),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&calling));
    let mut context = Context::from_waker(&waker);
    let mut events = cache.events();
    let mut next = pin!(events.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    action(&cache).await;
    assert_eq!(calling.woken.load(Ordering::SeqCst), 1);
    assert!(next.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn a_reader_that_calls_the_cache_when_it_is_woken_meets_no_lock() {
    for action in ACTIONS {
        // A thread of its own: one that meets a lock stands still for ever.
        let (done, is_done) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            wake_a_reader_by(action).now_or_never();
            done.send(())
        });
        let is_done = tokio::time::timeout(Duration::from_secs(20), is_done).await;
        is_done
            .expect("nobody stands still")
            .expect("nobody panics");
    }
}

#[tokio::test]
async fn a_callback_is_called_with_each_event_until_the_cache_is_gone() {
    let cache = Cache::memory();
    let mut called = Vec::new();
    let follows = cache.events().for_each(|event| called.push(event));
    cache.invalidate_tag("a").await.unwrap();
    cache.invalidate_tag("b").await.unwrap();
    drop(cache);
    follows.await;
    let tags = ["a", "b"].map(|tag| Event::Invalidated(InvalidatedBy::Tag(tag.into())));
    assert_eq!(called, tags);
}

#[tokio::test]
async fn following_ends_with_the_cache_and_does_not_keep_it() {
    let cache = Cache::memory();
    let mut events = cache.events();
    cache.invalidate("last").await.unwrap();
    drop(cache);
    assert!(events.next().await.is_some());
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn when_all_has_expired_nothing_is_left_of_it() {
    let bench = bench();
    let followers: Vec<_> = (0..8).map(|_| bench.cache.events()).collect();
    let mut kept = bench.cache.events();
    for index in 0..500 {
        set(&bench.cache, &index.to_string()).await;
    }
    bench.clock.advance(HOUR);
    assert_eq!(bench.cache.sweep().await.unwrap(), 500);
    let usage = bench.cache.usage();
    assert_eq!((usage.entries, usage.bytes), (Some(0), Some(0)));
    assert_eq!(told(&mut kept).len(), 500);
    assert_eq!(kept.try_next(), None);
    drop((followers, kept));
    set(&bench.cache, "again").await;
    assert_eq!(bench.cache.events().try_next(), None, "nothing was kept");
}

#[tokio::test]
async fn copies_that_leave_the_memory_tier_are_not_told() {
    let (provider, _chaos) = ChaosProvider::over(MemoryProvider::new());
    let tier = MemoryTier::new();
    let cache = Cache::builder(provider).memory_tier(tier).build().unwrap();
    cache.set("a", "value").tag("all").await.unwrap();
    cache.get::<String>("a").await.unwrap().unwrap();
    let mut events = cache.events();
    cache.invalidate_tag("all").await.unwrap();
    assert_eq!(cache.sweep().await.unwrap(), 2, "the copy is freed, too");
    assert_eq!(told(&mut events), ["invalidated tag all", "removed /a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_many_writers_all_reach_who_keeps_up() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 50;
    let cache = Cache::memory();
    let mut events = cache.events();
    for round in 0..ROUNDS {
        let invalidate = |writer| {
            let cache = cache.clone();
            async move { cache.invalidate(&format!("{writer}:{round}")).await }
        };
        let writers: Vec<_> = (0..WRITERS)
            .map(|it| tokio::spawn(invalidate(it)))
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let told: HashSet<String> = told(&mut events).into_iter().collect();
        assert_eq!(told.len(), WRITERS, "{told:?}");
    }
}
