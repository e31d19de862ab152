//! Loads that begin and end between the steps of a write.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{Disk, opened};
use crate::entry::{Entry, EntryId, Meta, Owner, Payload};
use crate::log::Record;
use crate::provider::disk::DiskProvider;
use crate::provider::disk::batch::Batch;
use crate::provider::disk::changes::{Encoded, encoded};
use crate::provider::{Lease, Leased, Provider};

pub(super) const KEY: &str = "cache::k";

pub(super) fn entry(provider: &DiskProvider, value: &str) -> Arc<Entry> {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: provider.log().stamp(),
        created: provider.clock().now(),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
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

pub(super) async fn leased(provider: &DiskProvider) -> Lease {
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
async fn what_waited_and_was_written_during_a_write_does_not_hide_what_it_stores() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder()).await;
    let everything = [Record::All("cache:".into())];
    // It has its stamp; then comes the writer's turn for what has waited.
    let early = entry(&provider, "new");
    provider.invalidate(&everything).await.unwrap();
    provider.set(vec![(KEY, early)]).await.unwrap();
    let shown = cache.get::<String>("k").await.unwrap();
    assert_eq!(shown.as_deref(), Some("new"));

    let early = entry(&provider, "");
    let early = Arc::new(early.with_payload(Payload::Counter(7)));
    provider.invalidate(&everything).await.unwrap();
    assert_eq!(provider.increment(KEY, 7, early).await.unwrap(), 7);
    assert_eq!(cache.get("k").await.unwrap(), Some(7));
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
