//! Looking at entries without their values, among leases, hidden entries and what is not ours.

use std::collections::BTreeSet;
use std::time::Duration;

use cache_core::log::Record;
use cache_core::provider::{Cursor, Leased, Slot};
use cache_core::{Entry, Pattern, Payload, Provider, RedisProvider};
use cache_tests::redis_node::{
    entry, invalidate, key, key_record, lead, node, set, shown, tagged, terms,
};
use cache_tests::redis_server::RedisServer;

/// Stores bytes at a key behind the provider's back.
fn plant(server: &RedisServer, key: &[u8], value: &[u8]) {
    let mut connection = server.connect().unwrap();
    let planted = redis::cmd("SET").arg(key).arg(value).exec(&mut connection);
    planted.unwrap();
}

fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    server.cli(&["GET", key])
}

async fn scan(node: &RedisProvider, pattern: &str) -> BTreeSet<String> {
    let pattern = Pattern::new(pattern).unwrap();
    let (mut found, mut cursor) = (BTreeSet::new(), Some(Cursor::START));
    while let Some(at) = cursor {
        let page = node.scan(&pattern, at, 10).await.unwrap();
        found.extend(page.entries.into_iter().map(|(key, _)| key.into_string()));
        cursor = page.next;
    }
    found
}

#[tokio::test]
async fn a_scan_returns_entries_and_neither_leases_nor_what_is_not_ours() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let mut expected = BTreeSet::new();
    for number in 0..100 {
        let key = key(&format!("item:{number}"));
        set(&one, &key, entry(&one, "x")).await;
        expected.insert(key);
    }
    set(&one, &key("other"), entry(&one, "x")).await;
    lead(&one, &key("item:leased")).await;
    plant(&server, b"cache:n:item:foreign", b"not ours");
    plant(&server, b"cache:n:item:\xff", b"no text");
    plant(
        &server,
        b"cache:n:item:moved",
        &stored(&server, &key("item:1")),
    );
    let _: u64 = server.cli(&["HSET", "cache:n:item:hash", "a", "b"]);
    assert_eq!(scan(&one, "cache:n:item:*").await, expected);
    assert_eq!(scan(&one, "cache:n:item:[0-9]").await.len(), 10);
}

#[tokio::test]
async fn a_scan_leaves_the_judging_of_hidden_entries_to_its_caller() {
    let server = RedisServer::start();
    let one = node(&server).await;
    set(&one, &key("hidden"), tagged(&one, "x", &["t"])).await;
    set(&one, &key("shown"), entry(&one, "x")).await;
    invalidate(&one, Record::Tag("t".into())).await;
    let all = Pattern::new("cache:n:*").unwrap();
    let page = one.scan(&all, Cursor::START, 100).await.unwrap();
    let visible =
        |(key, meta): &(Box<str>, _)| one.log().is_visible(key, meta).then(|| key.clone());
    let visible: Vec<_> = page.entries.iter().filter_map(visible).collect();
    assert_eq!(visible, [key("shown").into_boxed_str()]);
    assert_eq!(page.entries.len(), 2);
}

#[tokio::test]
async fn inspecting_tells_terms_and_reads_no_value() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let (found, leased, foreign) = (key("found"), key("leased"), key("foreign"));
    let tags: Vec<_> = (0..60).map(|number| format!("{number:0>100}")).collect();
    let tags: Vec<_> = tags.iter().map(String::as_str).collect();
    let meta = terms(&one, Some(Duration::from_secs(60)), &tags);
    let large = Payload::typed("x".repeat(1_000_000));
    set(&one, &found, Entry::new(meta.clone(), large).into()).await;
    lead(&one, &leased).await;
    plant(&server, foreign.as_bytes(), b"not ours");
    let _: () = server.cli(&["CONFIG", "RESETSTAT"]);

    let keys = [&*found, &leased, &foreign, "cache:n:absent"];
    let looks = one.inspect(&keys).await.unwrap();
    let [Some(seen), None, None, None] = &looks[..] else {
        panic!("{looks:?}");
    };
    assert_eq!((seen.meta.id, &seen.meta.tags), (meta.id, &meta.tags));
    assert!(seen.ttl.unwrap() > Duration::from_secs(50));
    assert_eq!(server.calls_of("get") + server.calls_of("mget"), 0);
}

#[tokio::test]
async fn what_cannot_be_read_spoils_nothing_beside_it_and_makes_way_for_a_load() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let good = key("good");
    set(&one, &good, entry(&one, "good")).await;
    let bytes = stored(&server, &good);
    let _: u64 = server.cli(&["HSET", "cache:n:hash", "a", "b"]);
    let _: u64 = server.cli(&["LPUSH", "cache:n:list", "a"]);
    plant(&server, b"cache:n:text", b"not ours");
    plant(&server, b"cache:n:moved", &bytes);
    plant(&server, b"cache:n:mood", &bytes);
    plant(&server, b"cache:n:empty", b"");

    let keys = [
        "cache:n:hash",
        "cache:n:list",
        "cache:n:text",
        "cache:n:moved",
        "cache:n:mood",
        "cache:n:empty",
    ];
    for key in keys {
        let slots = one.get(&[key, &good]).await.unwrap();
        assert!(
            matches!(&slots[..], [Slot::Damaged | Slot::Empty, Slot::Entry(_)]),
            "{slots:?}"
        );
        assert!(!one.expire(key, None).await.unwrap(), "{key}");
        assert!(!invalidate(&one, key_record(key)).await, "{key}");
        plant(&server, key.as_bytes(), &bytes);
        lead(&one, key).await;
        let slots = one.get(&[key]).await.unwrap();
        assert!(matches!(slots[..], [Slot::Lease(_)]), "{key}");
    }
}

#[tokio::test]
async fn an_entry_with_any_byte_of_its_header_changed_is_no_error_and_makes_way_for_a_load() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let key = key("damaged");
    set(&one, &key, tagged(&one, "value", &["tag"])).await;
    let good = stored(&server, &key);
    let payload = good.len() - r#""value""#.len();
    for offset in 0..payload {
        let mut bad = good.clone();
        bad[offset] ^= 0x80;
        plant(&server, key.as_bytes(), &bad);
        let slots = one.get(&[&key]).await.unwrap();
        if matches!(slots[..], [Slot::Damaged]) {
            assert!(one.inspect(&[&key]).await.unwrap()[0].is_none());
            lead(&one, &key).await;
        } else {
            let leased = one.lease(&key, None, one.log().stamp()).await.unwrap();
            // What claims an incarnation that does not exist makes way at once.
            let is_well = matches!(leased, Leased::Found(_) | Leased::Lease(_));
            assert!(is_well, "at {offset}");
        }
    }
    for end in 0..payload {
        plant(&server, key.as_bytes(), &good[..end]);
        assert!(matches!(
            one.get(&[&key]).await.unwrap()[..],
            [Slot::Damaged]
        ));
        lead(&one, &key).await;
    }
    let fresh = entry(&one, "fresh");
    plant(&server, key.as_bytes(), b"damaged");
    assert!(!one.expire(&key, None).await.unwrap());
    set(&one, &key, fresh).await;
    assert_eq!(shown(&one, &key).await.as_deref(), Some("fresh"));
}

#[tokio::test]
async fn no_keys_is_no_round_trip() {
    let server = RedisServer::start();
    let one = node(&server).await;
    server.pause();
    assert!(one.get(&[]).await.unwrap().is_empty());
    assert!(one.inspect(&[]).await.unwrap().is_empty());
    one.set(Vec::new()).await.unwrap();
    one.remove(&[]).await.unwrap();
    server.resume();
}
