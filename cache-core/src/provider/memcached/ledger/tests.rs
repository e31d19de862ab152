//! The item's bytes are pinned by a file in `golden/`; what is forgotten hides more, never less.

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../../../golden/memcached-log-v1.bin");
const ROOM: usize = 8 << 10;

fn ledger() -> Ledger {
    Ledger::new(Incarnation::new(7, 0xFEED_FACE_CAFE_BEEF))
}

fn tag(index: usize) -> Record {
    Record::Tag(format!("tag-{index}").into())
}

fn full() -> Ledger {
    let mut ledger = ledger().with(
        &[
            Record::Key("app:users:1".into()),
            Record::Tag("team:7".into()),
            Record::Pattern("app:users:é*".into()),
            Record::All("app:users".into()),
            Record::Tag("team:7".into()),
        ],
        ROOM,
    );
    ledger.floors = [3, 0, 1, 0, 2];
    ledger
}

fn sequences(ledger: &Ledger) -> Vec<u64> {
    ledger.records.iter().map(|it| it.sequence).collect()
}

#[test]
fn the_bytes_are_those_of_the_golden_file() {
    assert_eq!(full().encode(), GOLDEN);
    assert_eq!(Ledger::decode(GOLDEN), Some(full()));
}

#[test]
fn whatever_else_stands_there_is_none_of_ours() {
    for end in 0..GOLDEN.len() {
        assert_eq!(Ledger::decode(&GOLDEN[..end]), None, "{end} bytes");
    }
    let changed = |position: usize, byte: u8| {
        let mut bytes = GOLDEN.to_vec();
        bytes[position] = byte;
        Ledger::decode(&bytes)
    };
    for (position, byte) in [
        (0, 0),
        (4, 2),
        (28, 9),
        (28, 4),
        (36, 9),
        (73, b'x'),
        (81, 9),
    ] {
        assert_eq!(changed(position, byte), None, "{byte} at {position}");
    }
    assert_eq!(Ledger::decode(&[GOLDEN, b"x"].concat()), None);
    let far = Ledger::new(Incarnation::new(BEYOND_ALL, 1));
    assert_eq!(Ledger::decode(&far.encode()), None);
}

#[test]
fn of_each_argument_the_latest_record_is_kept() {
    let ledger = full();
    assert_eq!(sequences(&ledger), [1, 3, 4, 5]);
    assert_eq!(ledger.head, 5);
}

#[test]
fn who_misses_some_is_given_each_position_once() {
    let mut ledger = ledger().with(&[tag(0), tag(1), tag(2), tag(0)], ROOM);
    assert_eq!(sequences(&ledger), [2, 3, 4]);
    let since = |ledger: &Ledger, applied| {
        let records = ledger.since(applied)?.into_iter();
        Some(
            records
                .map(|it| (it.sequence, it.record))
                .collect::<Vec<_>>(),
        )
    };
    let all = vec![(1, tag(1)), (2, tag(1)), (3, tag(2)), (4, tag(0))];
    assert_eq!(since(&ledger, 0), Some(all.clone()));
    assert_eq!(since(&ledger, 3), Some(all[3..].to_vec()));
    assert_eq!(since(&ledger, 4), Some(Vec::new()));
    let far = vec![tag(0); 5_001];
    assert_eq!(ledger.with(&far, ROOM).since(4), None);
    ledger.floors[Kind::Key.index()] = 2;
    assert_eq!(since(&ledger, 1), None);
    assert_eq!(since(&ledger, 2), Some(all[2..].to_vec()));
}

#[test]
fn what_there_is_no_room_for_is_forgotten_the_oldest_first_and_hides_more() {
    let tags: Vec<_> = (0..1_000).map(tag).collect();
    let keys: Vec<_> = (0..1_000)
        .map(|index| Record::Key(format!("app:n:{index}").into()))
        .collect();
    let ledger = ledger()
        .with(&[Record::Pattern("app:n:x*".into())], ROOM)
        .with(&tags, ROOM)
        .with(&keys, ROOM);
    assert!(ledger.encode().len() < ROOM + 100);
    let barriers = ledger.barriers();
    let hidden_from = |key, tags: &[Box<str>]| barriers.visible_from(key, tags);
    assert_eq!(
        hidden_from("app:n:y", &[]),
        0,
        "keys and tags hide nothing else"
    );
    assert_eq!(hidden_from("app:n:x1", &[]), 1);
    let floor = hidden_from("app:n:y", &["unrelated".into()]);
    assert!((2..1_001).contains(&floor), "{floor}");
    assert_eq!(hidden_from("app:n:y", &["tag-999".into()]), 1_001);
    assert_eq!(ledger.since(0), None);
}

proptest::proptest! {
    #[test]
    fn whatever_is_read_is_what_would_be_written(
        changes in proptest::collection::vec((0..GOLDEN.len(), proptest::num::u8::ANY), 0..4)
    ) {
        let mut bytes = GOLDEN.to_vec();
        for (position, byte) in changes {
            bytes[position] = byte;
        }
        if let Some(read) = Ledger::decode(&bytes) {
            assert_eq!(read.encode(), bytes);
            let _ = (read.barriers(), read.since(0), read.with(&[tag(0)], ROOM));
        }
    }
}
