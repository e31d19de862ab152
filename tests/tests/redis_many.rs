//! A thousand keys at once: one round trip, by what the server is told before it has answered, and by
//! its own count of commands.

use std::time::Duration;

use cache_core::testkit::eventually;
use cache_core::{Cache, EntryOptions, RedisProvider};
use cache_tests::redis_node::{build, slow};
use cache_tests::redis_server::RedisServer;
use cache_tests::tcp_proxy::TcpProxy;

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(20);
/// No stored entry is shorter.
const HEADER_BYTES: u64 = 72;

/// How often a node may have said meanwhile that it is there.
const HEARTBEATS: u64 = 2;

#[tokio::test]
async fn a_thousand_keys_are_written_and_read_in_one_round_trip_each() {
    let server = RedisServer::start();
    let proxy = TcpProxy::start(server.address());
    let url = format!("redis://{}", proxy.address());
    let node = slow(RedisProvider::builder(url).command_timeout(PATIENCE));
    let cache = Cache::builder(build(node).await).build().unwrap();
    let cache = cache.namespace("many");
    let names: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let values: Vec<_> = keys.iter().map(|&key| (key, key.to_owned())).collect();
    // Scripts are loaded by the first call.
    cache.set("warm", "up").await.unwrap();
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);

    server.pause();
    let before = proxy.sent_bytes();
    let all_are_sent = || proxy.sent_bytes() > before + 1_000 * HEADER_BYTES;
    let answering = async {
        eventually("every value is sent before an answer comes", all_are_sent).await;
        server.resume();
    };
    let (written, ()) = tokio::join!(cache.set_many(&values, EntryOptions::new()), answering);
    written.unwrap();
    // A script stores up to 500, so that none holds the server up; they are sent as one.
    assert!(server.calls_of("evalsha") <= 2 + HEARTBEATS);

    let read = cache.get_many::<String>(&keys).await.unwrap();
    assert!(read.iter().flatten().eq(&names));
    assert_eq!(
        (server.calls_of("mget"), server.calls_of("getrange")),
        (1, 0)
    );
    assert!(server.calls_of("evalsha") <= 2 + HEARTBEATS);
}
