//! An answer of the old primary that arrives when the node has gone over to the new one.

use std::sync::Arc;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::testkit::eventually;
use cache_core::{Invalidated, OnFailover, Provider, RedisProvider};
use cache_tests::redis_node::{build, key, set, shown, tagged};
use cache_tests::redis_server::RedisServer;
use cache_tests::replicated::{in_contact, replicate};
use cache_tests::tcp_proxy::TcpProxy;

const TIMEOUT: Duration = Duration::from_secs(3);

async fn node(address: impl ToString) -> RedisProvider {
    let url = format!("redis://{}", address.to_string());
    let builder = RedisProvider::builder(url).on_failover(OnFailover::Reappend);
    let soon = builder.heartbeat(Duration::from_millis(50));
    build(soon.command_timeout(TIMEOUT).touch_bound(TIMEOUT * 10)).await
}

#[tokio::test]
async fn what_only_the_old_primary_has_taken_is_not_applied_but_waits_for_the_new_one() {
    let (old, new) = (RedisServer::start(), RedisServer::start());
    let way = TcpProxy::start(old.address());
    let front = TcpProxy::start(way.address().to_string());
    let one = Arc::new(node(front.address()).await);
    let hit = key("hit");
    set(&one, &hit, tagged(&one, "old", &["t"])).await;
    replicate(&old, &new);
    let there = || new.cli::<u64>(&["EXISTS", &hit]) == 1;
    eventually("the entry is replicated", there).await;
    let _: () = new.cli(&["REPLICAOF", "NO", "ONE"]);

    let before = one.log().stamp().incarnation();
    old.pause();
    // A heartbeat is under way, and fails so much before the invalidation does.
    tokio::time::sleep(TIMEOUT / 2).await;
    let sent = way.sent_bytes();
    let invalidating = Arc::clone(&one);
    let records = [Record::Tag("t".into())];
    let invalidating = tokio::spawn(async move { invalidating.invalidate(&records).await });
    eventually("it is on its way", || way.sent_bytes() > sent).await;
    way.hold();
    front.forward_to(new.address());
    old.resume();
    let taken = || {
        old.cli::<Option<f64>>(&["ZSCORE", "{cache}:inv", "tt"])
            .is_some()
    };
    eventually("the old primary takes it", taken).await;
    in_contact(one.log(), before).await;
    way.release();
    let outcome = invalidating.await.unwrap().unwrap();
    assert_eq!(outcome.state, Invalidated::Pending);
    assert_eq!(shown(&one, &hit).await, None);

    in_contact(one.log(), before).await;
    let two = node(new.address()).await;
    for node in [&one, &two] {
        assert_eq!(shown(node, &hit).await, None);
    }
}
