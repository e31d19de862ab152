//! Compressed values on a real server, among nodes with different settings.

use bytes::Bytes;
use cache_core::{Cache, CodecId, Compression, RedisProviderBuilder};
use cache_tests::redis_node::{build, patient};
use cache_tests::redis_server::RedisServer;

/// Where the header has the flags.
const FLAGS_OFFSET: usize = 7;
const CODECS: [CodecId; 4] = [
    CodecId::JSON,
    CodecId::RAW,
    CodecId::MESSAGE_PACK,
    CodecId::POSTCARD,
];

async fn cache(builder: RedisProviderBuilder, codec: CodecId) -> Cache {
    let cache = Cache::builder(build(builder).await).codec(codec).build();
    cache.expect("the cache").namespace("n")
}

async fn compressing(server: &RedisServer, compression: Compression) -> Cache {
    cache(patient(server).compression(compression), CodecId::JSON).await
}

fn stored(server: &RedisServer, key: &str) -> Vec<u8> {
    server.cli(&["GET", &format!("cache:n:{key}")])
}

fn text() -> String {
    "all work and no play. ".repeat(200)
}

/// What a text that does not repeat itself looks like.
fn noise(bytes: usize) -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Puts bytes in place of the payload that stands at a key.
fn replace_payload(server: &RedisServer, key: &str, payload: &[u8]) {
    let mut bytes = stored(server, key);
    let length = u32::from_be_bytes(bytes[64..68].try_into().unwrap());
    bytes.truncate(usize::try_from(length).unwrap());
    bytes.extend_from_slice(payload);
    let mut connection = server.connect().unwrap();
    let key = format!("cache:n:{key}");
    let planted = redis::cmd("SET").arg(key).arg(bytes).exec(&mut connection);
    planted.unwrap();
}

#[tokio::test]
async fn what_is_compressed_in_any_codec_is_read_by_every_node() {
    let server = RedisServer::start();
    let plain = cache(patient(&server), CodecId::JSON).await;
    for compression in [Compression::zstd(), Compression::lz4()] {
        let other = compressing(&server, Compression::lz4()).await;
        for codec in CODECS {
            let writing = cache(patient(&server).compression(compression), codec).await;
            let (set, loaded) = (format!("{codec:?}"), format!("{codec:?} loaded"));
            writing.set(&set, &text()).await.unwrap();
            let load = async || Ok::<_, ()>(text());
            writing.delete(&loaded).await.unwrap();
            writing.get_or_set(&loaded, load).await.unwrap();
            for key in [set, loaded] {
                let bytes = stored(&server, &key);
                assert_ne!(bytes[FLAGS_OFFSET], 0, "{key}");
                assert!(bytes.len() < 400, "{key} takes {} bytes", bytes.len());
                for reader in [&plain, &other] {
                    let read: Option<String> = reader.get(&key).await.unwrap();
                    assert_eq!(read, Some(text()), "{key}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_small_or_would_not_get_smaller_is_stored_plain() {
    let server = RedisServer::start();
    for compression in [Compression::zstd(), Compression::lz4()] {
        let cache = compressing(&server, compression)
            .await
            .with_codec(CodecId::RAW);
        let (below, at) = ("x".repeat(1_023), "x".repeat(1_024));
        cache.set("below", &below).await.unwrap();
        cache.set("at", &at).await.unwrap();
        cache.set("noise", &noise(5_000)).await.unwrap();
        assert_eq!(stored(&server, "below")[FLAGS_OFFSET], 0);
        assert_ne!(stored(&server, "at")[FLAGS_OFFSET], 0);
        assert_eq!(stored(&server, "noise")[FLAGS_OFFSET], 0);
        assert!(stored(&server, "noise").ends_with(&noise(5_000)));
        let low = compressing(&server, compression.above(0)).await;
        low.set("digit", &7_u8).await.unwrap();
        assert_eq!(low.increment("digit", 1).await.unwrap(), 8);
    }
}

#[tokio::test]
async fn a_compressed_value_that_is_cut_short_or_goes_on_is_a_miss() {
    let server = RedisServer::start();
    for compression in [Compression::zstd(), Compression::lz4()] {
        let cache = compressing(&server, compression).await;
        cache.set("k", &text()).await.unwrap();
        let whole = stored(&server, "k");
        let begin = usize::from(u16::from_be_bytes([whole[66], whole[67]]));
        let payload = &whole[begin..];
        for end in 0..payload.len() {
            replace_payload(&server, "k", &payload[..end]);
            assert_eq!(cache.get::<String>("k").await.unwrap(), None, "{end}");
        }
        replace_payload(&server, "k", &[payload, b"more"].concat());
        assert_eq!(cache.get::<String>("k").await.unwrap(), None);
        let damaged = u64::try_from(payload.len()).unwrap() + 1;
        assert_eq!(cache.metrics().damaged, damaged);
        let load = async || Ok::<_, ()>("computed".to_owned());
        assert_eq!(cache.get_or_set("k", load).await.unwrap(), "computed");
        let read: Option<String> = cache.get("k").await.unwrap();
        assert_eq!(read.as_deref(), Some("computed"));
    }
}

#[tokio::test]
async fn a_decompression_bomb_is_a_miss() {
    let server = RedisServer::start();
    for compression in [Compression::zstd(), Compression::lz4()] {
        let roomy = compressing(&server, compression)
            .await
            .with_codec(CodecId::RAW);
        let small = patient(&server)
            .compression(compression)
            .max_decompressed_bytes(2_000);
        let narrow = cache(small, CodecId::RAW).await;
        roomy.set("bomb", &"x".repeat(2_001)).await.unwrap();
        assert_eq!(narrow.get::<String>("bomb").await.unwrap(), None);
        assert_eq!(narrow.metrics().damaged, 1);
        // It claims to be small, and goes on and on.
        let whole = stored(&server, "bomb");
        let begin = usize::from(u16::from_be_bytes([whole[66], whole[67]]));
        let lying = [&1_000_u32.to_be_bytes()[..], &whole[begin + 4..]].concat();
        replace_payload(&server, "bomb", &lying);
        for reader in [&narrow, &roomy] {
            assert_eq!(reader.get::<String>("bomb").await.unwrap(), None);
        }
        // What this node could not read back it does not compress.
        narrow.set("large", &"x".repeat(2_001)).await.unwrap();
        assert_eq!(stored(&server, "large")[FLAGS_OFFSET], 0);
        assert!(narrow.get::<String>("large").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_compressed_number_is_no_counter() {
    let server = RedisServer::start();
    let cache = cache(patient(&server), CodecId::JSON).await;
    cache.set("k", &5_u8).await.unwrap();
    let _: u64 = server.cli(&["SETRANGE", "cache:n:k", "7", "\u{1}"]);
    let before = stored(&server, "k");
    let refused = cache.increment("k", 1).await.unwrap_err();
    assert_eq!(refused.kind(), cache_core::ErrorKind::WrongType);
    assert_eq!(stored(&server, "k"), before);
}
