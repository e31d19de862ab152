//! Two servers behind one address: the second replicates the first until it is told to miss the
//! rest, and then takes its place.

use std::time::Duration;

use cache_core::log::{Incarnation, Log};
use cache_core::testkit::eventually;
use cache_core::{OnFailover, RedisProvider, RedisProviderBuilder};

use crate::redis_server::RedisServer;
use crate::tcp_proxy::TcpProxy;

/// What a replica must have before it is told to miss the rest.
const MARKER: &str = "marker";

/// A server that others reach by the proxy, and its replica. Both are stopped when this is dropped.
#[derive(Debug)]
pub struct Replicated {
    primary: RedisServer,
    replica: RedisServer,
    proxy: TcpProxy,
    parted: u64,
}

impl Replicated {
    /// Starts both.
    ///
    /// # Panics
    ///
    /// If one does not start.
    pub fn start() -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let primary = RedisServer::start_with(&at_once);
        let replica = RedisServer::start_with(&at_once);
        replicate(&primary, &replica);
        Self {
            proxy: TcpProxy::start(primary.address()),
            primary,
            replica,
            parted: 0,
        }
    }

    /// Settings of a node that keeps what was stored when the replica takes over.
    pub fn reappending(&self) -> RedisProviderBuilder {
        self.hiding().on_failover(OnFailover::Reappend)
    }

    /// Settings of a node that does not.
    pub fn hiding(&self) -> RedisProviderBuilder {
        RedisProvider::builder(format!("redis://{}", self.proxy.address()))
            .heartbeat(Duration::from_millis(50))
            .touch_bound(Duration::from_secs(40))
            .command_timeout(Duration::from_secs(20))
    }

    /// The server that nodes write to.
    pub fn primary(&self) -> &RedisServer {
        &self.primary
    }

    /// The other server.
    pub fn replica(&self) -> &RedisServer {
        &self.replica
    }

    /// Has the replica miss whatever the primary does from now on.
    ///
    /// # Panics
    ///
    /// If it does not receive what was done before.
    pub async fn part(&mut self) {
        self.parted += 1;
        let marker = self.parted.to_string();
        let _: () = self.primary.cli(&["SET", MARKER, &marker]);
        let arrived =
            || self.replica.cli::<Option<String>>(&["GET", MARKER]) == Some(marker.clone());
        eventually("the replica has everything", arrived).await;
        let _: () = self.replica.cli(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Has nodes go over to the other server, after [`part`](Self::part). Both go on as they are.
    pub fn go_over(&mut self) {
        self.proxy.point_at(self.replica.address());
        std::mem::swap(&mut self.primary, &mut self.replica);
    }

    /// Has the replica take over, after [`part`](Self::part). What was the primary replicates it.
    pub fn fail_over(&mut self) {
        self.go_over();
        replicate(&self.primary, &self.replica);
    }
}

/// Waits until a node has left this incarnation, and told the server all that it knows.
///
/// # Panics
///
/// If that takes more than ten seconds.
pub async fn in_contact(log: &Log, before: Incarnation) {
    let arrived = || log.stamp().incarnation() != before && log.pending().0.is_empty();
    eventually("the node is in contact with the new primary", arrived).await;
}

/// Has the second server replicate the first.
///
/// # Panics
///
/// If it refuses.
pub fn replicate(primary: &RedisServer, replica: &RedisServer) {
    let port = primary.port().to_string();
    let _: () = replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
}
