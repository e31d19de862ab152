//! A file that cannot be worked on for a while, and what comes after it.

use std::time::{Duration, Instant};

use super::{Disk, change, opened};
use crate::error::ErrorKind;
use crate::log::{Invalidated, Record};
use crate::provider::Provider;
use crate::provider::disk::job::Orphan;
use crate::provider::disk::state::Own;
use crate::provider::disk::{DiskProvider, QUEUE_KIB};
use crate::testkit::eventually;
use crate::{Cache, EntryOptions};

/// The file cannot be worked on while this is held, as if the disk hung.
fn hang(provider: &DiskProvider) -> impl Sized {
    provider.0.store.hang()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_hangs_invalidations_hold_and_nobody_waits_long() {
    let disk = Disk::new();
    let patience = Duration::from_millis(300);
    let (provider, cache) = opened(disk.builder().timeout(patience)).await;
    for key in ["key", "tagged", "stays"] {
        stored(&cache, key, "v").await;
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
    let began = Instant::now();
    let answer = cache.get_or_set("stays", load).await;
    assert_eq!(answer, Ok("computed".to_owned()));
    assert!(began.elapsed() < patience * 3, "{:?}", began.elapsed());
    drop(hanging);
    // At once: what waits is hidden before it is written.
    for key in ["key", "tagged"] {
        let seen = cache.get::<String>(key).await;
        assert!(!matches!(seen, Ok(Some(_))), "{key}");
    }
    let log = provider.log();
    eventually("the disk is told", || !log.has_pending()).await;
    stored(&cache, "tagged", "new").await;
    for (key, expected) in [
        ("key", None),
        ("tagged", Some("new")),
        ("stays", Some("v")),
        ("late", None),
    ] {
        let mut seen = cache.get::<String>(key).await;
        while seen.is_err() {
            seen = cache.get(key).await;
        }
        assert_eq!(seen.unwrap().as_deref(), expected, "{key}");
    }
}

/// However long other programs make the disk wait.
async fn stored(cache: &Cache, key: &str, value: &str) {
    while cache.set(key, value).tag(key).await.is_err() {}
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
async fn a_set_that_was_begun_and_answered_too_late_is_not_shown() {
    let disk = Disk::new();
    let patience = Duration::from_secs(1);
    let (provider, cache) = opened(disk.builder().timeout(patience)).await;
    stored(&cache, "k", "old").await;
    let (go_on, waits) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    // While the writer is busy with this, the others meet in one transaction.
    let first = provider.write(0, Orphan::Done, move |_| {
        begun.send(()).expect("somebody waits");
        released.recv().expect("a release");
        Ok(())
    });
    let set = async {
        let set = cache.set("k", "late").await;
        go_on.send(()).expect("somebody waits");
        set
    };
    // In its transaction, whose end it holds up.
    let holds_up = provider.write(0, Orphan::Done, move |_| {
        waits.recv().expect("an end");
        Ok(())
    });
    let others = async {
        has_begun.await.expect("a beginning");
        let release = async { release.send(()).expect("somebody waits") };
        tokio::join!(set, holds_up, release)
    };
    let (_, (set, ..)) = tokio::join!(first, others);
    assert_eq!(set.unwrap_err().kind(), ErrorKind::Timeout);
    let log = provider.log();
    eventually("the disk is told", || !log.has_pending()).await;
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    stored(&cache, "k", "new").await;
    assert_eq!(
        cache.get::<String>("k").await.unwrap().as_deref(),
        Some("new")
    );
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
    let queued = || provider.0.room.available_permits() == QUEUE_KIB - 100;
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
    change(&provider, |state| state.record(&Record::Tag("t".into())));
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

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_than_was_known_is_not_gone_on_with() {
    let disk = Disk::new();
    let (provider, cache) = opened(disk.builder()).await;
    cache.set("k", "v").tag("t").await.unwrap();
    cache.invalidate_tag("t").await.unwrap();
    let store = &provider.0.store;
    change(&provider, |state| state.set_own(Own::Sequence, 0));
    store.fail();
    let is_closed = || store.read(|_| Ok(())).is_err();
    eventually("the file is looked at", is_closed).await;
    for _ in 0..100 {
        assert!(!matches!(cache.get::<String>("k").await, Ok(Some(_))));
        assert!(provider.ping().await.is_err());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
