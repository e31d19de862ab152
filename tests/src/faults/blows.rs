//! How things are broken, and mended.

use std::thread;
use std::time::{Duration, Instant};

use redis::Value;

use super::Fault;
use super::machines::Machines;
use crate::redis_server::{RedisServer, free_port};
use crate::sentinels::Watched;
use crate::tcp_proxy::{Slip, TcpProxy, Weather};

/// One reply of so many comes out of step, where they do.
const SLIPS_EVERY: usize = 7;
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
