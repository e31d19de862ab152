//! Events: what is invalidated is told on every node, and an entry that leaves this process's memory as well.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::SHORT;
use crate::events::{EntryKey, Event, Events, InvalidatedBy};

/// Longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is invalidated next; the same is told twice where a call was repeated.
async fn next(events: &mut Events, last: &mut Option<InvalidatedBy>) -> InvalidatedBy {
    loop {
        let next = timeout(PATIENCE, events.next()).await;
        let next = next.expect("something is told").expect("it goes on");
        match next {
            Event::Invalidated(by) if last.as_ref() != Some(&by) => {
                return last.insert(by).clone();
            }
            _ => {}
        }
    }
}

fn is_about(told: &InvalidatedBy, key: &str) -> bool {
    match told {
        InvalidatedBy::Key(it) | InvalidatedBy::Pattern(it) => it.key() == key,
        _ => false,
    }
}

checks! {
    events as conformance_events, needs [];

    /// Each invalidation is told on both nodes, with what it named, in the order of the calls.
    async fn every_node_is_told_of_what_any_node_invalidates(nodes, cache) {
        let name = "every_node_is_told_of_what_any_node_invalidates";
        let both = [nodes.reader.namespace(name).events(), cache.events()];
        cache.invalidate("a").await.unwrap();
        cache.invalidate_tag("t").await.unwrap();
        cache.invalidate_pattern("b*").await.unwrap();
        cache.clear().await.unwrap();
        for mut events in both {
            let mut last = None;
            assert!(is_about(&next(&mut events, &mut last).await, "a"));
            let tag = next(&mut events, &mut last).await;
            assert_eq!(tag, InvalidatedBy::Tag("t".into()));
            assert!(is_about(&next(&mut events, &mut last).await, "b*"));
            let all = next(&mut events, &mut last).await;
            assert_eq!(all, InvalidatedBy::Namespace(name.into()));
        }
    }

    /// Who follows one namespace hears nothing of another's keys.
    async fn a_namespace_is_told_of_its_own(nodes, cache) {
        let mut events = cache.namespace("one").events();
        cache.namespace("two").invalidate("elsewhere").await.unwrap();
        cache.namespace("one").invalidate("here").await.unwrap();
        assert!(is_about(&next(&mut events, &mut None).await, "here"));
    }

    /// Where the entries are in this process's memory, one that expires is told when it is freed.
    async fn what_expires_in_memory_is_told(nodes, cache) {
        let mut events = cache.events();
        cache.set("a", "v").ttl(SHORT).await.unwrap();
        nodes.elapse(SHORT).await;
        cache.sweep().await.unwrap();
        let mut expired = expired_keys(&mut events);
        if cache.usage().expirations.is_none() {
            assert!(expired.is_empty(), "what is not known is not told");
            return;
        }
        let begun = Instant::now();
        while expired.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "it has expired");
            nodes.elapse(SHORT).await;
            cache.sweep().await.unwrap();
            expired = expired_keys(&mut events);
        }
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].key(), "a");
    }
}

fn expired_keys(events: &mut Events) -> Vec<EntryKey> {
    let expired = |event| match event {
        Event::Expired(key) => Some(key),
        _ => None,
    };
    let told = std::iter::from_fn(|| events.try_next());
    told.filter_map(expired).collect()
}
