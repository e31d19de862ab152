//! What cannot be seen from outside: the tables, and a file that is away for a while.

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::batch::Batch;
use super::changes::{Encoded, encoded};
use super::row::{ENTRIES, ORDER, cost};
use super::state::{self, Own, STATE, State};
use super::{DiskProvider, DiskProviderBuilder};
use crate::clock::ManualClock;
use crate::entry::{Entry, EntryId, Meta, Owner, Payload};
use crate::error::ErrorKind;
use crate::log::{Caps, Invalidated, Kind, Record};
use crate::provider::{Lease, Leased, Provider};
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
        DiskProvider::builder(self.folder.join("cache.redb")).clock(self.clock.clock())
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

/// The file cannot be worked on while this is held, as if the disk hung.
fn hang(provider: &DiskProvider) -> impl Sized {
    provider.0.store.hang()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_hangs_invalidations_hold_and_nobody_waits_long() {
    let disk = Disk::new();
    let patience = Duration::from_millis(100);
    let (provider, cache) = opened(disk.builder().timeout(patience)).await;
    for key in ["key", "tagged", "stays"] {
        cache.set(key, "v").tag(key).await.unwrap();
    }
    let hanging = hang(&provider);
    let error = cache.get::<String>("key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert_eq!(
        cache.set("late", "v").await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(cache.invalidate("key").await.unwrap(), Invalidated::Pending);
    assert_eq!(
        cache.invalidate_tag("tagged").await.unwrap(),
        Invalidated::Pending
    );
    let load = || async { Ok::<_, std::convert::Infallible>("computed".to_owned()) };
    assert_eq!(
        cache.get_or_set("stays", load).await,
        Ok("computed".to_owned())
    );
    drop(hanging);
    // At once: what waits is hidden before it is written.
    for key in ["key", "tagged"] {
        let seen = cache.get::<String>(key).await;
        assert!(!matches!(seen, Ok(Some(_))), "{key}");
    }
    let log = provider.log();
    eventually("the disk is told", || !log.has_pending()).await;
    cache.set("tagged", "new").tag("tagged").await.unwrap();
    for (key, expected) in [
        ("key", None),
        ("tagged", Some("new")),
        ("stays", Some("v")),
        ("late", None),
    ] {
        let seen = cache.get::<String>(key).await.unwrap();
        assert_eq!(seen.as_deref(), expected, "{key}");
    }
}

const KEY: &str = "cache::k";

fn entry(provider: &DiskProvider, value: &str) -> Arc<Entry> {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: provider.log().stamp(),
        created: provider.clock().now(),
        expires: None,
        tags: [].into(),
    };
    Arc::new(Entry::new(meta, Payload::typed(value.to_owned())))
}

fn bytes(provider: &DiskProvider, value: &str) -> Encoded {
    let entry = entry(provider, value);
    let bytes = encoded(KEY, &entry, &provider.0.store.packing).expect("bytes");
    Encoded {
        key: KEY.into(),
        bytes,
    }
}

async fn leased(provider: &DiskProvider) -> Lease {
    let stamp = provider.log().stamp();
    match provider.lease(KEY, None, stamp).await.expect("an answer") {
        Leased::Lease(lease) => lease,
        other => panic!("a lease, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_began_while_a_write_was_under_way_stores_nothing() {
    for record in [None, Some(Record::Key(KEY.into()))] {
        let disk = Disk::new();
        let (provider, cache) = opened(disk.builder()).await;
        let store = &provider.0.store;
        let new = bytes(&provider, "new");
        let lease = store.work(|database| {
            let transaction = database.begin_write()?;
            let mut batch = Batch::begin(&transaction, store)?;
            match record {
                None => batch.set(&[new])?,
                Some(record) => drop(batch.invalidate(&[record])?),
            }
            let done = batch.finish()?;
            let lease = block_in_place(|| Handle::current().block_on(leased(&provider)));
            transaction.commit()?;
            done.take_effect(store);
            Ok(lease)
        });
        let old = entry(&provider, "old");
        assert!(!provider.fill(KEY, old, lease.unwrap()).await.unwrap());
        assert_ne!(
            cache.get::<String>("k").await.unwrap().as_deref(),
            Some("old")
        );
    }
}

#[tokio::test]
async fn a_load_stores_nothing_behind_a_write_of_its_own_transaction() {
    let disk = Disk::new();
    let (provider, _cache) = opened(disk.builder()).await;
    let store = &provider.0.store;
    for record in [None, Some(Record::Key(KEY.into()))] {
        let lease = leased(&provider).await;
        let (new, old) = (bytes(&provider, "new"), bytes(&provider, "old"));
        let filled = store.work(|database| {
            let transaction = database.begin_write()?;
            let mut batch = Batch::begin(&transaction, store)?;
            match &record {
                None => batch.set(&[new])?,
                Some(record) => drop(batch.invalidate(std::slice::from_ref(record))?),
            }
            batch.fill(&old, lease)
        });
        assert!(!filled.unwrap(), "{record:?}");
    }
}

#[tokio::test]
async fn what_is_written_after_an_invalidation_that_waits_is_shown() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder()).await;
    for run in 0..20 {
        provider.log().pend(&[Record::Tag("t".into())], "cache:");
        cache.set("k", &run).tag("t").await.unwrap();
        assert_eq!(cache.get("k").await.unwrap(), Some(run));
        provider.log().pend(&[Record::Tag("t".into())], "cache:");
        let options = EntryOptions::new().tag("t");
        assert_eq!(cache.increment_with("n", 7, options).await.unwrap(), 7);
        assert_eq!(cache.get("n").await.unwrap(), Some(7));
        provider
            .log()
            .pend(&[Record::Key("cache::n".into())], "cache:");
        assert!(!cache.expire("n", Duration::from_secs(1)).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_at_one_moment_share_a_transaction() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder().timeout(Duration::from_secs(60))).await;
    cache.set("k", "v").await.unwrap();
    let before = provider.0.store.commits();
    let hanging = hang(&provider);
    let writes: Vec<_> = (0..100)
        .map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.set(&key.to_string(), &key).await })
        })
        .collect();
    let queued = || provider.0.room.available_permits() == super::QUEUE_KIB - 100;
    eventually("all wait", queued).await;
    drop(hanging);
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let commits = provider.0.store.commits() - before;
    // The first to come may be alone.
    assert!(commits <= 2, "{commits} transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_file_is_opened_anew() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder()).await;
    cache.set("k", "v").tag("t").await.unwrap();
    let store = &provider.0.store;
    // A transaction that failed, but has reached the disk all the same.
    let written = store.work(|database| {
        let transaction = database.begin_write()?;
        let mut state = State::of(&transaction)?;
        state.record(&Record::Tag("t".into()))?;
        assert_eq!(state.own(Own::Sequence)?, 1);
        state.finish()?;
        transaction.commit()?;
        Ok(())
    });
    written.unwrap();
    assert!(cache.exists("k").await.unwrap(), "nobody has been told");
    store.fail();
    eventually("the file is opened anew", || !store.has_failed()).await;
    assert_eq!(provider.log().stamp().sequence(), 1);
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    let error = cache.set("k", "v").await.unwrap_err();
    assert!(error.to_string().contains("tried again"), "{error}");
    assert!(error.is_retryable());
    while cache.set("k", "new").tag("t").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(cache.exists("k").await.unwrap());
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

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_than_was_known_is_not_gone_on_with() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder()).await;
    cache.set("k", "v").tag("t").await.unwrap();
    cache.invalidate_tag("t").await.unwrap();
    let store = &provider.0.store;
    let turned_back = store.work(|database| {
        let transaction = database.begin_write()?;
        let mut state = State::of(&transaction)?;
        state.set_own(Own::Sequence, 0)?;
        state.finish()?;
        transaction.commit()?;
        Ok(())
    });
    turned_back.unwrap();
    store.fail();
    let is_closed = || store.read(|_| Ok(())).is_err();
    eventually("the file is looked at", is_closed).await;
    for _ in 0..100 {
        assert!(!matches!(cache.get::<String>("k").await, Ok(Some(_))));
        assert!(provider.ping().await.is_err());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
