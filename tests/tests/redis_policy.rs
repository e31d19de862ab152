//! Read policies on Redis: by one node and by two, with a memory tier in front and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::testkit::race::Act;
use cache_core::testkit::{Gate, Held, Nodes, delivered, eventually};
use cache_core::{
    Cache, Clock, EntryOptions, LoadError, Loaded, MemoryTier, Policy, Provider,
    RedisProviderBuilder,
};
use cache_tests::redis_node::{build, patient};
use cache_tests::redis_server::{RedisServer, free_port};
use tokio::task::JoinHandle;

/// Short, for a server's clock cannot be moved.
const TTL: Duration = Duration::from_millis(50);
const MINUTE: Duration = Duration::from_secs(60);
const SOFT: Duration = Duration::from_millis(30);

const ACTS: [Act; 10] = [
    Act::Delete,
    Act::DeleteMany,
    Act::Invalidate,
    Act::InvalidateTag,
    Act::InvalidatePattern,
    Act::DeleteByPattern,
    Act::Clear,
    Act::ClearAround,
    Act::Set,
    Act::SetMany,
];

fn revalidating() -> Policy {
    Policy::new().stale_while_revalidate(MINUTE)
}

fn forgiving() -> Policy {
    Policy::new().stale_if_error(MINUTE)
}

async fn cache(builder: RedisProviderBuilder, tier: Option<MemoryTier>) -> Cache {
    let builder = Cache::builder(build(builder).await);
    let builder = match tier {
        Some(tier) => builder.memory_tier(tier),
        None => builder,
    };
    builder.build().expect("the cache is built")
}

async fn nodes(two: bool, tier: Option<MemoryTier>) -> Nodes {
    let server = RedisServer::start();
    let reader = cache(patient(&server), tier).await;
    let actor = match two {
        true => cache(patient(&server), tier).await,
        false => reader.clone(),
    };
    Nodes::two(reader, actor).keeping(server)
}

