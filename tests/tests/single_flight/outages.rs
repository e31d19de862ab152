//! A server that goes away while a node waits, and a node that does not hear from it any more.

use std::time::{Duration, Instant};

use cache_core::RedisProvider;
use cache_tests::redis_server::RedisServer;

use crate::{FAR, SOON, built, ended, node, somebody_looks_again};

/// A look that is not answered, and what a busy machine adds to it.
const BUDGET: Duration = Duration::from_secs(5);

async fn a_value_is_computed_when(
    take_away: impl FnOnce(&mut RedisServer),
    bring_back: impl FnOnce(&mut RedisServer),
) {
    let mut server = RedisServer::start();
    let one = node(&server).await;
    // It is in touch for longer than the test takes: a call that fails has to end the wait.
    let impatient = RedisProvider::builder(server.url()).touch_bound(FAR);
    let two = built(impatient.command_timeout(BUDGET / 10)).await;
    let (gate, first) = one.hold(Ok("other")).await;
    let herd = two.herd("own").await;
    somebody_looks_again(&server).await;
    take_away(&mut server);
    let start = Instant::now();
    herd.has("own").await;
    assert!(start.elapsed() < BUDGET, "{:?}", start.elapsed());
    assert_eq!(two.loads(), 1, "one load for the herd");
    bring_back(&mut server);
    gate.open();
    assert_eq!(first.await.unwrap().as_deref(), Ok("other"));
}

#[tokio::test]
async fn a_server_that_is_gone_ends_the_wait() {
    a_value_is_computed_when(RedisServer::kill, RedisServer::restart).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_ends_the_wait() {
    a_value_is_computed_when(|server| server.pause(), |server| server.resume()).await;
}

/// The server answers all that is asked about the key, and refuses what is asked about the log.
#[tokio::test]
async fn a_node_that_loses_touch_waits_no_longer() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let rules = ["on", ">secret", "~*", "&*", "+@all"];
    let _: () = server.cli(&[&["ACL", "SETUSER", "cut"], &rules[..]].concat());
    let url = server.url().replace("redis://", "redis://cut:secret@");
    let two = built(RedisProvider::builder(url).command_timeout(SOON)).await;
    let (gate, first) = one.hold(Ok("other")).await;
    let herd = two.herd("own").await;
    somebody_looks_again(&server).await;
    let _: () = server.cli(&["ACL", "SETUSER", "cut", "resetkeys", "~cache:*"]);
    herd.has("own").await;
    assert_eq!(two.loads(), 1, "one load for the herd");
    gate.open();
    assert_eq!(ended(first).await.as_deref(), Ok("other"));
    assert_eq!(one.stored().await.as_deref(), Some("other"));
}
