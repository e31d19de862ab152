//! The invalidation log on a real server: delivery, gaps, losses, bounds.

use std::time::Duration;

use cache_core::log::{Caps, Kind, Record};
use cache_core::provider::{Leased, Slot};
use cache_core::testkit::eventually;
use cache_core::{Provider, RedisProvider};
use cache_tests::redis_node::{
    answers, build, deaf_node, delivered, entry, fill, invalidate, key, key_record, lead, node,
    set, shown, slow_node, stamped, tagged,
};
use cache_tests::redis_server::RedisServer;

const INTERNAL: [&str; 3] = ["{cache}:inv", "{cache}:log", "{cache}:beat"];

fn tag(tag: &str) -> Record {
    Record::Tag(tag.into())
}

#[tokio::test]
async fn every_kind_of_record_reaches_the_other_node() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("user:1");
    for record in [
        key_record(&key),
        tag("team"),
        Record::Pattern("cache:n:user:*".into()),
        Record::All("cache:n".into()),
    ] {
        set(&one, &key, tagged(&one, "old", &["team"])).await;
        assert!(shown(&two, &key).await.is_some());
        invalidate(&one, record.clone()).await;
        assert_eq!(shown(&one, &key).await, None, "{record:?}");
        delivered(&one, &two).await;
        assert_eq!(shown(&two, &key).await, None, "{record:?}");
    }
}

#[tokio::test]
async fn records_reach_the_other_node_by_the_stream_and_not_by_its_heartbeat() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, slow_node(&server).await);
    for round in 0..20 {
        invalidate(&one, tag(&round.to_string())).await;
        delivered(&one, &two).await;
    }
}

#[tokio::test]
async fn an_append_applies_what_was_not_delivered_before_its_own_record() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let (outer, inner) = (key("outer"), key("inner"));
    set(&other, &inner, tagged(&other, "built on", &["base"])).await;
    delivered_to_deaf(&deaf).await;
    // A nested load begins here; what it builds on goes elsewhere, undelivered.
    let began = deaf.log().moment();
    let lease = lead(&deaf, &outer).await;
    invalidate(&other, tag("base")).await;
    invalidate(&other, key_record(&outer)).await;
    invalidate(&deaf, tag("own")).await;

    assert_eq!(deaf.log().stamp(), other_after(&other, &deaf).await);
    assert_eq!(
        shown(&deaf, &inner).await,
        None,
        "an undelivered record holds"
    );
    assert!(deaf.log().hides_load(&outer, &[], began));
    assert!(!fill(&deaf, &outer, "built on what is gone", lease).await);
}

/// The deaf node hears by asking.
async fn delivered_to_deaf(deaf: &RedisProvider) {
    invalidate(deaf, tag("unrelated")).await;
}

async fn other_after(other: &RedisProvider, deaf: &RedisProvider) -> cache_core::log::Stamp {
    delivered(deaf, other).await;
    other.log().stamp()
}

#[tokio::test]
async fn a_node_whose_missed_records_were_trimmed_reads_the_state_anew() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("trimmed");
    set(&other, &key, tagged(&other, "old", &["t"])).await;
    delivered_to_deaf(&deaf).await;
    assert!(shown(&deaf, &key).await.is_some());
    invalidate(&other, tag("t")).await;
    let _: u64 = server.cli(&["XTRIM", "{cache}:log", "MAXLEN", "0"]);
    invalidate(&deaf, tag("own")).await;
    assert_eq!(shown(&deaf, &key).await, None);
}

#[tokio::test]
async fn a_node_whose_missed_records_are_all_gone_from_the_stream_reads_the_state_anew() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("trimmed-away");
    set(&other, &key, tagged(&other, "old", &["t"])).await;
    delivered_to_deaf(&deaf).await;
    invalidate(&other, tag("t")).await;
    let _: u64 = server.cli(&["XTRIM", "{cache}:log", "MAXLEN", "0"]);
    assert!(shown(&deaf, &key).await.is_some(), "it has not heard yet");
    let _: () = server.cli(&["ACL", "SETUSER", "deaf", "+client|setname"]);
    // Now it hears, as a node that reconnects does: nothing is left to be delivered.
    delivered(&other, &deaf).await;
    assert_eq!(shown(&deaf, &key).await, None);
}

