//! Replicas that take over, by themselves or on command, and what they have not received.

use super::{Cluster, PRIMARIES};

/// How a replica is made to take its primary's place although nobody has found that one dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// The primary stands still until the replica has everything.
    Orderly,
    /// Without asking the primary, and with the others' votes.
    Force,
    /// Without asking anybody.
    Takeover,
}

impl Cluster {
    /// The other node of a pair: its replica, or the primary that it is a replica of.
    ///
    /// # Panics
    ///
    /// If there are no replicas.
    pub fn partner(&self, node: usize) -> usize {
        let partner = (node + PRIMARIES) % (2 * PRIMARIES);
        assert!(partner < self.nodes.len(), "node {node} has no replica");
        partner
    }

    /// Whether a node that runs takes itself for a primary.
    pub fn is_primary(&self, node: usize) -> bool {
        let runs = self.nodes[node].is_up();
        runs && self.is_flagged(node, "master")
    }

    /// Makes `replica` take its primary's place, and waits until all nodes that run know.
    ///
    /// # Panics
    ///
    /// If it is refused, or takes more than 30 seconds.
    pub fn fail_over(&self, replica: usize, how: Failover) {
        self.tell(replica, &[&["CLUSTER", "FAILOVER"], how.options()].concat());
        self.wait_for_takeover(self.partner(replica));
    }

    /// Waits until the replica of `node` has its place, all slots are served, and all nodes that
    /// run know.
    ///
    /// # Panics
    ///
    /// If that takes more than 30 seconds.
    pub fn wait_for_takeover(&self, node: usize) {
        let heir = self.partner(node);
        self.wait_for("the replica takes over", |views| {
            let reigns = |view| {
                let heir = self.member(view, heir);
                heir.is_some_and(|it| it.is("master") && it.has_slots())
            };
            views.iter().all(|view| view.is_ok() && reigns(view))
        });
    }

    /// Waits until `replica` has everything that its primary has.
    ///
    /// # Panics
    ///
    /// If that takes more than 30 seconds.
    pub fn wait_until_replicated(&self, replica: usize) {
        let primary = self.partner(replica);
        self.wait_for("the replica has everything", |_| {
            let at = |node, field| self.replication(node, field).parse::<u64>().ok();
            let goal = at(primary, "master_repl_offset");
            goal.is_some() && at(replica, "slave_repl_offset") == goal
        });
    }

    /// Has the replica of `primary` miss whatever happens from now on: what is written till
    /// `primary` dies is lost with it.
    ///
    /// # Panics
    ///
    /// If it cannot be told so.
    pub fn cut_replication(&self, primary: usize) {
        self.tell(primary, &["ACL", "SETUSER", "default", "-psync", "-sync"]);
        let _: u64 = self
            .server(primary)
            .cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Lets the replica of `primary` receive again, and waits until it does.
    ///
    /// # Panics
    ///
    /// If it cannot be told so, or that takes more than 30 seconds.
    pub fn mend_replication(&self, primary: usize) {
        self.tell(primary, &["ACL", "SETUSER", "default", "+psync", "+sync"]);
        self.wait_until_linked(self.partner(primary));
    }

    pub(super) fn wait_until_linked(&self, replica: usize) {
        self.wait_for("the replica has synchronized", |_| {
            self.replication(replica, "master_link_status") == "up"
        });
    }

    /// A field of `INFO replication`, or nothing.
    fn replication(&self, node: usize, field: &str) -> String {
        let info: String = self.server(node).cli(&["INFO", "replication"]);
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find_map(|(name, value)| (name == field).then_some(value));
        value.unwrap_or_default().trim().to_owned()
    }

    fn is_flagged(&self, node: usize, flag: &str) -> bool {
        let view = self.view(node);
        self.member(&view, node).is_some_and(|it| it.is(flag))
    }
}

impl Failover {
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Orderly => &[],
            Self::Force => &["FORCE"],
            Self::Takeover => &["TAKEOVER"],
        }
    }
}
