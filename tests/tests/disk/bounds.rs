//! What the provider takes, and what it gives back.

use std::time::Duration;

use cache_core::{Cache, DiskProvider, DiskSize, EntryOptions};

use crate::{Disk, opened};

const MIB: u64 = 1 << 20;

async fn write(cache: &Cache, keys: std::ops::Range<usize>) {
    let text = "x".repeat(4 << 10);
    let keys: Vec<String> = keys.map(|key| key.to_string()).collect();
    for part in keys.chunks(50) {
        let values: Vec<_> = part
            .iter()
            .map(|key| (key.as_str(), text.clone()))
            .collect();
        cache.set_many(&values, EntryOptions::new()).await.unwrap();
    }
}

async fn size(provider: &DiskProvider) -> DiskSize {
    provider.size().await.unwrap()
}

#[tokio::test]
async fn ten_times_as_much_as_fits_stays_within_the_bound() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder().max_bytes(MIB)).await;
    write(&cache, 0..2_560).await;
    let size = size(&provider).await;
    assert!(size.bytes <= MIB && size.bytes > MIB / 2, "{size:?}");
    assert!(size.file_bytes < 6 * MIB, "{size:?}");
    assert!(cache.exists("2559").await.unwrap(), "the newest");
    assert!(!cache.exists("0").await.unwrap(), "the oldest");
    provider.close().await;
    let (provider, _cache) = opened(disk.builder().max_bytes(MIB / 4)).await;
    assert_eq!(
        provider.size().await.unwrap().entries,
        size.entries,
        "before a write"
    );
}

#[tokio::test]
async fn a_smaller_bound_holds_from_the_next_write_on() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    write(&cache, 0..200).await;
    provider.close().await;
    let (provider, cache) = opened(disk.builder().max_bytes(MIB / 4)).await;
    cache.set("k", "v").await.unwrap();
    assert!(size(&provider).await.bytes <= MIB / 4);
    assert!(cache.exists("k").await.unwrap());
}

#[tokio::test]
async fn what_is_read_is_spared_when_room_is_made() {
    let disk = Disk::new();
    let (_provider, cache) = opened(disk.builder().max_bytes(MIB)).await;
    write(&cache, 0..100).await;
    for round in 1..20 {
        assert!(
            cache.get::<String>("7").await.unwrap().is_some(),
            "round {round}"
        );
        write(&cache, round * 100..(round + 1) * 100).await;
    }
    assert!(cache.exists("7").await.unwrap());
    assert!(!cache.exists("8").await.unwrap());
}

#[tokio::test]
async fn a_value_that_is_larger_than_everything_is_not_kept_and_evicts_nothing() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder().max_bytes(MIB)).await;
    write(&cache, 0..100).await;
    cache.set("7", &"x".repeat(2 << 20)).await.unwrap();
    assert_eq!(
        cache.get::<String>("7").await.unwrap(),
        None,
        "nor what was there before"
    );
    assert_eq!(size(&provider).await.entries, 99);
}

#[tokio::test]
async fn the_room_is_given_back_by_compacting() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    write(&cache, 0..1_000).await;
    cache.set("kept", "v").await.unwrap();
    cache.delete_by_pattern("[0-9]*").await.unwrap();
    let before = size(&provider).await;
    assert!(provider.compact().await.unwrap());
    let after = size(&provider).await;
    assert_eq!((before.entries, after.entries), (1, 1));
    assert!(
        after.file_bytes < before.file_bytes / 2,
        "{before:?} {after:?}"
    );
    assert!(cache.exists("kept").await.unwrap());
    cache.set("k", "v").await.unwrap();
}

#[tokio::test]
async fn what_is_expired_or_hidden_is_swept_out() {
    let disk = Disk::new();
    let often = disk.builder().sweep(Duration::from_millis(20));
    let (provider, cache) = opened(often).await;
    let hour = Duration::from_secs(3_600);
    let short: Vec<_> = (0..600).map(|key| key.to_string()).collect();
    let values: Vec<_> = short.iter().map(|key| (key.as_str(), 1)).collect();
    let options = EntryOptions::new().ttl(hour);
    cache
        .namespace("short")
        .set_many(&values, options)
        .await
        .unwrap();
    cache
        .namespace("tagged")
        .set_many(&values, EntryOptions::new().tag("t").ttl(hour * 9))
        .await
        .unwrap();
    cache.set("kept", "v").ttl(hour * 9).await.unwrap();
    assert_eq!(size(&provider).await.entries, 1_201);
    cache.invalidate_tag("t").await.unwrap();
    swept_to(&provider, 601).await;
    disk.clock.advance(hour);
    swept_to(&provider, 1).await;
    assert!(cache.exists("kept").await.unwrap());
    assert!(size(&provider).await.bytes < 200);
}

async fn swept_to(provider: &DiskProvider, entries: u64) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while size(provider).await.entries != entries {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            size(provider).await
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
