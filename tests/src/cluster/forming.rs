//! Starting nodes and making a cluster of them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Cluster, PRIMARIES, SLOTS};
use crate::redis_server::{RedisServer, free_port};

const ATTEMPTS: usize = 5;

/// What every node is started with. A node that is silent for a second is taken for dead; half of
/// that is what a busy machine makes a process wait.
const SETTINGS: [&str; 10] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    // A replica takes over however long ago it last heard of its primary.
    "--cluster-replica-validity-factor",
    "0",
    // A primary without slots stays one.
    "--cluster-allow-replica-migration",
    "no",
    "--repl-diskless-sync-delay",
    "0",
];

#[derive(Debug)]
pub(super) struct Node {
    pub(super) server: RedisServer,
    bus: u16,
    pub(super) id: String,
    /// It runs, and has not been stopped by a signal.
    pub(super) is_up: AtomicBool,
}

impl Cluster {
    pub(super) fn form(count: usize, arguments: &[&str]) -> Self {
        let cluster = Self {
            nodes: (0..count).map(|_| Node::start(arguments)).collect(),
        };
        cluster.introduce();
        for index in 0..PRIMARIES {
            cluster.hand_out_slots(index);
        }
        for replica in PRIMARIES..count {
            let primary = &cluster.nodes[cluster.partner(replica)].id;
            cluster.tell(replica, &["CLUSTER", "REPLICATE", primary]);
        }
        cluster.wait_for("the replicas are known", |views| {
            views
                .iter()
                .all(|view| view.replicas() == count - PRIMARIES)
        });
        for replica in PRIMARIES..count {
            cluster.wait_until_linked(replica);
        }
        cluster.wait_until_settled();
        cluster
    }

    /// Every node is told of every other, so that nobody has to wait for gossip.
    fn introduce(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            self.tell(index, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            for other in &self.nodes[..index] {
                node.meet(other);
            }
        }
        let all = self.nodes.len();
        self.wait_for("all know all", |views| {
            views.iter().all(|view| view.acquainted() == all)
        });
    }

    fn hand_out_slots(&self, primary: usize) {
        let border = |index: usize| index * usize::from(SLOTS) / PRIMARIES;
        let (first, end) = (border(primary), border(primary + 1));
        let range = [first.to_string(), (end - 1).to_string()];
        let command = ["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]];
        self.tell(primary, &command);
    }
}

impl Node {
    fn start(arguments: &[&str]) -> Self {
        // Somebody else may take one of the ports meanwhile.
        let (server, bus) = (0..ATTEMPTS)
            .find_map(|_| Self::try_start(arguments))
            .expect("redis-server starts on two of the ports that were free");
        Self {
            id: server.cli(&["CLUSTER", "MYID"]),
            server,
            bus,
            is_up: AtomicBool::new(true),
        }
    }

    fn try_start(arguments: &[&str]) -> Option<(RedisServer, u16)> {
        let bus = free_port();
        let port = bus.to_string();
        let settings = [&SETTINGS[..], &["--cluster-port", &port], arguments].concat();
        Some((RedisServer::try_start(free_port(), &settings)?, bus))
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    fn meet(&self, other: &Self) {
        let (port, bus) = (other.server.port().to_string(), other.bus.to_string());
        let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
        let _: () = self.server.cli(&meet);
    }
}
