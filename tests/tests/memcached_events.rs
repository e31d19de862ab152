//! Who is told of invalidations on a memcached node, and what they may do then.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use cache_core::Cache;
use cache_tests::memcached_node::{cache, quiet_node};
use cache_tests::memcached_server::MemcachedServer;
use futures_util::FutureExt;

/// A reader whose waking calls the cache.
struct Calling {
    cache: Cache,
    woken: AtomicUsize,
}

impl Wake for Calling {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        // It comes as far as asking the server, past what is known of the log.
        let sent = self.cache.invalidate_tag("other").into_future();
        let _ = sent.now_or_never();
    }
}

async fn wake_a_reader_by_what_another_node_has_invalidated() {
    let server = MemcachedServer::start();
    let told = cache(quiet_node(&server).await);
    let other = cache(quiet_node(&server).await);
    let calling = Arc::new(Calling {
        cache: told.clone(),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&calling));
    let mut events = told.events();
    let mut next = pin!(events.next());
    let mut context = Context::from_waker(&waker);
    assert!(next.as_mut().poll(&mut context).is_pending());
    other.invalidate_tag("t").await.expect("the invalidation");
    told.get::<String>("k").await.expect("the read that learns");
    assert_eq!(calling.woken.load(Ordering::SeqCst), 1);
    assert!(next.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn a_reader_that_calls_the_cache_when_it_is_woken_meets_no_lock() {
    // A thread of its own: one that meets a lock stands still for ever.
    let (done, is_done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        cache_core::testkit::block_on(wake_a_reader_by_what_another_node_has_invalidated());
        done.send(())
    });
    let is_done = tokio::time::timeout(Duration::from_secs(20), is_done).await;
    is_done
        .expect("nobody stands still")
        .expect("nobody panics");
}
