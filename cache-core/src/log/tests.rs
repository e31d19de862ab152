//! The order in which a record takes effect, and what is judged meanwhile.

use std::time::Duration;

use super::*;
use crate::entry::{EntryId, Owner};

const KEY: &str = "p:n:k";

fn meta(stamp: Stamp) -> Meta {
    Meta {
        id: EntryId::random(),
        owner: Owner::HANDLE,
        stamp,
        created: Timestamp::default(),
        expires: None,
        kept_for: Duration::ZERO,
        load_time: Duration::ZERO,
        tags: [Box::from("t")].into(),
    }
}

/// Notes whether an entry is shown at the moment when all is fenced.
struct Onlooker {
    log: Log,
    entry: Meta,
    shown: Mutex<Vec<bool>>,
}

impl Watcher for Onlooker {
    fn fence(&self, _: &str) {}

    fn fence_all(&self) {
        let shown = self.log.is_visible(KEY, &self.entry);
        self.shown.lock().unwrap().push(shown);
    }
}

/// Reads at the moment when a key is fenced: what the counter says, and whether an entry shows.
struct Reader {
    log: Log,
    entry: Meta,
    read: Mutex<Vec<(u64, bool)>>,
}

impl Watcher for Reader {
    fn fence(&self, key: &str) {
        let shown = self.log.is_visible(key, &self.entry);
        let read = (self.log.publication(), shown);
        self.read.lock().unwrap().push(read);
    }

    fn fence_all(&self) {}
}

#[test]
fn the_counter_moves_when_the_barrier_stands_and_all_is_fenced() {
    let log = Log::remote(Caps::DEFAULT);
    let began = log.stamp();
    let before = log.publication();
    let reader = Arc::new(Reader {
        log: log.clone(),
        entry: meta(began),
        read: Mutex::default(),
    });
    let watcher: Arc<dyn Watcher> = reader.clone();
    log.watch(Arc::downgrade(&watcher));
    let record = Record::Key(KEY.into());
    log.apply(
        began.incarnation(),
        &[Positioned {
            sequence: 1,
            record: record.clone(),
        }],
    )
    .unwrap();
    let after = log.publication();
    log.pend(&[record], "p:");
    let read = std::mem::take(&mut *reader.read.lock().unwrap());
    assert_eq!(read, [(before, false), (after, false)]);
    assert!(before < after && after < log.publication());
}

#[test]
fn while_a_new_incarnation_is_taken_over_nothing_of_the_old_one_is_shown() {
    let log = Log::remote(Caps::DEFAULT);
    let began = log.stamp();
    let hidden = [Positioned {
        sequence: 1,
        record: Record::Tag("t".into()),
    }];
    log.apply(began.incarnation(), &hidden).unwrap();
    let onlooker = Arc::new(Onlooker {
        log: log.clone(),
        entry: meta(began),
        shown: Mutex::default(),
    });
    let watcher: Arc<dyn Watcher> = onlooker.clone();
    log.watch(Arc::downgrade(&watcher));
    let next = Stamp::new(Incarnation::random(1), 0);
    log.reset(next, Barriers::new(Caps::DEFAULT));
    assert_eq!(*onlooker.shown.lock().unwrap(), [false]);
    assert_eq!(log.stamp(), next);
}

#[test]
fn what_records_have_hidden_can_be_judged_as_if_they_were_not_there() {
    let records = [
        Record::Key(KEY.into()),
        Record::Tag("t".into()),
        Record::Pattern("p:n:*".into()),
        Record::All("p:n".into()),
    ];
    let log = Log::remote(Caps::DEFAULT);
    let incarnation = log.stamp().incarnation();
    let apply = |from: u64| {
        let positioned = |(sequence, record): (u64, &Record)| Positioned {
            sequence,
            record: record.clone(),
        };
        let records: Vec<_> = (from..).zip(&records).map(positioned).collect();
        log.apply(incarnation, &records).unwrap();
    };
    let oldest = meta(log.stamp());
    apply(1);
    let newer = meta(log.stamp());
    let undo = log.undo_all(&records);
    apply(5);
    assert!(!log.is_visible(KEY, &newer));
    assert!(log.was_visible(KEY, &newer, &undo));
    assert!(!log.was_visible(KEY, &oldest, &undo));
    let undo_one = log.undo("p:n:*");
    assert!(!log.was_visible(KEY, &newer, &undo_one));
}

#[test]
fn while_an_invalidation_waits_no_entry_is_new_enough() {
    let log = Log::remote(Caps::DEFAULT);
    log.pend(&[Record::All("p:n".into())], "p:");
    assert!(log.visible_from(KEY).sequence() > u64::from(u32::MAX));
    assert_eq!(log.visible_from("p:other:k").sequence(), 0);
    log.delivered(log.pending().1);
    assert_eq!(log.visible_from(KEY).sequence(), 0);
}

#[test]
fn what_an_incarnation_descends_from_is_shown_as_far_as_it_survived() {
    let [old, new, other] = [1, 2, 1].map(Incarnation::random);
    let lineage = Lineage::new(vec![Stamp::new(old, 10)]);
    for (lineage, shows) in [(lineage.clone(), true), (lineage.concealed(), false)] {
        let log = Log::remote(Caps::DEFAULT);
        let mut barriers = Barriers::new(Caps::DEFAULT);
        barriers.insert(&Record::All("p:m".into()), 8);
        log.inherit(Stamp::new(new, 12), barriers, lineage, "p:");
        let visible = |incarnation, sequence| {
            let entry = meta(Stamp::new(incarnation, sequence));
            log.is_visible(KEY, &entry)
        };
        assert_eq!(visible(old, 10), shows);
        assert!(!visible(old, 11), "what it was computed on is lost");
        assert!(!visible(other, 3));
        assert!(visible(new, 12));
        let hidden = meta(Stamp::new(old, 7));
        assert!(!log.is_visible("p:m:k", &hidden));
    }
}

#[test]
fn at_no_time_does_nothing_hide_what_was_lost() {
    let log = Log::remote(Caps::DEFAULT);
    let old = Incarnation::random(1);
    log.reset(Stamp::new(old, 10), Barriers::new(Caps::DEFAULT));
    let onlooker = Arc::new(Onlooker {
        log: log.clone(),
        entry: meta(log.stamp()),
        shown: Mutex::default(),
    });
    let began = log.moment();
    let lost = [Positioned {
        sequence: 11,
        record: Record::Tag("t".into()),
    }];
    log.apply(old, &lost).unwrap();
    let watcher: Arc<dyn Watcher> = onlooker.clone();
    log.watch(Arc::downgrade(&watcher));
    let next = Stamp::new(Incarnation::random(2), 10);
    let lineage = Lineage::new(vec![Stamp::new(old, 10)]);
    log.inherit(next, Barriers::new(Caps::DEFAULT), lineage, "p:");
    assert_eq!(*onlooker.shown.lock().unwrap(), [false]);
    assert!(log.hides_load(KEY, &["t".into()], began));
    let (waiting, came) = log.pending();
    assert_eq!(waiting, [Record::Tag("t".into())]);

    log.delivered(came);
    assert!(log.is_visible(KEY, &onlooker.entry), "only that hid it");
    assert!(!log.hides_load(KEY, &["t".into()], began));
}
