//! The rows of `docs/faults.md`, with faults that last no longer than they must to show.

use std::time::Duration;

use cache_tests::faults::{Fault, survive};

/// Long enough for timeouts, the breaker, and the touch bound.
const LASTING: Duration = Duration::from_millis(1_500);

async fn survives(fault: Fault) {
    let report = survive(fault, LASTING).await;
    let complaints = report.complaints();
    assert!(complaints.is_empty(), "{complaints:?}: {report:#?}");
}

/// A test for each fault: one that is left out does not compile.
macro_rules! survived {
    ($($name:ident: $fault:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                survives(Fault::$fault).await;
            }
        )*

        #[test]
        fn every_fault_is_one_of_the_table() {
            for fault in [$(Fault::$fault),*] {
                match fault {
                    $(Fault::$fault => assert!(Fault::EVERY.contains(&fault)),)*
                }
            }
        }
    };
}

survived! {
    without_a_fault_everything_is_in_order: Nothing,
    connections_that_break_are_survived: Cut,
    a_peer_that_never_answers_is_survived: HalfOpen,
    a_slow_network_is_survived: ShortDelay,
    a_network_slower_than_the_timeout_is_survived: LongDelay,
    replies_that_drip_are_survived: Drip,
    replies_that_are_noise_are_survived: Garbage,
    replies_that_are_lost_are_survived: RepliesLost,
    replies_that_come_twice_are_survived: RepliesTwice,
    replies_that_change_places_are_survived: RepliesSwapped,
    replies_of_other_commands_are_survived: RepliesReplaced,
    a_port_that_nobody_listens_on_is_survived: Refused,
    a_server_that_comes_back_empty_is_survived: KilledEmpty,
    a_server_that_comes_back_with_its_data_is_survived: KilledWithData,
    a_server_that_stands_still_is_survived: Stopped,
    a_server_that_is_busy_is_survived: Asleep,
    a_server_that_ends_connections_is_survived: ClientsKilled,
    a_server_that_loses_all_data_is_survived: Flushed,
    a_server_that_loses_all_scripts_is_survived: ScriptsFlushed,
    a_server_whose_memory_is_full_is_survived: Full,
    a_server_that_takes_no_writes_is_survived: ReadOnly,
    a_primary_that_dies_under_sentinels_is_survived: FailedOver,
    a_primary_that_stands_still_under_sentinels_is_survived: FailedOverStopped,
    slots_that_move_in_a_cluster_are_survived: Resharded,
    a_cluster_that_loses_the_node_with_the_log_is_survived: LogsNodeLost,
    a_cluster_that_loses_a_node_with_entries_is_survived: EntriesNodeLost,
}