/// What a load returns, and what it does before.
#[derive(Clone)]
enum Load {
    Value(&'static str, Duration),
    /// This, which takes a moment.
    Slow(&'static str, Duration),
    Held(Held, Option<&'static str>),
    Fail,
}

type Read = Result<String, LoadError<&'static str>>;

#[derive(Clone)]
struct Reader {
    cache: Cache,
    loads: Arc<AtomicUsize>,
}

impl Reader {
    fn new(cache: &Cache, policy: Policy) -> Self {
        Self {
            cache: cache.namespace("users").with_policy(policy),
            loads: Arc::default(),
        }
    }

    async fn read(&self, load: Load) -> Read {
        let loads = Arc::clone(&self.loads);
        let load = || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            let (value, ttl) = match load {
                Load::Value(value, ttl) => (value, ttl),
                Load::Slow(value, ttl) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    (value, ttl)
                }
                Load::Held(held, value) => {
                    held.pass().await;
                    (value.ok_or("no")?, MINUTE)
                }
                Load::Fail => return Err("no"),
            };
            Ok(Loaded::new(value.to_owned()).ttl(ttl).tag("team:7"))
        };
        let options = EntryOptions::new().tag("team:7");
        self.cache.get_or_load_with("user:1", options, load).await
    }

    fn spawn(&self, load: Load) -> JoinHandle<Read> {
        let reader = self.clone();
        tokio::spawn(async move { reader.read(load).await })
    }

    /// Stores `old`, and waits until it has expired.
    async fn has_stale(&self) {
        let stored = Load::Value("old", TTL);
        assert_eq!(self.read(stored).await.unwrap(), "old");
        while self.get().await.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.loads.store(0, Ordering::SeqCst);
    }

    async fn get(&self) -> Option<String> {
        self.cache.get("user:1").await.expect("the read")
    }

    async fn comes_to_see(&self, value: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while self.get().await.as_deref() != Some(value) {
            assert!(tokio::time::Instant::now() < deadline, "no {value}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

fn left(act: Act) -> Option<&'static str> {
    matches!(act, Act::Set | Act::SetMany).then_some("new")
}

fn failed(read: Read) -> &'static str {
    let error = read.expect_err("an error");
    error.into_failed().expect("that of the load")
}

async fn a_stale_value_is_shown_at_once_and_loaded_anew(nodes: Nodes) {
    let [one, two] = [&nodes.reader, &nodes.actor].map(|node| Reader::new(node, revalidating()));
    one.has_stale().await;
    let (gate, held) = Gate::new();
    let load = Load::Held(held, Some("new"));
    assert_eq!(one.read(load).await.unwrap(), "old");
    gate.entered().await;
    // The load has not taken the stale value away from anybody.
    let again = Load::Value("newer", MINUTE);
    assert_eq!(one.read(again).await.unwrap(), "old");
    assert_eq!(one.loads(), 1);
    let (second, other) = Gate::new();
    let load = Load::Held(other, Some("new"));
    assert_eq!(two.read(load).await.unwrap(), "old");
    gate.open();
    second.open();
    one.comes_to_see("new").await;
    two.comes_to_see("new").await;
    assert!(one.cache.metrics().stale >= 2);
}

async fn a_stale_value_is_shown_in_place_of_an_error_and_stays_stale(nodes: Nodes) {
    let [one, two] = [&nodes.reader, &nodes.actor].map(|node| Reader::new(node, forgiving()));
    one.has_stale().await;
    for _ in 0..3 {
        assert_eq!(one.read(Load::Fail).await.unwrap(), "old");
    }
    assert_eq!(one.loads(), 1, "there is a pause");
    assert_eq!(two.read(Load::Fail).await.unwrap(), "old");
    assert_eq!(one.get().await, None);
    assert_eq!(two.get().await, None);
    let plain = Reader::new(&nodes.actor, Policy::new());
    assert_eq!(failed(plain.read(Load::Fail).await), "no");
}

async fn what_was_invalidated_is_not_shown(nodes: Nodes) {
    let policy = revalidating().stale_if_error(MINUTE).soft_timeout(SOFT);
    for act in ACTS {
        let one = Reader::new(&nodes.reader, policy);
        one.has_stale().await;
        act.perform(&nodes.actor).await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
        let read = one.read(Load::Fail).await;
        match left(act) {
            Some(new) => assert_eq!(read.unwrap(), new, "{act:?}"),
            None => assert_eq!(failed(read), "no", "{act:?}"),
        }
        nodes.actor.clear().await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
    }
}

async fn a_refresh_that_began_before_is_not_stored(nodes: Nodes) {
    for act in ACTS {
        let one = Reader::new(&nodes.reader, revalidating());
        one.has_stale().await;
        let (gate, held) = Gate::new();
        let load = Load::Held(held, Some("late"));
        assert_eq!(one.read(load).await.unwrap(), "old");
        gate.entered().await;
        act.perform(&nodes.actor).await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
        let before = one.cache.metrics().loads;
        gate.open();
        let expected = left(act).unwrap_or("newer");
        let load = Load::Value("newer", MINUTE);
        assert_eq!(one.read(load).await.unwrap(), expected, "{act:?}");
        // When a load has ended, its value is on the way before the next look is.
        let ended = || one.cache.metrics().loads - before == one.loads() as u64;
        eventually("the refresh ends", ended).await;
        assert_eq!(one.get().await.as_deref(), Some(expected), "{act:?}");
        nodes.actor.clear().await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
    }
}

async fn who_holds_a_stale_value_does_not_show_it_when_it_was_invalidated(nodes: Nodes) {
    for act in ACTS {
        let one = Reader::new(&nodes.reader, forgiving());
        one.has_stale().await;
        let (gate, held) = Gate::new();
        let reading = one.spawn(Load::Held(held, None));
        gate.entered().await;
        act.perform(&nodes.actor).await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
        gate.open();
        let read = reading.await.unwrap();
        match left(act) {
            Some(new) => assert_eq!(read.unwrap(), new, "{act:?}"),
            None => assert_eq!(failed(read), "no", "{act:?}"),
        }
        nodes.actor.clear().await.unwrap();
        delivered(&nodes.reader, &nodes.actor).await;
    }
}

async fn a_slow_load_goes_on_and_is_stored(nodes: Nodes) {
    let one = Reader::new(&nodes.reader, forgiving().soft_timeout(SOFT));
    one.has_stale().await;
    let (gate, held) = Gate::new();
    let load = Load::Held(held, Some("new"));
    assert_eq!(one.read(load).await.unwrap(), "old");
    gate.open();
    Reader::new(&nodes.actor, Policy::new())
        .comes_to_see("new")
        .await;
    assert_eq!(one.loads(), 1);
}

async fn a_fresh_value_stays_while_it_is_loaded_early(nodes: Nodes) {
    let one = Reader::new(&nodes.reader, Policy::new().early_refresh(1e300));
    let two = Reader::new(&nodes.actor, Policy::new());
    let (gate, held) = Gate::new();
    let slow = one.spawn(Load::Held(held, Some("old")));
    gate.entered().await;
    // Longer than what the server counts in.
    tokio::time::sleep(Duration::from_millis(5)).await;
    gate.open();
    assert_eq!(slow.await.unwrap().unwrap(), "old");
    let (gate, held) = Gate::new();
    let load = Load::Held(held, Some("new"));
    assert_eq!(one.read(load).await.unwrap(), "old");
    gate.entered().await;
    for reader in [&one, &two] {
        assert_eq!(reader.get().await.as_deref(), Some("old"));
        assert!(reader.cache.exists("user:1").await.unwrap());
    }
    gate.open();
    let fresh = one.cache.without_memory_tier();
    let sees = || async { fresh.get::<String>("user:1").await.unwrap() };
    while sees().await.as_deref() != Some("new") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(one.cache.metrics().refreshes, 1);
}

macro_rules! policies {
    ($($check:ident)*) => {
        policies!(@on on_one_node, false, None; $($check)*);
        policies!(@on on_two_nodes, true, None; $($check)*);
        policies!(@on on_one_node_with_a_memory_tier, false, Some(MemoryTier::new()); $($check)*);
        policies!(@on on_two_nodes_with_memory_tiers, true, Some(MemoryTier::new()); $($check)*);
    };
    (@on $place:ident, $two:expr, $tier:expr; $($check:ident)*) => {
        mod $place {
            use super::*;

            $(#[tokio::test]
            async fn $check() {
                super::$check(nodes($two, $tier).await).await;
            })*
        }
    };
}

policies! {
    a_stale_value_is_shown_at_once_and_loaded_anew
    a_stale_value_is_shown_in_place_of_an_error_and_stays_stale
    what_was_invalidated_is_not_shown
    a_refresh_that_began_before_is_not_stored
    who_holds_a_stale_value_does_not_show_it_when_it_was_invalidated
    a_slow_load_goes_on_and_is_stored
    a_fresh_value_stays_while_it_is_loaded_early
}

#[tokio::test]
async fn with_the_distributed_lock_one_of_two_nodes_refreshes() {
    let nodes = nodes(true, None).await;
    let [one, two] = [&nodes.reader, &nodes.actor]
        .map(|node| Reader::new(&node.with_distributed_lock(true), revalidating()));
    one.has_stale().await;
    let (gate, held) = Gate::new();
    let load = Load::Held(held, Some("new"));
    assert_eq!(one.read(load).await.unwrap(), "old");
    gate.entered().await;
    assert_eq!(two.read(Load::Fail).await.unwrap(), "old");
    // The other node's refresh asks for the lease again and again, and loads when it is gone.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.open();
    two.comes_to_see("new").await;
    assert_eq!((one.loads(), two.loads()), (1, 0));
}

/// A node that refreshes a value early, and is still at it when the value has expired; another with
/// the same terms.
async fn expired_while_it_is_refreshed(nodes: &Nodes) -> (Reader, Reader, Gate) {
    let policy = Policy::new().early_refresh(1e300);
    let [one, two] = [&nodes.reader, &nodes.actor]
        .map(|node| Reader::new(&node.with_distributed_lock(true), policy));
    assert_eq!(one.read(Load::Slow("old", TTL * 4)).await.unwrap(), "old");
    let (gate, held) = Gate::new();
    let load = Load::Held(held, Some("new"));
    assert_eq!(one.read(load).await.unwrap(), "old");
    gate.entered().await;
    while one.get().await.is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (one, two, gate)
}

#[tokio::test]
async fn a_refresh_keeps_its_lease_when_the_value_expires_meanwhile_and_nothing_is_kept() {
    let nodes = nodes(true, None).await;
    let (one, two, gate) = expired_while_it_is_refreshed(&nodes).await;
    let reading = two.spawn(Load::Value("other", MINUTE));
    // It asks for the lease, and waits: there is nothing else to be seen of that.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap(), "new");
    assert_eq!((one.loads(), two.loads()), (2, 0));
    one.comes_to_see("new").await;
}

#[tokio::test]
async fn what_a_refresh_finds_another_node_has_loaded_is_copied_into_the_memory_tier() {
    let nodes = nodes(true, Some(MemoryTier::new())).await;
    let two = Reader::new(&nodes.actor, Policy::new().early_refresh(1e300));
    let old = Load::Slow("old", MINUTE);
    assert_eq!(two.read(old).await.unwrap(), "old");
    let one = Reader::new(&nodes.reader, Policy::new().early_refresh(1e300));
    assert_eq!(one.read(Load::Value("new", MINUTE)).await.unwrap(), "old");
    one.comes_to_see("new").await;
    assert_eq!(two.get().await.as_deref(), Some("old"), "a copy");
    assert_eq!(two.read(Load::Fail).await.unwrap(), "old");
    two.comes_to_see("new").await;
    assert_eq!(two.loads(), 1);
}

#[tokio::test]
async fn a_node_out_of_touch_shows_nothing_stale() {
    let server = RedisServer::start();
    let builder = patient(&server)
        .command_timeout(Duration::from_millis(200))
        .heartbeat(Duration::from_millis(50))
        .touch_bound(Duration::from_millis(500));
    let provider = build(builder).await;
    let log = provider.log().clone();
    let cache = Cache::builder(provider).memory_tier(MemoryTier::new());
    let cache = cache.build().unwrap();
    let reader = Reader::new(&cache, revalidating().stale_if_error(MINUTE));
    reader.has_stale().await;
    assert_eq!(reader.read(Load::Fail).await.unwrap(), "old");
    // It goes on answering, and takes no heartbeat.
    let nobody = free_port().to_string();
    let _: () = server.cli(&["REPLICAOF", "127.0.0.1", &nobody]);
    let away = || !log.in_touch(Clock::system().now());
    eventually("it is out of touch", away).await;
    assert_eq!(failed(reader.read(Load::Fail).await), "no");
}
