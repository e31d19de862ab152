//! Files that are not what was written.

use std::fs;
use std::time::Duration;

use cache_core::{Cache, DiskProvider, EntryOptions, ErrorKind, Invalidated, OnDamage};

use crate::{Disk, opened};

const KEYS: usize = 40;

/// A closed file with values, of which every fourth is hidden in each way.
async fn written(disk: &Disk) -> Vec<u8> {
    let (provider, cache) = disk.open().await;
    for key in 0..KEYS {
        let text = value(key);
        let kind = key % 4;
        let set = cache.set(&format!("{kind}:{key}"), &text);
        set.tag(kind.to_string()).await.unwrap();
    }
    for key in (1..KEYS).step_by(4) {
        cache.delete(&format!("1:{key}")).await.unwrap();
    }
    cache.invalidate_pattern("2:*").await.unwrap();
    cache.invalidate_tag("3").await.unwrap();
    provider.close().await;
    fs::read(disk.path()).unwrap()
}

fn value(key: usize) -> String {
    format!("{key}:").repeat(50)
}

/// No value is a wrong one, and none that was hidden is shown.
async fn assert_right(cache: &Cache, what: &str) -> usize {
    let mut shown = 0;
    for key in 0..KEYS {
        let name = format!("{}:{key}", key % 4);
        if let Ok(Some(found)) = cache.get::<String>(&name).await {
            assert_eq!(found, value(key), "{what}");
            assert_eq!(key % 4, 0, "{what}: {name} was hidden");
            shown += 1;
        }
    }
    shown
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_or_moved_away() {
    let disk = Disk::new();
    for content in [
        "<html>".repeat(10_000),
        "\0".repeat(1 << 20),
        "x".to_owned(),
    ] {
        fs::write(disk.path(), &content).unwrap();
        let error = disk.builder().build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{error}");
        assert!(
            error
                .to_string()
                .contains(&disk.path().display().to_string()),
            "{error}"
        );
        assert!(
            error.to_string().contains("OnDamage::StartEmpty"),
            "{error}"
        );
        assert_eq!(
            fs::read_to_string(disk.path()).unwrap(),
            content,
            "left as it was"
        );

        let builder = disk.builder().on_damage(OnDamage::StartEmpty);
        let (provider, cache) = opened(builder).await;
        cache.set("k", "v").await.unwrap();
        assert!(cache.exists("k").await.unwrap());
        provider.close().await;
        let aside = disk.folder.path().join("cache.redb.damaged");
        assert_eq!(fs::read_to_string(aside).unwrap(), content);
        let (provider, cache) = disk.open().await;
        assert!(cache.exists("k").await.unwrap());
        provider.close().await;
    }
}

#[tokio::test]
async fn a_file_that_was_cut_off_shows_nothing_wrong() {
    let disk = Disk::new();
    let whole = written(&disk).await;
    for part in 1..10 {
        fs::write(disk.path(), &whole[..whole.len() * part / 10]).unwrap();
        match disk.builder().build().await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Backend, "{error:?}"),
            Ok(provider) => {
                let cache = Cache::builder(provider.clone()).build().unwrap();
                assert_right(&cache, &format!("{part} tenths")).await;
                provider.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_file_with_a_wrong_byte_shows_nothing_wrong_and_nothing_hidden() {
    let disk = Disk::new();
    let whole = written(&disk).await;
    let used: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let (mut refused, mut shown) = (0, 0);
    let step = used.len() / 150;
    for &at in used.iter().take(64).chain(used.iter().step_by(step)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(disk.path(), &bytes).unwrap();
        match disk.builder().build().await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Backend, "{at}: {error:?}");
                refused += 1;
            }
            Ok(provider) => {
                let cache = Cache::builder(provider.clone()).build().unwrap();
                shown += assert_right(&cache, &format!("byte {at}")).await;
                provider.close().await;
            }
        }
    }
    assert!(
        refused > 5 && shown > 500,
        "{refused} refused, {shown} shown"
    );
}

/// A closed file with so much in it that the entries are in many leaves.
async fn leafy(disk: &Disk) -> Vec<u8> {
    let (provider, cache) = disk.open().await;
    let values: Vec<_> = (0..400)
        .map(|key| (format!("0:{key}"), value(key)))
        .collect();
    let values: Vec<_> = values
        .iter()
        .map(|(key, text)| (&**key, text.clone()))
        .collect();
    cache.set_many(&values, EntryOptions::new()).await.unwrap();
    provider.close().await;
    fs::read(disk.path()).unwrap()
}

/// The file, with the number changed of those that are in a leaf with the entry `0:8`.
async fn damaged(disk: &Disk, whole: &[u8]) -> Vec<u8> {
    for (index, page) in whole.chunks(4_096).enumerate() {
        if page[0] != 1 {
            continue;
        }
        let mut bytes = whole.to_vec();
        bytes[index * 4_096 + 3] ^= 0x40;
        fs::write(disk.path(), &bytes).unwrap();
        if let Ok(provider) = disk.builder().build().await {
            let cache = Cache::builder(provider.clone()).build().unwrap();
            let is_it = cache.get::<String>("0:8").await.is_err();
            provider.close().await;
            if is_it {
                return bytes;
            }
        }
    }
    panic!("no page has the entry");
}

#[tokio::test]
async fn a_damaged_page_that_is_met_by_a_sweep_stops_nobody() {
    let disk = Disk::new();
    let whole = leafy(&disk).await;
    let bytes = damaged(&disk, &whole).await;
    fs::write(disk.path(), bytes).unwrap();
    let sweeping = disk.builder().sweep(Duration::from_millis(10));
    let (provider, cache) = opened(sweeping).await;
    // Far from the page, in the last of the leaves. At first it may not have been met yet.
    until(&cache, false).await;
    until(&cache, true).await;
    cache.set("9:stays", "v").await.unwrap();
    let gone = cache.invalidate_tag("gone").await.unwrap();
    assert_eq!(gone, Invalidated::Applied);
    provider.close().await;

    let (_provider, cache) = disk.open().await;
    assert_eq!(cache.get::<String>("9:gone").await.unwrap(), None);
    assert!(cache.exists("9:stays").await.unwrap());
}

/// Writes until that works, or does not.
async fn until(cache: &Cache, works: bool) {
    for _ in 0..2_000 {
        if cache.set("9:gone", "v").tag("gone").await.is_ok() == works {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "10 s, and writing {}",
        if works { "fails" } else { "works" }
    );
}

#[tokio::test]
async fn a_file_that_is_whole_is_shown_as_it_is() {
    let disk = Disk::new();
    written(&disk).await;
    let provider = DiskProvider::open(disk.path()).await.unwrap();
    let cache = Cache::builder(provider).build().unwrap();
    assert_eq!(assert_right(&cache, "whole").await, KEYS / 4);
}
