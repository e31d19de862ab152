//! What cannot be seen from outside.

mod away;
mod moments;
mod pauses;

use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use self::moments::{KEY, entry};
use super::error::Outcome;
use super::row::{ENTRIES, ORDER, cost};
use super::state::{self, Own, STATE, State};
use super::{DiskProvider, DiskProviderBuilder};
use crate::clock::ManualClock;
use crate::error::ErrorKind;
use crate::log::{Caps, Invalidated, Kind, Record};
use crate::provider::Provider;
use crate::testkit::eventually;
use crate::{Cache, EntryOptions};

struct Disk {
    folder: std::path::PathBuf,
    clock: ManualClock,
}

impl Disk {
    fn new() -> Self {
        let name = format!("cache-core-disk-{:016x}", crate::random::u64());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let clock = ManualClock::new();
        Self { folder, clock }
    }

    fn builder(&self) -> DiskProviderBuilder {
        // Whatever else the machine writes at the same time.
        let patience = Duration::from_secs(60);
        let builder = DiskProvider::builder(self.folder.join("cache.redb")).timeout(patience);
        builder.clock(self.clock.clock())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left behind is in a folder for what may be left behind.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn opened(builder: DiskProviderBuilder) -> (DiskProvider, Cache) {
    let provider = builder.build().await.expect("a provider");
    let cache = Cache::builder(provider.clone()).build().expect("a cache");
    (provider, cache)
}

/// How many rows the tables of entries, of their order and of the log have, and the bytes that are
/// counted.
fn rows(provider: &DiskProvider) -> (u64, u64, u64, u64) {
    let store = &provider.0.store;
    let rows = store.work(|database| {
        let transaction = database.begin_read()?;
        let entries = transaction.open_table(ENTRIES)?;
        let mut bytes = 0;
        for row in entries.iter()? {
            let (key, columns) = row?;
            bytes += cost(key.value(), columns.value().2);
        }
        assert_eq!(
            state::bytes(&transaction)?,
            bytes,
            "what is counted is there"
        );
        Ok((
            entries.len()?,
            transaction.open_table(ORDER)?.len()?,
            transaction.open_table(STATE)?.len()?,
            bytes,
        ))
    });
    rows.expect("the tables")
}

#[tokio::test]
async fn what_has_gone_leaves_nothing_in_any_table() {
    let disk = Disk::new();
    let small = disk.builder().max_bytes(20_000);
    let (provider, cache) = opened(small.sweep(Duration::from_millis(10))).await;
    let ttl = Duration::from_secs(60);
    let options = EntryOptions::new().ttl(ttl);
    for round in 0..30 {
        let keys: Vec<_> = (0..20).map(|key| format!("{}:{key}", round % 7)).collect();
        let value = |key| (String::as_str(key), "x".repeat(round * 10));
        let values: Vec<_> = keys.iter().map(value).collect();
        cache.set_many(&values, options.clone()).await.unwrap();
        cache.increment_with("n", 1, options.clone()).await.unwrap();
        cache.delete("3:7").await.unwrap();
        cache.get::<String>("1:1").await.unwrap();
        cache.expire("1:2", ttl).await.unwrap();
        cache.invalidate_pattern("2:*").await.unwrap();
        let (entries, order, _, bytes) = rows(&provider);
        assert_eq!(entries, order, "in round {round}");
        assert!(bytes <= 20_000, "{bytes} in round {round}");
    }
    disk.clock.advance(ttl);
    let swept = || matches!(rows(&provider), (0, 0, _, 0));
    eventually("all is swept out", swept).await;
}

#[tokio::test]
async fn an_update_that_is_larger_than_everything_is_not_kept_and_evicts_nothing() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder().max_bytes(20_000)).await;
    cache.set("stays", "v").await.unwrap();
    let small = entry(&provider, "small");
    let seen = small.meta().id;
    provider.set(vec![(KEY, small)]).await.unwrap();
    let large = entry(&provider, &"x".repeat(30_000));
    provider.replace(KEY, seen, large, None).await.unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert!(cache.exists("stays").await.unwrap());
}

#[tokio::test]
async fn barriers_that_a_floor_has_made_needless_go_and_what_they_hid_stays_hidden() {
    let disk = Disk::new();
    let caps = Caps::DEFAULT.with(Kind::Tag, 10);
    let (provider, cache) = opened(disk.builder().caps(caps)).await;
    cache.set("k", "old").tag("0").await.unwrap();
    for part in 0..3 {
        let tags = part * 3_000..(part + 1) * 3_000;
        let records: Vec<_> = tags
            .map(|tag| Record::Tag(tag.to_string().into()))
            .collect();
        let gone = provider.invalidate(&records).await.unwrap();
        assert_eq!(gone.state, Invalidated::Applied);
    }
    let (.., state, _) = rows(&provider);
    assert!(state < 4_000, "{state} rows for ten barriers");
    provider.close().await;
    let (_provider, cache) = opened(disk.builder()).await;
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
}

/// Changes the state behind the back of the log.
fn change(provider: &DiskProvider, change: impl FnOnce(&mut State<'_>) -> Outcome<()>) {
    let changed = provider.0.store.work(|database| {
        let transaction = database.begin_write()?;
        let mut state = State::of(&transaction)?;
        change(&mut state)?;
        state.finish()?;
        transaction.commit()?;
        Ok(())
    });
    changed.expect("a change");
}

#[tokio::test]
async fn a_log_that_is_not_what_was_written_is_refused() {
    for row in ["tag", "sequence", "nonce"] {
        let disk = Disk::new();
        let (provider, cache) = opened(disk.builder()).await;
        cache.invalidate_tag("tag").await.unwrap();
        let store = &provider.0.store;
        let changed = store.work(|database| {
            let transaction = database.begin_write()?;
            let kind = if row == "tag" { b't' } else { b'm' };
            let mut state = transaction.open_table(STATE)?;
            let before = state.remove((kind, row))?.map(|number| number.value());
            assert!(before.is_some(), "there is a row {row}");
            if row == "nonce" {
                state.insert((kind, row), before.unwrap_or(0) ^ 1)?;
            }
            drop(state);
            transaction.commit()?;
            Ok(())
        });
        changed.unwrap();
        provider.close().await;
        let error = disk.builder().build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend, "{row}: {error}");
        assert!(error.to_string().contains("damaged"), "{row}: {error}");
    }
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    let disk = Disk::new();
    let (provider, _cache) = opened(disk.builder()).await;
    change(&provider, |state| state.set_own(Own::Version, 2));
    provider.close().await;
    let error = disk.builder().build().await.unwrap_err();
    let cause = std::error::Error::source(&error).expect("a cause");
    assert!(cause.to_string().contains("another version"), "{cause}");
}
