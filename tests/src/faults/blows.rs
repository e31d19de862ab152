//! How things are broken, and mended.

use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::Fault;
use super::machines::Machines;
use crate::cluster::{Cluster, PRIMARIES, slot_of};
use crate::redis_server::{RedisServer, free_port};
use crate::sentinels::Watched;
use crate::tcp_proxy::{Slip, TcpProxy, Weather};

/// A key of the log, in a deployment with the default prefix.
const LOG: &str = "{cache}:log";
/// One reply of so many comes out of step, where they do.
const SLIPS_EVERY: usize = 7;
/// How far the replica is behind that takes over: all that was written for as long is lost.
const LAG: Duration = Duration::from_millis(200);
/// From one blow to the next, where a fault is a series of them.
const PERIOD: Duration = Duration::from_millis(100);

impl Fault {
    /// Breaks it for as long, and mends it.
    pub(super) fn run(self, machines: &mut Machines, lasting: Duration) {
        match machines {
            Machines::Server(server, proxies) => match self.weather() {
                Some(weather) => turn(&proxies[0], weather, lasting),
                None => self.strike(server, &proxies[0], lasting),
            },
            Machines::Watched(watched) => self.fail_over(watched, lasting),
            Machines::Cluster(cluster) => {
                let logs = cluster.owner_of(LOG);
                match self {
                    Self::Resharded => reshard(cluster, lasting),
                    Self::LogsNodeLost => lose(cluster, logs, lasting),
                    _ => lose(cluster, (logs + 1) % PRIMARIES, lasting),
                }
            }
        }
    }

    fn strike(self, server: &mut RedisServer, proxy: &TcpProxy, lasting: Duration) {
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

    /// The old primary comes back as one, until the sentinels find it.
    fn fail_over(self, watched: &mut Watched, lasting: Duration) {
        watched.cut_replication();
        thread::sleep(LAG);
        let is_killed = self == Self::FailedOver;
        let primary = &mut watched.primary;
        if is_killed {
            primary.kill();
        } else {
            primary.pause();
        }
        thread::sleep(lasting);
        watched.wait_for_promotion();
        let primary = &mut watched.primary;
        if is_killed {
            primary.restart();
        } else {
            primary.resume();
        }
        watched.wait_for_demotion();
    }

    fn weather(self) -> Option<Weather> {
        Some(match self {
            Self::Nothing => Weather::Clear,
            Self::HalfOpen => Weather::HalfOpen,
            Self::ShortDelay => Weather::Delay(Duration::from_millis(30)),
            Self::LongDelay => Weather::Delay(Duration::from_millis(300)),
            Self::Drip => Weather::Drip,
            Self::Garbage => Weather::Garbage,
            Self::RepliesLost => Weather::OutOfStep(Slip::Lost, SLIPS_EVERY),
            Self::RepliesTwice => Weather::OutOfStep(Slip::Twice, SLIPS_EVERY),
            Self::RepliesSwapped => Weather::OutOfStep(Slip::Swapped, SLIPS_EVERY),
            Self::RepliesReplaced => Weather::OutOfStep(Slip::Replaced, SLIPS_EVERY),
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

fn turn(proxy: &TcpProxy, weather: Weather, lasting: Duration) {
    proxy.turn(weather);
    thread::sleep(lasting);
    proxy.turn(Weather::Clear);
}

/// Moves whatever slots something is stored in to the next primary each, and begins again.
fn reshard(cluster: &Cluster, lasting: Duration) {
    let end = Instant::now() + lasting;
    let mut slots = used_slots(cluster).into_iter().cycle();
    let mut move_next = || {
        let slot = slots.next().expect("something is stored");
        let to = (cluster.owner_of_slot(slot) + 1) % PRIMARIES;
        cluster.move_slot(slot, to);
    };
    move_next();
    while Instant::now() < end {
        move_next();
    }
    cluster.wait_until_settled();
}

/// The log's slot first.
fn used_slots(cluster: &Cluster) -> Vec<u16> {
    let keys_of = |node| cluster.server(node).cli::<Vec<String>>(&["KEYS", "*"]);
    let keys = (0..PRIMARIES).flat_map(keys_of);
    let mut slots = vec![slot_of(LOG)];
    slots.extend(keys.map(|key| slot_of(&key)));
    slots
}

fn lose(cluster: &mut Cluster, node: usize, lasting: Duration) {
    cluster.cut_replication(node);
    thread::sleep(LAG);
    cluster.kill(node);
    thread::sleep(lasting);
    cluster.wait_for_takeover(node);
    cluster.restart(node);
    cluster.wait_until_settled();
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
