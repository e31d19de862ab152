//! In which order readings of the log count, whatever the order in which they are taken in.

use super::*;
use crate::error::ErrorKind;
use crate::log::{Caps, Kind};
use crate::provider::memcached::address::Address;

const ROOM: usize = LEAST_ROOM;

fn backplane() -> Backplane {
    let address = Address::parse("memcache://127.0.0.1:1").unwrap();
    let runtime = tokio::runtime::Handle::current();
    let second = Duration::from_secs(1);
    let link = Link::new(address, second, second, runtime);
    Backplane::new(link, "app:".to_owned(), Clock::system(), second, ROOM)
}

fn ledger(number: u64, tags: usize) -> Ledger {
    let tags: Vec<_> = (0..tags)
        .map(|n| Record::Tag(format!("t{n}").into()))
        .collect();
    Ledger::new(Incarnation::new(number, number)).with(&tags, ROOM)
}

#[tokio::test]
async fn what_was_read_of_a_log_that_is_gone_does_not_bring_it_back() {
    let backplane = backplane();
    let (old, new) = (ledger(1, 3), ledger(2, 1));
    backplane.absorb(1, 5, old.clone()).unwrap();
    backplane.absorb(1, 9, new.clone()).unwrap();
    assert_eq!(backplane.log.stamp(), new.stamp());
    let known = backplane.absorb(1, 5, old.clone()).unwrap();
    assert_eq!((known.cas, &*known.ledger), (9, &new));
    assert_eq!(backplane.log.stamp(), new.stamp());

    let newest = ledger(3, 0);
    backplane.absorb(2, 1, newest.clone()).unwrap();
    let error = backplane.absorb(1, 99, old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(backplane.log.stamp(), newest.stamp());
}

#[tokio::test]
async fn a_log_that_lacks_what_this_node_has_applied_is_not_believed() {
    let backplane = backplane();
    backplane.absorb(1, 5, ledger(1, 3)).unwrap();
    assert!(backplane.readable(&ledger(1, 2).encode()).is_none());
    assert!(backplane.readable(&ledger(1, 3).encode()).is_some());
    assert!(backplane.readable(&ledger(2, 0).encode()).is_some());
    assert!(backplane.readable(b"hello").is_none());
}

#[tokio::test]
async fn what_the_log_does_not_remember_any_more_is_hidden_and_the_rest_applied_one_by_one() {
    let backplane = backplane();
    backplane.absorb(1, 1, ledger(1, 0)).unwrap();
    let began = backplane.log.publication();
    backplane.absorb(1, 2, ledger(1, 3)).unwrap();
    assert_eq!(backplane.log.publication(), began + 3);
    let many = ledger(1, 5_000);
    let barriers = many.barriers();
    backplane.absorb(1, 3, many).unwrap();
    assert_eq!(
        backplane.log.publication(),
        began + 4,
        "taken over as a whole"
    );
    assert_eq!(barriers.position(Kind::Tag, "t0"), 0);
    let t0 = [Box::from("t0")];
    let stamp = crate::log::Stamp::new(Incarnation::new(1, 1), 3);
    assert!(!backplane.log.shows("app:n:k", &t0, stamp));
    assert!(backplane.log.shows("app:n:k", &[], stamp));
    assert!(
        Caps::DEFAULT.of(Kind::Tag) > 5_000,
        "it is the room that is too small"
    );
}
