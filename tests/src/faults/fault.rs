//! What breaks, and how it is mended.

use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::deployment::Machines;
use crate::redis_server::{RedisServer, free_port};
use crate::tcp_proxy::Weather;

/// From one blow to the next, where a fault is a series of them.
const PERIOD: Duration = Duration::from_millis(100);

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
}

impl Fault {
    /// All of them, in the order of the table.
    pub const EVERY: [Self; 17] = [
        Self::Nothing,
        Self::Cut,
        Self::HalfOpen,
        Self::ShortDelay,
        Self::LongDelay,
        Self::Drip,
        Self::Garbage,
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
        }
    }

    pub(super) fn server_arguments(self) -> &'static [&'static str] {
        match self {
            Self::KilledWithData => &["--appendonly", "yes"],
            Self::Asleep => &["--enable-debug-command", "yes"],
            _ => &[],
        }
    }

    /// Breaks it for as long, and mends it.
    pub(super) fn run(self, machines: &mut Machines, lasting: Duration) {
        let Machines { server, proxies } = machines;
        let proxy = &proxies[0];
        if let Some(weather) = self.weather() {
            proxy.turn(weather);
            thread::sleep(lasting);
            return proxy.turn(Weather::Clear);
        }
        match self {
            Self::Cut => again_and_again(lasting, || proxy.cut_clients_off()),
            Self::KilledEmpty | Self::KilledWithData => {
                server.kill();
                thread::sleep(lasting);
                server.restart();
            }
            Self::Stopped => {
                server.pause();
                thread::sleep(lasting);
                server.resume();
            }
            Self::Full => {
                let limit = |bytes| tell(server, &["CONFIG", "SET", "maxmemory", bytes]);
                limit("1");
                thread::sleep(lasting);
                limit("0");
            }
            Self::ReadOnly => {
                tell(
                    server,
                    &["REPLICAOF", "127.0.0.1", &free_port().to_string()],
                );
                thread::sleep(lasting);
                tell(server, &["REPLICAOF", "NO", "ONE"]);
            }
            _ => again_and_again(lasting, || tell(server, self.blow())),
        }
    }

    fn weather(self) -> Option<Weather> {
        Some(match self {
            Self::Nothing => Weather::Clear,
            Self::HalfOpen => Weather::HalfOpen,
            Self::ShortDelay => Weather::Delay(Duration::from_millis(30)),
            Self::LongDelay => Weather::Delay(Duration::from_millis(300)),
            Self::Drip => Weather::Drip,
            Self::Garbage => Weather::Garbage,
            Self::Refused => Weather::Refused,
            _ => return None,
        })
    }

    /// What the server is told again and again.
    fn blow(self) -> &'static [&'static str] {
        match self {
            Self::Asleep => &["DEBUG", "SLEEP", "0.5"],
            Self::ClientsKilled => &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
            Self::Flushed => &["FLUSHALL"],
            Self::ScriptsFlushed => &["SCRIPT", "FLUSH"],
            _ => &["PING"],
        }
    }
}

fn tell(server: &RedisServer, command: &[&str]) {
    let _: Value = server.cli(command);
}

fn again_and_again(lasting: Duration, blow: impl Fn()) {
    let end = Instant::now() + lasting;
    while Instant::now() < end {
        blow();
        thread::sleep(PERIOD);
    }
}
