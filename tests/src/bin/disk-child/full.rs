//! A file that may not grow any more, and then may again.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use cache_core::testkit::eventually;
use cache_core::{Cache, ErrorKind, Invalidated, Provider};

const LIMIT: u64 = 8 << 20;

/// The signal that comes with the limit must be ignored: see the test.
pub(super) async fn run(path: PathBuf) {
    let (provider, cache) = super::opened(path).await;
    for key in ["kept", "doomed", "tagged"] {
        cache.set(key, "v").tag(key).await.expect("a set");
    }
    let (_, hard) = rlimit::Resource::FSIZE.get().expect("a limit");
    rlimit::Resource::FSIZE.set(LIMIT, hard).expect("a limit");
    let stored = fill(&cache).await;
    while_it_is_full(&cache).await;

    rlimit::Resource::FSIZE.set(hard, hard).expect("a limit");
    let log = provider.log();
    eventually("the disk is told", || !log.has_pending()).await;
    assert_eq!(shown(&cache, "doomed").await, None);
    cache.set("after", "v").await.expect("a set");
    for key in 0..stored {
        assert!(
            cache.exists(&key.to_string()).await.expect("a look"),
            "{key}"
        );
    }
    provider.close().await;
    println!("{stored}");
}

/// Stores until nothing fits any more, and says how much did.
async fn fill(cache: &Cache) -> usize {
    let large = "x".repeat(256 << 10);
    for stored in 0..1_000 {
        let Err(error) = cache.set(&stored.to_string(), &large).await else {
            continue;
        };
        assert_eq!(error.kind(), ErrorKind::Unready, "{error:?}");
        assert!(
            error.to_string().contains("make room on the disk"),
            "{error}"
        );
        return stored;
    }
    panic!("there is room for everything");
}

async fn while_it_is_full(cache: &Cache) {
    assert_eq!(shown(cache, "kept").await.as_deref(), Some("v"));
    let error = cache.set("new", "v").await.expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::Unready);
    let load = || async { Ok::<_, Infallible>("computed".to_owned()) };
    assert_eq!(
        cache.get_or_set("new", load).await,
        Ok("computed".to_owned())
    );
    let gone = cache.invalidate("doomed").await.expect("an invalidation");
    assert_eq!(gone, Invalidated::Pending);
    let gone = cache
        .invalidate_tag("tagged")
        .await
        .expect("an invalidation");
    assert_eq!(gone, Invalidated::Pending);
    for key in ["doomed", "tagged"] {
        assert_eq!(shown(cache, key).await, None, "{key}");
        let load = || async { Ok::<_, Infallible>("computed".to_owned()) };
        assert_eq!(cache.get_or_set(key, load).await, Ok("computed".to_owned()));
    }
    assert_eq!(shown(cache, "kept").await.as_deref(), Some("v"));
}

/// Each time that writing fails, the file is opened anew, and cannot be read for a moment.
async fn shown(cache: &Cache, key: &str) -> Option<String> {
    loop {
        match cache.get(key).await {
            Ok(found) => return found,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unready, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
