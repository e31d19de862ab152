//! Orders that no caller can see from outside, and that all rests on.

use super::*;
use crate::entry::{Meta, Payload};
use crate::log::Record;
use crate::provider::memory::MemoryProvider;

const KEY: &str = "cache::k";

fn engine() -> Engine {
    over(Arc::new(MemoryProvider::new()))
}

fn over(provider: Arc<dyn Provider>) -> Engine {
    let waits = Waits {
        flight: Duration::from_secs(60),
        lock: Duration::from_secs(30),
    };
    Engine::new(provider, None, waits)
}

fn question() -> Question {
    Question {
        key: KEY.into(),
        owner: Owner::HANDLE,
        tags: Arc::default(),
        tags_are_all: true,
        arrived: Instant::now(),
        unfit: None,
        counters: Arc::default(),
        default_ttl: Ttl::Never,
        codec: CodecId::JSON,
        reading: Reading {
            near: true,
            strict: false,
            lock: true,
        },
        policy: Arc::default(),
        shows_stale_for: Duration::ZERO,
    }
}

fn entry(engine: &Engine) -> Entry {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: engine.log.stamp(),
        created: engine.clock.now(),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: [Box::from("t")].into(),
    };
    Entry::new(meta, Payload::Counter(1))
}

#[test]
fn an_entry_is_marked_with_the_counter_from_before_the_look() {
    let engine = engine();
    let entry = entry(&engine);
    let before = engine.log.publication();
    // What is published while somebody looks may hide what he has already found visible.
    engine.log.append_local(&Record::Tag("another".into()));
    let now = engine.clock.now();
    let judged = engine.judge(KEY, &entry, Owner::HANDLE, now, before);
    assert_eq!(judged, Ok(()));
    assert!(entry.is_checked(before));
    assert!(!entry.is_checked(engine.log.publication()));
}

#[test]
fn a_mark_spares_the_look_until_the_counter_moves() {
    let engine = engine();
    let entry = entry(&engine);
    let judge = || {
        let publication = engine.log.publication();
        let now = engine.clock.now();
        engine.judge(KEY, &entry, Owner::HANDLE, now, publication)
    };
    assert_eq!(judge(), Ok(()));
    engine.log.append_local(&Record::Tag("t".into()));
    assert_eq!(judge(), Err(Miss::Invalidated));
}

/// Waiting would need a task of its own to end it, and the test would hang.
#[tokio::test]
async fn over_one_memory_two_engines_load_at_once_and_the_last_to_begin_stores() {
    let provider: Arc<dyn Provider> = Arc::new(MemoryProvider::new());
    let (one, two) = (over(Arc::clone(&provider)), over(provider));
    let (one, two) = (Arc::new(one), Arc::new(two));
    let (first, second) = (one.turn(&question()).await, two.turn(&question()).await);
    let (Turn::Lead(first), Turn::Lead(second)) = (first, second) else {
        panic!("both lead");
    };
    let options = crate::EntryOptions::new;
    let published = first.publish("first".to_owned(), options()).await;
    assert_eq!(published, Published::Refused);
    let published = second.publish("second".to_owned(), options()).await;
    assert_eq!(published, Published::Stored);
    let Turn::Hit(hit) = one.turn(&question()).await else {
        panic!("a hit");
    };
    assert_eq!(hit.value::<String>().unwrap(), "second");
}
