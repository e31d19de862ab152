//! Files that are not what was written.

use std::fs;

use cache_core::{Cache, DiskProvider, ErrorKind, OnDamage};

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

#[tokio::test]
async fn a_file_that_is_whole_is_shown_as_it_is() {
    let disk = Disk::new();
    written(&disk).await;
    let provider = DiskProvider::open(disk.path()).await.unwrap();
    let cache = Cache::builder(provider).build().unwrap();
    assert_eq!(assert_right(&cache, "whole").await, KEYS / 4);
}