#[tokio::test]
async fn a_node_that_missed_very_many_records_reads_the_state_anew() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("far-behind");
    set(&other, &key, tagged(&other, "old", &["0"])).await;
    delivered_to_deaf(&deaf).await;
    let many: Vec<_> = (0..2_500).map(|number| tag(&number.to_string())).collect();
    other.invalidate(&many).await.unwrap();
    invalidate(&deaf, tag("own")).await;
    assert_eq!(shown(&deaf, &key).await, None);
    delivered(&deaf, &other).await;
    assert_eq!(deaf.log().stamp(), other.log().stamp());
}

#[tokio::test]
async fn a_new_node_knows_every_barrier_before_it_answers() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let stamp = one.log().stamp();
    // More than a page of each kind, in one batch and renewed in another.
    let mut records: Vec<_> = (0..1_500).map(|number| tag(&number.to_string())).collect();
    let patterns = (0..1_000).map(|number| Record::Pattern(format!("cache:n:{number}:*").into()));
    records.extend(patterns);
    one.invalidate(&records).await.unwrap();
    one.invalidate(&records[..700]).await.unwrap();

    let two = node(&server).await;
    assert_eq!(two.log().stamp(), one.log().stamp());
    for number in [0, 699, 700, 999, 1_000, 1_499] {
        let entry = tagged(&one, "x", &[&number.to_string()]);
        let old = cache_core::Meta {
            stamp,
            ..entry.meta().clone()
        };
        assert!(!two.log().is_visible("cache:n:x", &old), "tag {number}");
    }
    let untagged = stamped(&one, "x", stamp);
    for number in 0..1_000 {
        let key = format!("cache:n:{number}:x");
        assert!(!two.log().is_visible(&key, untagged.meta()), "{key}");
    }
    assert!(two.log().is_visible("cache:n:x", untagged.meta()));
}

#[tokio::test]
async fn the_loss_of_one_internal_key_hides_more_and_never_shows_what_was_invalidated() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let (gone, kept) = (key("gone"), key("kept"));
    for lost in INTERNAL {
        let old = one.log().stamp();
        set(&one, &kept, entry(&one, "kept")).await;
        let lease = lead(&one, &gone).await;
        assert!(fill(&one, &gone, "old", lease).await);
        let loading = lead(&two, &key("loading")).await;
        invalidate(&one, Record::Pattern("cache:n:gone".into())).await;
        let _: u64 = server.cli(&["DEL", lost]);

        invalidate(&one, tag("unrelated")).await;
        delivered(&one, &two).await;
        for node in [&one, &two] {
            assert_eq!(shown(node, &gone).await, None, "after the loss of {lost}");
        }
        let _ = fill(&two, &key("loading"), "loaded", loading).await;
        let new_incarnation = one.log().stamp().incarnation() != old.incarnation();
        assert_eq!(new_incarnation, lost == "{cache}:inv");
        assert_eq!(shown(&two, &kept).await.is_some(), !new_incarnation);
        assert_eq!(
            shown(&two, &key("loading")).await.is_some(),
            !new_incarnation
        );
        invalidate(&one, key_record(&key("loading"))).await;

        set(&two, &gone, entry(&two, "new")).await;
        assert_eq!(shown(&one, &gone).await.as_deref(), Some("new"));
        invalidate(&two, key_record(&gone)).await;
        delivered(&two, &one).await;
    }
}

