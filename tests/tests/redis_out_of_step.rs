//! Connections that answer one question with what another was to be told. Everything is well
//! formed, so that only what an answer says of itself can tell.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::log::Record;
use cache_core::provider::Cursor;
use cache_core::{
    Entry, Invalidated, Pattern, Payload, Provider, RedisProvider, RedisProviderBuilder, Result,
};
use cache_tests::redis_node::{
    build, caught_up, deaf, entry, key, key_record, node, refused, set, shown, slow, tagged, terms,
};
use cache_tests::redis_server::RedisServer;
use cache_tests::tcp_proxy::{Slip, TcpProxy, Weather};
use tokio::join;

/// Each answer is given to who asked next as well.
const EACH_TWICE: Weather = Weather::OutOfStep(Slip::Twice, 1);

/// For as long a write is waited for whose outcome is unknown.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a state is read while answers change places.
const ROUNDS: usize = 3;

/// A node that hears of records by its own requests alone, over a connection that can get out of
/// step.
struct Misled {
    server: RedisServer,
    proxy: TcpProxy,
    node: RedisProvider,
}

impl Misled {
    async fn start() -> Self {
        let server = RedisServer::start();
        let proxy = TcpProxy::start(server.address());
        let node = build(builder(&server, &proxy)).await;
        warm_up(&node).await;
        Self {
            server,
            proxy,
            node,
        }
    }

    /// Does two things at once, so that the second is told what the first was to be told.
    async fn mislead<A, B>(&self, one: impl Future<Output = A>, two: impl Future<Output = B>) -> B {
        self.proxy.turn(EACH_TWICE);
        let (_, misled) = join!(one, two);
        self.proxy.turn(Weather::Clear);
        misled
    }
}

fn builder(server: &RedisServer, proxy: &TcpProxy) -> RedisProviderBuilder {
    // For the user without a tail.
    drop(deaf(server));
    let url = format!("redis://deaf:secret@{}", proxy.address());
    let builder = RedisProvider::builder(url).client_name("deaf");
    slow(builder).command_timeout(COMMAND_TIMEOUT)
}

/// Has the server know the scripts: what loads them would come between the requests of a test.
async fn warm_up(node: &RedisProvider) {
    let key = key("warm");
    set(node, &key, entry(node, "up")).await;
    assert!(node.expire(&key, None).await.unwrap());
    assert!(node.inspect(&[&key]).await.unwrap()[0].is_some());
    assert!(node.invalidate(&[key_record(&key)]).await.unwrap().existed[0]);
    assert_eq!(add(node, &key, 1).await.unwrap(), 1);
}

async fn add(node: &RedisProvider, key: &str, amount: i64) -> Result<i64> {
    let fresh = Entry::new(terms(node, None, &[]), Payload::Counter(amount));
    node.increment(key, amount, Arc::new(fresh)).await
}

async fn names(node: &RedisProvider, pattern: &str) -> Result<Vec<Box<str>>> {
    let pattern = Pattern::new(pattern).unwrap();
    let page = node.scan(&pattern, Cursor::START, 1_000).await?;
    Ok(page.entries.into_iter().map(|(key, _)| key).collect())
}

#[tokio::test]
async fn an_invalidation_is_applied_only_if_the_answer_is_its_own() {
    let misled = Misled::start().await;
    let node = &misled.node;
    let key = key("x");
    set(node, &key, tagged(node, "old", &["t"])).await;
    let records = [Record::Tag("t".into())];
    let outcome = misled.mislead(node.catch_up(), node.invalidate(&records));
    assert_eq!(outcome.await.unwrap().state, Invalidated::Pending);
    assert_eq!(shown(node, &key).await, None);
}

#[tokio::test]
async fn a_write_that_seems_to_have_failed_is_waited_for_until_it_cannot_be_carried_out() {
    let misled = Misled::start().await;
    let node = &misled.node;
    let (key, value) = (key("x"), entry(node, "new"));
    let began = Instant::now();
    let set = node.set(vec![(&key, value)]);
    refused(misled.mislead(node.catch_up(), set).await);
    assert!(began.elapsed() >= COMMAND_TIMEOUT);
    assert_eq!(
        shown(node, &key).await,
        None,
        "which it is, nobody can know"
    );
}

#[tokio::test]
async fn a_counter_never_shows_what_another_one_counts() {
    let misled = Misled::start().await;
    let node = &misled.node;
    let (one, two) = (key("one"), key("two"));
    let count = misled.mislead(add(node, &one, 1), add(node, &two, 100));
    refused(count.await);
}

#[tokio::test]
async fn an_entry_that_was_not_there_has_no_new_time_to_live() {
    let misled = Misled::start().await;
    let node = &misled.node;
    let (there, absent) = (key("there"), key("absent"));
    set(node, &there, entry(node, "x")).await;
    let expired = misled.mislead(node.expire(&there, None), node.expire(&absent, None));
    refused(expired.await);
}

#[tokio::test]
async fn a_value_of_another_key_is_none() {
    let misled = Misled::start().await;
    let node = &misled.node;
    let (one, two, three) = (key("one"), key("two"), key("three"));
    for key in [&one, &two, &three] {
        set(node, key, entry(node, key)).await;
    }
    assert_eq!(
        misled.mislead(shown(node, &one), shown(node, &two)).await,
        None
    );
    let both = [&*two, &*three];
    refused(misled.mislead(shown(node, &one), node.get(&both)).await);
    let (one, two) = ([&*one], [&*two]);
    let looked = misled.mislead(node.inspect(&one), node.inspect(&two));
    refused(looked.await);
}

#[tokio::test]
async fn a_scan_shows_no_key_that_is_not_asked_for() {
    let misled = Misled::start().await;
    let node = &misled.node;
    for name in ["a1", "b1"] {
        set(node, &key(name), entry(node, name)).await;
    }
    let (one, two) = (key("a*"), key("b*"));
    let seen = misled.mislead(names(node, &one), names(node, &two)).await;
    let seen = seen.unwrap_or_default();
    assert!(seen.iter().all(|name| **name == *key("b1")), "{seen:?}");
}

#[tokio::test]
async fn a_state_that_others_answers_are_mistaken_for_is_not_taken_over() {
    let misled = Misled::start().await;
    let (node, other) = (&misled.node, node(&misled.server).await);
    let absent = key("absent");
    for round in 0..ROUNDS {
        let (key, tag) = (key(&format!("k{round}")), format!("t{round}"));
        set(node, &key, tagged(node, "old", &[&tag])).await;
        other.invalidate(&[Record::Tag(tag.into())]).await.unwrap();
        let _: u64 = misled.server.cli(&["XTRIM", "{cache}:log", "MAXLEN", "0"]);
        // What is absent is answered with nothing, and nothing can be taken for no barriers.
        let looks = async {
            for _ in 0..20 {
                let _ = node.inspect(&[&absent]).await;
            }
        };
        misled.proxy.turn(Weather::OutOfStep(Slip::Swapped, 5));
        let _ = join!(node.catch_up(), looks);
        misled.proxy.turn(Weather::Clear);
        caught_up(node).await;
        assert_eq!(shown(node, &key).await, None, "round {round}");
    }
}
