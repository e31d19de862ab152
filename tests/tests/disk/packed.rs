//! Values that are compressed and encrypted in the file.

use cache_core::{Compression, EncryptionKeys, ErrorKind};

use crate::{Disk, opened};

fn keys(id: u8) -> EncryptionKeys {
    EncryptionKeys::new(id.into(), [id; 32])
}

#[tokio::test]
async fn a_sealed_value_is_not_in_the_file_and_is_read_with_its_key_only() {
    let disk = Disk::new();
    let secret = "a secret that nobody reads";
    let (provider, cache) = opened(disk.builder().encryption(keys(1))).await;
    cache.set("k", secret).tag("t").await.unwrap();
    cache.set("hidden", secret).tag("hidden").await.unwrap();
    cache.invalidate_tag("hidden").await.unwrap();
    provider.close().await;
    let file = std::fs::read(disk.path()).unwrap();
    let is_in_it = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(is_in_it("cache::k") && !is_in_it(secret));

    for (keys, expected) in [
        (keys(1), Some(secret)),
        (keys(2).and_read(1, [1; 32]), Some(secret)),
        (keys(2), None),
    ] {
        let (provider, cache) = opened(disk.builder().encryption(keys)).await;
        let found: Option<String> = cache.get("k").await.unwrap();
        assert_eq!(found.as_deref(), expected);
        assert_eq!(cache.get::<String>("hidden").await.unwrap(), None);
        provider.close().await;
    }
    let (_provider, cache) = disk.open().await;
    assert_eq!(cache.get::<String>("k").await.unwrap(), None, "without any");
}

#[tokio::test]
async fn a_sealed_number_does_not_become_a_counter_that_anybody_can_read() {
    let disk = Disk::new();
    let (_provider, cache) = opened(disk.builder().encryption(keys(1))).await;
    cache.set("n", &41).await.unwrap();
    let error = cache.increment("n", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(cache.get("n").await.unwrap(), Some(41));
    assert_eq!(cache.increment("counter", 1).await.unwrap(), 1);
    assert_eq!(cache.increment("counter", 1).await.unwrap(), 2);
}

#[tokio::test]
async fn compressed_values_take_less_room_and_are_read_by_those_who_compress_not() {
    let disk = Disk::new();
    let text = "again and ".repeat(10_000);
    let compressing = disk.builder().compression(Compression::lz4());
    let (provider, cache) = opened(compressing).await;
    cache.set("k", &text).await.unwrap();
    assert!(provider.size().await.unwrap().bytes < 10_000);
    provider.close().await;
    let (_provider, cache) = disk.open().await;
    assert_eq!(cache.get("k").await.unwrap(), Some(text));
}
