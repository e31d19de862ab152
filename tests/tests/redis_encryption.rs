//! Encrypted values on a real server: who reads them, and what an attacker there cannot do.

use std::time::Duration;

use cache_core::testkit::Nodes;
use cache_core::{Cache, CodecId, Compression, EncryptionKeys, ErrorKind, MemoryTier};
use cache_core::{RedisProvider, RedisProviderBuilder, Ttl};
use cache_tests::redis_node::{build, deaf, patient};
use cache_tests::redis_server::RedisServer;

const CODECS: [CodecId; 4] = [
    CodecId::JSON,
    CodecId::RAW,
    CodecId::MESSAGE_PACK,
    CodecId::POSTCARD,
];
const OLD_KEY: [u8; 32] = [1; 32];
const KEY: [u8; 32] = [2; 32];

fn keys() -> EncryptionKeys {
    EncryptionKeys::new(2, KEY)
}

async fn cache(builder: RedisProviderBuilder) -> Cache {
    let cache = Cache::builder(build(builder).await).build();
    cache.expect("the cache").namespace("n")
}

async fn sealing(server: &RedisServer) -> Cache {
    cache(patient(server).encryption(keys())).await
}

fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    server.cli(&["GET", &format!("cache:n:{key}")])
}

fn plant(server: &RedisServer, key: &str, value: &[u8]) {
    let mut connection = server.connect().unwrap();
    let key = format!("cache:n:{key}");
    let planted = redis::cmd("SET").arg(key).arg(value).exec(&mut connection);
    planted.unwrap();
}

fn text() -> String {
    "the secret of the house. ".repeat(100)
}

#[tokio::test]
async fn every_codec_and_compression_is_read_back_sealed_by_nodes_with_other_settings() {
    let server = RedisServer::start();
    let other = patient(&server).encryption(EncryptionKeys::new(3, [3; 32]).and_read(2, KEY));
    let other = cache(other).await;
    let stranger = cache(patient(&server)).await;
    for compression in [None, Some(Compression::zstd()), Some(Compression::lz4())] {
        let mut builder = patient(&server).encryption(keys());
        if let Some(compression) = compression {
            builder = builder.compression(compression);
        }
        let writing = cache(builder).await;
        for codec in CODECS {
            let writing = writing.with_codec(codec);
            let load = async || Ok::<_, ()>(text());
            writing.set("set", &text()).tag("t").await.unwrap();
            writing.delete("loaded").await.unwrap();
            writing.get_or_set("loaded", load).await.unwrap();
            for key in ["set", "loaded"] {
                let bytes = stored(&server, key);
                assert!(!bytes.windows(6).any(|window| window == b"secret"));
                assert_eq!(bytes.len() < 500, compression.is_some());
                for reader in [&writing, &other] {
                    let read: Option<String> = reader.get(key).await.unwrap();
                    assert_eq!(read, Some(text()), "{key} {codec:?} {compression:?}");
                }
                assert_eq!(stranger.get::<String>(key).await.unwrap(), None);
            }
        }
    }
    assert_eq!(stranger.metrics().damaged, 24);
}

#[tokio::test]
async fn a_value_under_a_key_that_is_not_known_is_computed_and_replaced() {
    let server = RedisServer::start();
    for id in [2, 4] {
        let wrong = patient(&server).encryption(EncryptionKeys::new(id, [4; 32]));
        let wrong = cache(wrong).await;
        sealing(&server).await.set("k", "old").await.unwrap();
        assert_eq!(wrong.get::<String>("k").await.unwrap(), None);
        assert_eq!(wrong.metrics().damaged, 1);
        let load = async || Ok::<_, ()>("computed".to_owned());
        assert_eq!(wrong.get_or_set("k", load).await.unwrap(), "computed");
        let read: Option<String> = wrong.get("k").await.unwrap();
        assert_eq!(read.as_deref(), Some("computed"));
        assert_eq!(wrong.metrics().errors, 0);
    }
}

#[tokio::test]
async fn keys_are_rotated_without_a_miss() {
    let server = RedisServer::start();
    let old = || EncryptionKeys::new(1, OLD_KEY);
    let before = cache(patient(&server).encryption(old())).await;
    let reading = cache(patient(&server).encryption(old().and_read(2, KEY))).await;
    let writing = cache(patient(&server).encryption(keys().and_read(1, OLD_KEY))).await;
    let after = sealing(&server).await;
    before.set("old", "1").await.unwrap();
    writing.set("new", "2").await.unwrap();
    for node in [&reading, &writing] {
        assert_eq!(node.get("old").await.unwrap(), Some("1".to_owned()));
        assert_eq!(node.get("new").await.unwrap(), Some("2".to_owned()));
    }
    assert_eq!(after.get("new").await.unwrap(), Some("2".to_owned()));
    assert_eq!(after.get::<String>("old").await.unwrap(), None);
}