#[tokio::test]
async fn something_else_at_an_internal_key_is_replaced() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for occupied in INTERNAL {
        let _: u64 = server.cli(&["DEL", occupied]);
        let _: u64 = server.cli(&["HSET", occupied, "field", "value"]);
        set(&one, &key("x"), tagged(&one, "old", &["t"])).await;
        invalidate(&one, tag("t")).await;
        delivered(&one, &two).await;
        assert_eq!(shown(&two, &key("x")).await, None, "{occupied}");
        set(&two, &key("x"), tagged(&two, "new", &["t"])).await;
        delivered(&two, &one).await;
        assert_eq!(shown(&one, &key("x")).await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn a_strangers_entry_in_the_stream_stops_nothing() {
    let server = RedisServer::start();
    let (one, two) = (slow_node(&server).await, slow_node(&server).await);
    let _: String = server.cli(&["XADD", "{cache}:log", "99999-7", "what", "ever"]);
    for round in 0..5 {
        invalidate(&one, tag(&round.to_string())).await;
        delivered(&one, &two).await;
    }
    let newest: Vec<(String, Vec<String>)> =
        server.cli(&["XREVRANGE", "{cache}:log", "+", "-", "COUNT", "1"]);
    let expected = format!("{}-0", one.log().stamp().sequence());
    assert_eq!(newest[0].0, expected, "the stream delivers again");
}

#[tokio::test]
async fn after_flushall_a_new_incarnation_begins_and_what_comes_back_stays_hidden() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let key = key("flushed");
    let before = one.log().stamp();
    set(&one, &key, entry(&one, "old")).await;
    let stored: Vec<u8> = server.cli(&["GET", &key]);
    let _: () = server.cli(&["FLUSHALL"]);
    invalidate(&one, tag("t")).await;
    let after = one.log().stamp();
    assert_ne!(after.incarnation(), before.incarnation());
    assert_eq!(
        after.incarnation().number(),
        before.incarnation().number() + 1
    );
    delivered(&one, &two).await;
    let mut connection = server.connect().unwrap();
    let restored = redis::cmd("SET")
        .arg(&key)
        .arg(stored)
        .exec(&mut connection);
    restored.unwrap();
    assert_eq!(shown(&one, &key).await, None);
    assert_eq!(shown(&two, &key).await, None);
}

#[tokio::test]
async fn a_server_that_was_restarted_is_a_new_incarnation() {
    let mut server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    let before = one.log().stamp();
    invalidate(&one, tag("t")).await;
    server.kill();
    assert!(one.get(&[&key("x")]).await.unwrap_err().is_retryable());
    server.restart();
    let renewed = || {
        let (one, two) = (one.log().stamp(), two.log().stamp());
        one.incarnation() != before.incarnation() && one == two
    };
    eventually("both nodes know the new incarnation", renewed).await;
    set(&one, &key("x"), entry(&one, "new")).await;
    assert_eq!(shown(&two, &key("x")).await.as_deref(), Some("new"));
    invalidate(&two, key_record(&key("x"))).await;
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key("x")).await, None);
}

#[tokio::test]
async fn what_a_restarted_server_brings_back_from_disk_stays_hidden() {
    let mut server = RedisServer::start();
    let one = node(&server).await;
    let (gone, kept) = (key("gone"), key("kept"));
    set(&one, &gone, entry(&one, "old")).await;
    set(&one, &kept, entry(&one, "old")).await;
    let _: () = server.cli(&["SAVE"]);
    invalidate(&one, key_record(&gone)).await;
    invalidate(&one, tag("unrelated")).await;
    server.kill();
    server.restart();
    assert_eq!(
        server.cli::<u8>(&["EXISTS", &gone, &kept]),
        2,
        "the disk has both"
    );
    let two = node(&server).await;
    assert_eq!(shown(&two, &gone).await, None);
    assert_eq!(shown(&two, &kept).await, None);
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &gone).await, None);
}

#[tokio::test]
async fn a_new_incarnation_is_found_out_on_reconnecting() {
    let mut server = RedisServer::start();
    let one = slow_node(&server).await;
    let before = one.log().stamp().incarnation();
    server.kill();
    server.restart();
    let found_out = || one.log().stamp().incarnation() != before;
    eventually("the node reconnects", found_out).await;
}

#[tokio::test]
async fn records_appended_while_the_connections_were_cut_are_applied() {
    let server = RedisServer::start();
    let (one, two) = (node(&server).await, node(&server).await);
    for round in 0..5 {
        let key = key(&round.to_string());
        set(&one, &key, tagged(&one, "old", &["t"])).await;
        delivered(&one, &two).await;
        let _: u64 = server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        let connected = async || one.get(&[&key]).await.is_ok();
        while !connected().await {
            tokio::task::yield_now().await;
        }
        invalidate(&one, tag("t")).await;
        delivered(&one, &two).await;
        assert_eq!(shown_again(&two, &key).await, None);
    }
}

/// Reads on a connection that may have been cut.
async fn shown_again(node: &RedisProvider, key: &str) -> Option<String> {
    answers(node, key).await;
    shown(node, key).await
}

