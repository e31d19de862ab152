//! Values in every codec on a real server, among nodes with different settings.

use bytes::Bytes;
use cache_core::{Cache, CodecId, ErrorKind, MemoryTier};
use cache_tests::redis_node::node;
use cache_tests::redis_server::RedisServer;
use serde::{Deserialize, Serialize};

const SERDE_CODECS: [CodecId; 3] = [CodecId::JSON, CodecId::MESSAGE_PACK, CodecId::POSTCARD];
/// Where the header has the codec.
const CODEC_OFFSET: usize = 6;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

fn ada() -> User {
    User {
        id: 42,
        name: "Ada".into(),
    }
}

async fn cache(server: &RedisServer, codec: CodecId) -> Cache {
    let builder = Cache::builder(node(server).await).codec(codec);
    builder.build().expect("the cache").namespace("n")
}

fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    server.cli(&["GET", &format!("cache:n:{key}")])
}

#[tokio::test]
async fn what_one_codec_writes_is_read_by_nodes_that_write_another() {
    let server = RedisServer::start();
    for writer in SERDE_CODECS {
        let key = format!("{writer:?}");
        let writing = cache(&server, writer).await;
        writing.set(&key, &ada()).tag("t").await.unwrap();
        assert_eq!(stored(&server, &key)[CODEC_OFFSET], writer.as_byte());
        for reader in SERDE_CODECS {
            let reading = cache(&server, reader).await;
            let read: Option<User> = reading.get(&key).await.unwrap();
            assert_eq!(read, Some(ada()), "{reader:?} reads {writer:?}");
        }
    }
}

#[tokio::test]
async fn loads_and_sets_of_many_are_written_by_the_codec_of_their_namespace() {
    let server = RedisServer::start();
    let json = cache(&server, CodecId::JSON).await;
    let packed = json.with_codec(CodecId::MESSAGE_PACK);
    let load = async || Ok::<_, ()>(ada());
    assert_eq!(packed.get_or_set("loaded", load).await.unwrap(), ada());
    let many = [("many", ada())];
    packed.set_many(&many, Default::default()).await.unwrap();
    let inner = packed.namespace("inner");
    inner.set("k", &ada()).await.unwrap();
    let inside: Vec<u8> = server.cli(&["GET", "cache:n/inner:k"]);
    json.set("plain", &ada()).await.unwrap();
    for bytes in [stored(&server, "loaded"), stored(&server, "many"), inside] {
        assert_eq!(bytes[CODEC_OFFSET], CodecId::MESSAGE_PACK.as_byte());
    }
    assert!(stored(&server, "plain").ends_with(br#"{"id":42,"name":"Ada"}"#));
}

#[tokio::test]
async fn bytes_and_text_are_stored_raw_as_they_are() {
    let server = RedisServer::start();
    let raw = cache(&server, CodecId::RAW).await;
    raw.set("text", "no \"quotes\"").await.unwrap();
    assert!(stored(&server, "text").ends_with(b"no \"quotes\""));
    raw.set("bytes", &Bytes::from_static(b"\0\xff"))
        .await
        .unwrap();
    let read: Option<Vec<u8>> = raw.get("bytes").await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"\0\xff"[..]));
    let other = cache(&server, CodecId::JSON).await;
    let read: Option<String> = other.get("text").await.unwrap();
    assert_eq!(read.as_deref(), Some("no \"quotes\""));
    let refused = raw.set("user", &ada()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Encode);
    assert_eq!(other.get::<String>("bytes").await.unwrap(), None);
    assert_eq!(other.metrics().damaged, 1);
}

#[tokio::test]
async fn an_entry_of_an_unknown_codec_is_a_miss_that_makes_way() {
    let server = RedisServer::start();
    let cache = cache(&server, CodecId::POSTCARD).await;
    cache.set("k", &ada()).await.unwrap();
    let _: u64 = server.cli(&["SETRANGE", "cache:n:k", "6", "\u{7f}"]);
    assert_eq!(cache.get::<User>("k").await.unwrap(), None);
    assert_eq!(cache.metrics().damaged, 1);
    let computed = User { id: 7, ..ada() };
    let load = async || Ok::<_, ()>(computed.clone());
    assert_eq!(cache.get_or_set("k", load).await.unwrap(), computed);
    assert_eq!(cache.get("k").await.unwrap(), Some(computed));
}

#[tokio::test]
async fn a_counter_is_digits_under_every_codec_and_nothing_else_is_a_counter() {
    let server = RedisServer::start();
    for codec in [CodecId::RAW, CodecId::MESSAGE_PACK, CodecId::POSTCARD] {
        let cache = cache(&server, codec).await;
        let key = format!("{codec:?}");
        assert_eq!(cache.increment(&key, 41).await.unwrap(), 41);
        assert_eq!(cache.increment(&key, 1).await.unwrap(), 42);
        assert!(stored(&server, &key).ends_with(b"42"));
        assert_eq!(cache.get::<u64>(&key).await.unwrap(), Some(42));
        cache.set(&key, "5").await.unwrap();
        let before = stored(&server, &key);
        let refused = cache.increment(&key, 1).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WrongType, "{codec:?}");
        assert_eq!(stored(&server, &key), before);
    }
}

#[tokio::test]
async fn a_memory_tier_reads_another_type_as_the_remote_tier_does() {
    let server = RedisServer::start();
    for codec in SERDE_CODECS {
        let provider = node(&server).await;
        let tiered = Cache::builder(provider).codec(codec);
        let tiered = tiered.memory_tier(MemoryTier::new()).build().unwrap();
        let key = format!("{codec:?}");
        tiered.set(&key, &ada()).await.unwrap();
        let whole: Option<User> = tiered.get(&key).await.unwrap();
        assert_eq!(whole, Some(ada()));
        let near: Option<(u64, String)> = tiered.get(&key).await.unwrap();
        let far = tiered.without_memory_tier();
        assert_eq!(near, far.get(&key).await.unwrap(), "{codec:?}");
    }
}
