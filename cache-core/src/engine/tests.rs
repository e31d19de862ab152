//! Orders that no caller can see from outside, and that all rests on.

use super::*;
use crate::entry::{Meta, Payload};
use crate::log::Record;
use crate::provider::memory::MemoryProvider;

const KEY: &str = "cache::k";

fn engine() -> Engine {
    Engine::new(Arc::new(MemoryProvider::new()), None, Duration::ZERO)
}

fn entry(engine: &Engine) -> Entry {
    let meta = Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp: engine.log.stamp(),
        created: engine.clock.now(),
        expires: None,
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