#[tokio::test]
async fn with_more_tags_than_the_cap_entries_without_end_stay_hidden() {
    let server = RedisServer::start();
    let small = || {
        let caps = Caps::DEFAULT.with(Kind::Tag, 10);
        RedisProvider::builder(server.url()).caps(caps)
    };
    let (one, two) = (build(small()).await, build(small()).await);
    let (old, plain) = (key("old"), key("plain"));
    set(&one, &old, tagged(&one, "old", &["first"])).await;
    set(&one, &plain, entry(&one, "untagged")).await;
    invalidate(&one, tag("first")).await;
    for number in 0..50 {
        invalidate(&one, tag(&number.to_string())).await;
    }
    let barriers: u64 = server.cli(&["ZCARD", "{cache}:inv"]);
    assert!(
        barriers <= 10 + 2 + 1,
        "{barriers} members for tags, changes and the state"
    );
    delivered(&one, &two).await;
    let new = build(small()).await;
    let roomy = node(&server).await;
    for node in [&one, &two, &new, &roomy] {
        assert_eq!(shown(node, &old).await, None);
        assert_eq!(shown(node, &plain).await.as_deref(), Some("untagged"));
    }
    set(&two, &old, tagged(&two, "new", &["first"])).await;
    assert_eq!(shown(&one, &old).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn one_record_costs_the_server_the_same_however_many_keys_it_hides() {
    let server = RedisServer::start();
    let one = slow_node(&server).await;
    let record = Record::Pattern("cache:n:*".into());
    invalidate(&one, record.clone()).await;
    let with_one = cost_of(&server, &one, &record, 1).await;
    let with_many = cost_of(&server, &one, &record, 100_000).await;
    assert_eq!(with_one, with_many);
    assert!(
        with_one
            .iter()
            .all(|(name, _)| name != "scan" && name != "keys")
    );
}

/// What the server does to hide this many entries, which all can be read before.
async fn cost_of(
    server: &RedisServer,
    one: &RedisProvider,
    record: &Record,
    count: usize,
) -> Vec<(String, u64)> {
    let (first, last) = (key("000001"), key(&format!("{count:06}")));
    set(one, &first, entry(one, "x")).await;
    let _: () = server.cli(&["EVAL", COPY_ENTRY, "1", &first, &count.to_string()]);
    assert!(shown(one, &last).await.is_some());
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);
    invalidate(one, record.clone()).await;
    let mut calls = server.calls();
    assert_eq!(shown(one, &last).await, None);
    // The tail asks again whenever something was delivered.
    calls.retain(|(name, _)| !["xread", "info", "config|resetstat"].contains(&name.as_str()));
    calls.sort();
    calls
}

/// An entry carries its key behind the 100 bytes of fixed length.
const COPY_ENTRY: &str = r"
local value = redis.call('GET', KEYS[1])
for number = 1, tonumber(ARGV[1]) do
  local key = string.format('cache:n:%06d', number)
  redis.call('SET', key, string.sub(value, 1, 100) .. key .. string.sub(value, 101 + #key))
end";

/// A node that lags would otherwise put its lease, and then an older value, in the place of what
/// others have stored since.
#[tokio::test]
async fn a_node_that_has_not_heard_of_a_new_log_leaves_what_is_stored_in_it() {
    let server = RedisServer::start();
    let (deaf, other) = (deaf_node(&server).await, node(&server).await);
    let key = key("k");
    invalidate(&other, Record::Tag("t".into())).await;
    let _: () = server.cli(&["FLUSHALL"]);
    set(&other, &key, entry(&other, "new")).await;
    let [Slot::Entry(seen)] = &deaf.get(&[&key]).await.unwrap()[..] else {
        panic!("it is stored");
    };
    assert!(
        !deaf.log().is_visible(&key, seen.meta()),
        "it has not heard"
    );
    let observed = Some(seen.meta().id);
    let leased = deaf.lease(&key, observed, deaf.log().stamp()).await;
    assert!(matches!(leased, Ok(Leased::Found(_))), "{leased:?}");
    for node in [&deaf, &other] {
        assert_eq!(shown(node, &key).await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn what_a_stranger_left_in_the_stream_is_read_less_and_less_often() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let _: String = server.cli(&["XADD", "{cache}:log", "99999-7", "what", "ever"]);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    // After 50, 100, 200, 400, 800 ms, and then every second.
    assert!(
        server.calls_of("xread") <= 8,
        "{}",
        server.calls_of("xread")
    );
    invalidate(&one, tag("t")).await;
    let two = node(&server).await;
    invalidate(&two, tag("t")).await;
    delivered(&two, &one).await;
}