#[tokio::test]
async fn a_number_stands_for_one_key() {
    let server = RedisServer::start();
    let twice = patient(&server).encryption(keys().and_read(2, OLD_KEY));
    let refused = twice.build().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.to_string().contains('2'), "{refused}");
    let shown = format!("{:?}", keys());
    assert_eq!(shown, "EncryptionKeys[2]");
}

#[tokio::test]
async fn nobody_who_writes_to_the_server_plants_a_value_or_moves_one() {
    let server = RedisServer::start();
    let cache = sealing(&server).await;
    cache.set("victim", "mine").await.unwrap();
    cache.set("other", "yours").await.unwrap();
    let (victim, other) = (stored(&server, "victim"), stored(&server, "other"));
    let begin = 72 + "cache:n:victim".len();
    let moved = [&victim[..begin], &other[begin - 1..]].concat();
    plant(&server, "victim", &moved);
    assert_eq!(cache.get::<String>("victim").await.unwrap(), None);
    let mut plain = [&victim[..begin], &b"\"planted\""[..]].concat();
    plant(&server, "victim", &plain);
    assert_eq!(cache.get::<String>("victim").await.unwrap(), None);
    plain[7] = 0;
    plant(&server, "victim", &plain);
    assert_eq!(cache.get::<String>("victim").await.unwrap(), None);
    assert_eq!(cache.metrics().damaged, 3);
}

#[tokio::test]
async fn a_value_that_was_set_and_invalidated_cannot_be_brought_back_under_a_later_stamp() {
    let server = RedisServer::start();
    let cache = sealing(&server).await;
    cache.set("k", "old").tag("t").await.unwrap();
    let old = stored(&server, "k");
    cache.invalidate_tag("t").await.unwrap();
    plant(&server, "k", &old);
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.metrics().invalidated, 1);
    cache.set("later", "new").await.unwrap();
    let later = stored(&server, "later");
    let forged = [&old[..16], &later[16..40], &old[40..]].concat();
    plant(&server, "k", &forged);
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.metrics().damaged, 1);
}

#[tokio::test]
async fn what_a_node_sets_is_sealed_as_of_the_head_of_the_log_although_it_lags() {
    let server = RedisServer::start();
    let lagging = cache(deaf(&server).encryption(keys())).await;
    let quick = sealing(&server).await;
    quick.set("k", "first").await.unwrap();
    quick.clear().await.unwrap();
    lagging.set("k", "second").await.unwrap();
    for node in [&quick, &lagging] {
        assert_eq!(node.get("k").await.unwrap(), Some("second".to_owned()));
    }
}

#[tokio::test]
async fn a_bomb_is_a_miss_also_where_it_is_sealed() {
    let server = RedisServer::start();
    for compression in [Compression::zstd(), Compression::lz4()] {
        let builder = || patient(&server).encryption(keys()).compression(compression);
        let roomy = cache(builder()).await;
        let narrow = cache(builder().max_decompressed_bytes(2_000)).await;
        roomy.set("bomb", &"x".repeat(2_000)).await.unwrap();
        assert_eq!(narrow.get::<String>("bomb").await.unwrap(), None);
        assert_eq!(narrow.metrics().damaged, 1);
    }
}

#[tokio::test]
async fn counters_stay_digits_and_a_sealed_number_is_none() {
    let server = RedisServer::start();
    let cache = sealing(&server).await;
    assert_eq!(cache.increment("count", 41).await.unwrap(), 41);
    assert_eq!(cache.increment("count", 1).await.unwrap(), 42);
    assert_eq!(cache.get::<u64>("count").await.unwrap(), Some(42));
    assert!(stored(&server, "count").ends_with(b"42"));
    cache.set("number", &5_u8).await.unwrap();
    let refused = cache.increment("number", 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongType);
    assert_eq!(cache.get::<u8>("number").await.unwrap(), Some(5));
}

#[tokio::test]
async fn a_sealed_value_can_be_given_another_time_to_live() {
    let server = RedisServer::start();
    let cache = sealing(&server).await;
    cache.set("k", "value").tag("t").await.unwrap();
    let hour = Duration::from_secs(3_600);
    assert!(cache.expire("k", hour * 10).await.unwrap());
    let left = cache.get_ttl("k").await.unwrap();
    assert!(matches!(left, Some(Ttl::After(left)) if left > hour * 9));
    assert_eq!(cache.get("k").await.unwrap(), Some("value".to_owned()));
}

async fn whole(server: &RedisServer, tier: Option<MemoryTier>) -> Cache {
    let provider: RedisProvider = build(patient(server).encryption(keys())).await;
    let builder = Cache::builder(provider);
    let builder = match tier {
        Some(tier) => builder.memory_tier(tier),
        None => builder,
    };
    builder.build().expect("the cache")
}

async fn two_nodes(tier: Option<MemoryTier>) -> Nodes {
    let server = RedisServer::start();
    Nodes::two(whole(&server, tier).await, whole(&server, tier).await).keeping(server)
}

mod races {
    cache_core::race_table!(crate::two_nodes(None));
}

mod races_with_a_memory_tier {
    cache_core::race_table!(crate::two_nodes(Some(cache_core::MemoryTier::new())));
}
