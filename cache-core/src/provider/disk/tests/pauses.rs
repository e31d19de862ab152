//! What becomes of the writer's time while nothing is written, and of what waits at its end.

use std::sync::{Arc, mpsc};
use std::thread::sleep;
use std::time::Duration;

use super::moments::{KEY, entry, leased};
use super::{Disk, opened};
use crate::codec::Packing;
use crate::log::{Caps, Invalidated, Record};
use crate::provider::Provider;
use crate::provider::disk::DiskProvider;
use crate::provider::disk::error::Failure;
use crate::provider::disk::job::Orphan;
use crate::provider::disk::on_damage::OnDamage;
use crate::provider::disk::opening::Opening;
use crate::provider::disk::store::Store;
use crate::provider::disk::sweep::Sweep;
use crate::provider::disk::writer::{Message, Writer};
use crate::testkit::eventually;

fn writer(disk: &Disk, sweep: Duration) -> (Writer, Arc<Store>, mpsc::Sender<Message>) {
    let opening = Opening {
        path: disk.folder.join("cache.redb"),
        page_cache_bytes: 1 << 20,
        caps: Caps::DEFAULT,
        on_damage: OnDamage::Refuse,
    };
    let store = Store::open(opening, 1 << 20, disk.clock.clock(), Packing::PLAIN);
    let store = Arc::new(store.expect("a store"));
    let (sender, messages) = mpsc::channel();
    let writer = Writer::new(Arc::clone(&store), messages, Some(sweep));
    (writer, store, sender)
}

#[test]
fn while_nothing_is_written_the_writer_sleeps_though_a_sweep_is_due() {
    let disk = Disk::new();
    let (mut writer, store, _sender) = writer(&disk, Duration::from_millis(1));
    store.fail();
    writer.tend();
    sleep(Duration::from_millis(2));
    let patience = writer.patience();
    assert!(patience > Duration::from_millis(500), "{patience:?}");
    store.fail();
    writer.tend();
    let patience = writer.patience();
    assert!(patience > Duration::from_millis(500), "{patience:?}");
}

#[test]
fn a_sweep_can_be_as_far_away_as_a_duration_can_say() {
    let disk = Disk::new();
    let (mut writer, ..) = writer(&disk, Duration::MAX);
    writer.tend();
    assert_eq!(writer.patience(), Duration::from_secs(1));
}

#[tokio::test]
async fn a_step_of_a_sweep_ends_after_so_many_bytes() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder().no_sweep()).await;
    for key in 0..12 {
        cache
            .set(&format!("{key:02}"), &"x".repeat(1 << 20))
            .tag("t")
            .await
            .unwrap();
    }
    cache.invalidate_tag("t").await.unwrap();
    let mut sweep = Sweep::new(Duration::from_millis(1));
    let mut steps = Vec::new();
    while steps.iter().sum::<usize>() < 12 {
        sleep(Duration::from_millis(30));
        let found = sweep.step(&provider.0.store).unwrap();
        assert!(!found.is_empty(), "after {steps:?}");
        steps.push(found.len());
    }
    assert_eq!(steps, [4, 4, 4]);
}

/// A write that fails as on a broken disk; nothing is written for a while after it.
async fn pause(provider: &DiskProvider) {
    let broken = || Failure::File(std::io::Error::other("broken").into());
    let written = provider.write(0, Orphan::Done, move |_| Err::<(), _>(broken()));
    assert!(written.await.is_err());
    let store = &provider.0.store;
    eventually("the file is opened anew", || !store.has_failed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_began_before_the_file_was_opened_anew_stores_nothing() {
    let disk = Disk::new();
    let (provider, _cache) = opened(disk.builder()).await;
    let lease = leased(&provider).await;
    let began = std::time::Instant::now();
    pause(&provider).await;
    loop {
        let filled = provider.fill(KEY, entry(&provider, "old"), lease).await;
        match filled {
            Ok(filled) => return assert!(!filled),
            Err(error) => assert!(began.elapsed().as_secs() < 30, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_written_at_the_end_when_the_disk_is_well_again() {
    for (is_failed, is_closed) in [(false, true), (true, true), (false, false), (true, false)] {
        let what = format!("failed: {is_failed}, closed: {is_closed}");
        let disk = Disk::new();
        let (provider, cache) = opened(disk.builder()).await;
        cache.set("k", "v").tag("t").await.unwrap();
        match is_failed {
            false => pause(&provider).await,
            true => {
                provider.0.store.fail();
                provider.log().pend(&[Record::Tag("t".into())], "cache:");
            }
        }
        if !is_failed {
            let waits = cache.invalidate_tag("t").await.unwrap();
            assert_eq!(waits, Invalidated::Pending, "{what}");
        }
        if is_closed {
            provider.close().await;
        }
        drop((provider, cache));
        let (_provider, cache) = opened(disk.builder()).await;
        assert_eq!(cache.get::<String>("k").await.unwrap(), None, "{what}");
    }
}
