//! A Redis Cluster on free loopback ports: three primaries and, on request, a replica of each.
//!
//! Nodes are told apart by their index: 0 to 2 are the primaries at first, and 3 to 5 their
//! replicas in the same order. Whoever is which later, the two of a pair stay each other's
//! [`Cluster::partner`].

mod forming;
mod slots;
mod takeover;
mod view;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::FromRedisValue;

use crate::redis_server::RedisServer;
use forming::Node;
pub use slots::{SLOTS, SlotMove, slot_of};
pub use takeover::Failover;
use view::{Member, View};

/// How many primaries there are.
pub const PRIMARIES: usize = 3;

/// Longer than a busy machine needs for anything here.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running cluster. Its nodes are stopped when this is dropped, a panic included.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts three primaries.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server`, or the cluster has not formed within 30 seconds.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts three primaries with more arguments, such as `["--appendonly", "yes"]`.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::form(PRIMARIES, arguments)
    }

    /// Starts three primaries and a replica of each.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_replicated() -> Self {
        Self::start_replicated_with(&[])
    }

    /// Starts three primaries and a replica of each, with more arguments.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_replicated_with(arguments: &[&str]) -> Self {
        Self::form(2 * PRIMARIES, arguments)
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.server.url()).collect()
    }

    /// The server of a node, to be asked and told.
    pub fn server(&self, node: usize) -> &RedisServer {
        &self.nodes[node].server
    }

    /// Sends a command to the node that has `key`'s slot, and returns its reply.
    ///
    /// # Panics
    ///
    /// If no node that runs claims the slot, or the command fails.
    pub fn cli<T: FromRedisValue>(&self, key: &str, command: &[&str]) -> T {
        self.server(self.owner_of(key)).cli(command)
    }

    /// Kills a node; what it held is lost, unless its arguments say otherwise.
    ///
    /// # Panics
    ///
    /// If it cannot be killed.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].is_up.store(false, Ordering::SeqCst);
        self.nodes[node].server.kill();
    }

    /// Starts a killed node again. It knows who it is and who the others are.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].server.restart();
        self.nodes[node].is_up.store(true, Ordering::SeqCst);
    }

    /// Freezes a node.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn pause(&self, node: usize) {
        self.nodes[node].is_up.store(false, Ordering::SeqCst);
        self.server(node).pause();
    }

    /// Lets a frozen node go on.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn resume(&self, node: usize) {
        self.server(node).resume();
        self.nodes[node].is_up.store(true, Ordering::SeqCst);
    }

    /// Waits until all slots are served, and all nodes that run agree who has which, who is a
    /// replica, and who is dead. No node takes itself for dead.
    ///
    /// # Panics
    ///
    /// If that takes more than 30 seconds.
    pub fn wait_until_settled(&self) {
        self.wait_for("all nodes agree that all is well", |views| {
            views
                .iter()
                .all(|view| view.is_ok() && view.roles() == views[0].roles())
        });
    }

    fn tell(&self, node: usize, command: &[&str]) {
        let _: () = self.server(node).cli(command);
    }

    /// What each node that runs says of the cluster.
    fn views(&self) -> Vec<View> {
        let running = (0..self.nodes.len()).filter(|&node| self.nodes[node].is_up());
        running.map(|node| self.view(node)).collect()
    }

    fn view(&self, node: usize) -> View {
        View::of(self.server(node))
    }

    fn member<'a>(&self, view: &'a View, node: usize) -> Option<&'a Member> {
        view.member(&self.nodes[node].id)
    }

    fn wait_for(&self, what: &str, condition: impl Fn(&[View]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let views = self.views();
            if condition(&views) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "still waiting: {what}: {views:#?}"
            );
            std::thread::sleep(POLL);
        }
    }
}
