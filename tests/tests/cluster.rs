//! The cluster that other tests start: it forms, moves slots, and has replicas that take over.

use cache_tests::cluster::{Cluster, Failover, PRIMARIES, slot_of};
use redis::Value;

fn get(cluster: &Cluster, key: &str) -> Option<String> {
    cluster.cli(key, &["GET", key])
}

fn set(cluster: &Cluster, key: &str, value: &str) {
    let _: () = cluster.cli(key, &["SET", key, value]);
}

#[test]
fn every_key_has_a_node_that_serves_it_and_others_that_say_where_it_is() {
    let cluster = Cluster::start();
    for node in 0..PRIMARIES {
        let key = cluster.key_on(node, "key");
        let slot: u16 = cluster.server(0).cli(&["CLUSTER", "KEYSLOT", &key]);
        assert_eq!((slot_of(&key), cluster.owner_of(&key)), (slot, node));
        set(&cluster, &key, "value");
        assert_eq!(get(&cluster, &key).as_deref(), Some("value"));
        let other = cluster.server((node + 1) % PRIMARIES);
        let error = other.try_cli::<Value>(&["GET", &key]).unwrap_err();
        assert_eq!(error.code(), Some("MOVED"));
    }
}

#[test]
fn a_key_moves_with_its_slot() {
    let cluster = Cluster::start();
    let (one, two) = ("{tag}one", "{tag}two");
    for key in [one, two] {
        set(&cluster, key, key);
    }
    let source = cluster.owner_of(one);
    let target = (source + 1) % PRIMARIES;
    let moving = cluster.begin_move(slot_of(one), target);
    moving.carry_key(one);
    let ask = |key| cluster.server(source).try_cli::<Value>(&["GET", key]);
    assert_eq!(ask(one).unwrap_err().code(), Some("ASK"));
    assert!(ask(two).is_ok(), "it has not moved yet");
    moving.finish();
    for key in [one, two] {
        assert_eq!(cluster.owner_of(key), target);
        assert_eq!(get(&cluster, key).as_deref(), Some(key));
    }
    cluster.move_slots(slot_of(one)..slot_of(one) + 3, source);
    assert_eq!(get(&cluster, two).as_deref(), Some(two));
}

#[test]
fn a_replica_takes_over_with_what_it_has_received() {
    let mut cluster = Cluster::start_replicated();
    let key = cluster.key_on(1, "key");
    let replica = cluster.partner(1);
    set(&cluster, &key, "received");
    cluster.wait_until_replicated(replica);
    cluster.cut_replication(1);
    set(&cluster, &key, "lost");
    cluster.kill(1);
    cluster.wait_for_takeover(1);
    assert_eq!(cluster.owner_of(&key), replica);
    assert_eq!(get(&cluster, &key).as_deref(), Some("received"));

    cluster.restart(1);
    cluster.wait_until_settled();
    assert!(!cluster.is_primary(1));
    cluster.mend_replication(replica);
    for (node, how) in [(1, Failover::Orderly), (replica, Failover::Takeover)] {
        cluster.fail_over(node, how);
        assert_eq!(cluster.owner_of(&key), node);
        cluster.mend_replication(node);
    }
    assert_eq!(get(&cluster, &key).as_deref(), Some("received"));
}

#[test]
fn a_node_that_stands_still_loses_its_place() {
    let cluster = Cluster::start_replicated();
    let key = cluster.key_on(0, "key");
    cluster.pause(0);
    cluster.wait_for_takeover(0);
    assert_eq!(cluster.owner_of(&key), cluster.partner(0));
    cluster.resume(0);
    cluster.wait_until_settled();
    set(&cluster, &key, "value");
    assert_eq!(get(&cluster, &key).as_deref(), Some("value"));
}
