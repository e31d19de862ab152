//! What can break: the rows of the table, by name.

use super::machines::Setup;

/// Something that happens to the network of one node, or to the server of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: what the other rows compare with.
    Nothing,
    /// Connections break again and again.
    Cut,
    /// The other end takes everything and never answers.
    HalfOpen,
    /// Every packet comes late, and within the timeout.
    ShortDelay,
    /// Every packet comes later than the timeout.
    LongDelay,
    /// Replies come a byte at a time.
    Drip,
    /// Replies are noise.
    Garbage,
    /// Replies are lost here and there, so that others' come in their place.
    RepliesLost,
    /// Replies come twice here and there, the second time in the place of others.
    RepliesTwice,
    /// Replies change places here and there.
    RepliesSwapped,
    /// Replies of other commands come here and there.
    RepliesReplaced,
    /// Nobody listens.
    Refused,
    /// The server dies and comes back without its data.
    KilledEmpty,
    /// The server dies and comes back with what its append-only file has.
    KilledWithData,
    /// The server stands still, and then goes on with what has arrived.
    Stopped,
    /// The server is busy with one long command after the other.
    Asleep,
    /// The server ends all connections, again and again.
    ClientsKilled,
    /// All data goes, again and again.
    Flushed,
    /// All scripts go, again and again.
    ScriptsFlushed,
    /// The server's memory is full.
    Full,
    /// The server is made a replica of nobody, and then a primary again.
    ReadOnly,
    /// The primary dies, sentinels promote its replica, and the old primary comes back empty.
    FailedOver,
    /// The primary stands still, sentinels promote its replica, and the old primary goes on.
    FailedOverStopped,
    /// The slots of a cluster that something is stored in move from primary to primary, the log's
    /// among them.
    Resharded,
    /// The node that has the log dies, its replica takes over, and it comes back as a replica.
    LogsNodeLost,
    /// Likewise a node that has entries only.
    EntriesNodeLost,
}

impl Fault {
    /// All of them, in the order of the table.
    pub const EVERY: [Self; 26] = [
        Self::Nothing,
        Self::Cut,
        Self::HalfOpen,
        Self::ShortDelay,
        Self::LongDelay,
        Self::Drip,
        Self::Garbage,
        Self::RepliesLost,
        Self::RepliesTwice,
        Self::RepliesSwapped,
        Self::RepliesReplaced,
        Self::Refused,
        Self::KilledEmpty,
        Self::KilledWithData,
        Self::Stopped,
        Self::Asleep,
        Self::ClientsKilled,
        Self::Flushed,
        Self::ScriptsFlushed,
        Self::Full,
        Self::ReadOnly,
        Self::FailedOver,
        Self::FailedOverStopped,
        Self::Resharded,
        Self::LogsNodeLost,
        Self::EntriesNodeLost,
    ];

    /// The row's name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "no fault",
            Self::Cut => "one node: connections cut every 100 ms",
            Self::HalfOpen => "one node: half-open, never answered",
            Self::ShortDelay => "one node: 30 ms each way",
            Self::LongDelay => "one node: 300 ms each way",
            Self::Drip => "one node: replies drip, 5 ms a byte",
            Self::Garbage => "one node: replies are garbage",
            Self::RepliesLost => "one node: a reply in 7 is lost, the others move up",
            Self::RepliesTwice => "one node: a reply in 7 comes twice",
            Self::RepliesSwapped => "one node: two replies in 7 change places",
            Self::RepliesReplaced => "one node: a reply in 7 is another command's",
            Self::Refused => "one node: connection refused",
            Self::KilledEmpty => "server: `kill -9`, back empty",
            Self::KilledWithData => "server: `kill -9`, back with its data",
            Self::Stopped => "server: `SIGSTOP`",
            Self::Asleep => "server: `DEBUG SLEEP`, 0.5 s each",
            Self::ClientsKilled => "server: `CLIENT KILL` every 100 ms",
            Self::Flushed => "server: `FLUSHALL` every 100 ms",
            Self::ScriptsFlushed => "server: `SCRIPT FLUSH` every 100 ms",
            Self::Full => "server: `maxmemory` reached",
            Self::ReadOnly => "server: `REPLICAOF`, then `NO ONE`",
            Self::FailedOver => "sentinels: the primary `kill -9`",
            Self::FailedOverStopped => "sentinels: the primary `SIGSTOP`",
            Self::Resharded => "cluster: all used slots move, again and again",
            Self::LogsNodeLost => "cluster: the log's primary `kill -9`",
            Self::EntriesNodeLost => "cluster: another primary `kill -9`",
        }
    }

    pub(super) fn server_arguments(self) -> &'static [&'static str] {
        match self {
            Self::KilledWithData => &["--appendonly", "yes"],
            Self::Asleep => &["--enable-debug-command", "yes"],
            _ => &[],
        }
    }

    pub(super) fn setup(self) -> Setup {
        match self {
            Self::FailedOver | Self::FailedOverStopped => Setup::Watched,
            Self::Resharded | Self::LogsNodeLost | Self::EntriesNodeLost => Setup::Cluster,
            _ => Setup::Server,
        }
    }
}
