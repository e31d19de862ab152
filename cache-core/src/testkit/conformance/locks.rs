//! Locks: one holder at a moment, numbers that grow, and nobody who touches another's.

use super::{LONG, SHORT, WHILE, keys, text};
use crate::cache::{Cache, LockGuard};

async fn try_lock(cache: &Cache) -> Option<LockGuard> {
    cache.try_lock("name").ttl(LONG).await.expect("an answer")
}

checks! {
    locks as conformance_locks, needs [Locks];

    /// While one holds it no other gets it, on any node; then the next does, with a larger number.
    async fn a_lock_has_one_holder(nodes, cache) {
        let other = &nodes.reader.namespace("a_lock_has_one_holder");
        let guard = try_lock(cache).await.unwrap();
        assert!(guard.is_held());
        assert!(try_lock(cache).await.is_none());
        assert!(try_lock(other).await.is_none());
        assert!(cache.try_lock("another").await.unwrap().is_some());
        let first = guard.fencing();
        assert!(guard.release().await.unwrap());
        let guard = try_lock(other).await.unwrap();
        assert!(guard.fencing() > first && guard.fencing() < 1 << 53);
        assert!(guard.release().await.unwrap());
    }

    /// What has run out is neither extended nor released, and the next holder keeps it.
    async fn who_comes_too_late_does_nothing_to_the_next_holder(nodes, cache) {
        let mut late = cache.try_lock("name").ttl(SHORT).await.unwrap().unwrap();
        nodes.elapse(SHORT).await;
        assert!(!late.is_held());
        assert!(!late.extend(LONG).await.unwrap(), "nobody has it");
        let next = try_lock(cache).await.unwrap();
        assert!(next.fencing() > late.fencing());
        assert!(!late.extend(LONG).await.unwrap());
        assert!(!late.release().await.unwrap());
        assert!(try_lock(cache).await.is_none());
        assert!(next.release().await.unwrap());
    }

    /// An extension counts from now.
    async fn an_extended_lock_is_held_longer(nodes, cache) {
        let mut guard = cache.try_lock("name").ttl(WHILE).await.unwrap().unwrap();
        assert!(guard.extend(LONG).await.unwrap());
        nodes.elapse(WHILE).await;
        assert!(guard.is_held());
        assert!(try_lock(cache).await.is_none());
        assert!(guard.release().await.unwrap());
    }

    /// A dropped guard gives the lock back, in its own time.
    async fn a_dropped_guard_gives_the_lock_back(nodes, cache) {
        drop(try_lock(cache).await.unwrap());
        // Much less than its time to live, which frees it as well.
        let next = cache.lock("name").ttl(LONG).wait(LONG / 20).await.unwrap();
        assert!(next.is_some());
    }

    /// No operation on entries sees or changes a lock.
    async fn a_lock_is_no_entry(nodes, cache) {
        let guard = try_lock(cache).await.unwrap();
        assert_eq!(text(cache, "name").await, None);
        if cache.capability().scan {
            assert_eq!(keys(cache, "*").await, [""; 0]);
        }
        cache.set("name", "v").await.unwrap();
        cache.delete("name").await.unwrap();
        cache.clear().await.unwrap();
        assert!(try_lock(cache).await.is_none());
        assert!(guard.release().await.unwrap());
    }
}
