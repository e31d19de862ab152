//! A primary, a replica of it, and sentinels that watch both.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, FromRedisValue, RedisResult, cmd};
use tempfile::TempDir;

use crate::redis_server::{RedisServer, free_port, program};

/// What the sentinels know the primary as.
pub const NAME: &str = "mymaster";
const PATIENCE: Duration = Duration::from_secs(20);
const SENTINELS: usize = 3;

/// Two servers under watch. Everything is stopped when this is dropped.
#[derive(Debug)]
pub struct Watched {
    /// The primary at first.
    pub primary: RedisServer,
    /// Its replica at first.
    pub replica: RedisServer,
    /// By which port the sentinels know the replica.
    replica_port: u16,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    process: Child,
    port: u16,
    tls_port: u16,
    _folder: TempDir,
}

/// Settings for TLS by their names, without ports; none for none.
type Tls<'a> = &'a [(&'a str, String)];

impl Watched {
    /// Starts all and waits until they know of each other.
    ///
    /// # Panics
    ///
    /// If that takes more than 20 seconds.
    pub fn start() -> Self {
        Self::form(&[])
    }

    /// Starts all with these settings, such as `("tls-cert-file", "server.pem")`. They talk to each
    /// other over TLS only.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_over_tls(settings: &[(&str, String)]) -> Self {
        Self::form(settings)
    }

    fn form(tls: Tls<'_>) -> Self {
        let (primary, port) = server(tls, &[]);
        let port = port.to_string();
        let (replica, replica_port) = server(tls, &["--replicaof", "127.0.0.1", &port]);
        let online = || replica_state(&replica) == "up";
        wait_for("the replica has synchronized", online);
        let sentinels = (0..SENTINELS).map(|_| Sentinel::start(&port, tls));
        let watched = Self {
            sentinels: sentinels.collect(),
            primary,
            replica,
            replica_port,
        };
        let ready = || watched.sentinels.iter().all(Sentinel::knows_all);
        wait_for("the sentinels know of each other", ready);
        watched
    }

    /// The URLs of the sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::url).collect()
    }

    /// The URLs of the sentinels over TLS.
    pub fn tls_urls(&self) -> Vec<String> {
        let url = |sentinel: &Sentinel| format!("rediss://127.0.0.1:{}", sentinel.tls_port);
        self.sentinels.iter().map(url).collect()
    }

    /// Has the sentinels promote the replica, although the primary is well.
    ///
    /// # Panics
    ///
    /// If they refuse.
    pub fn fail_over(&self) {
        let refused = || {
            let failover: RedisResult<()> = self.sentinels[0].ask(&["SENTINEL", "FAILOVER", NAME]);
            failover.is_err()
        };
        wait_for("the sentinels begin the failover", || !refused());
        self.wait_for_promotion();
    }

    /// Has the replica miss whatever the primary does from now on.
    ///
    /// # Panics
    ///
    /// If the primary cannot be told so.
    pub fn cut_replication(&self) {
        let primary = &self.primary;
        let _: () = primary.cli(&["ACL", "SETUSER", "default", "-psync", "-sync"]);
        let _: u64 = primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Waits until the sentinels name what was the replica as the primary.
    ///
    /// # Panics
    ///
    /// If that takes more than 20 seconds.
    pub fn wait_for_promotion(&self) {
        let port = self.replica_port.to_string();
        let named = |sentinel: &Sentinel| sentinel.fields().is_some_and(|it| it["port"] == port);
        let promoted = || self.sentinels.iter().all(named);
        wait_for("the replica is promoted", promoted);
    }

    /// Waits until what was the primary follows what was its replica.
    ///
    /// # Panics
    ///
    /// If that takes more than 20 seconds.
    pub fn wait_for_demotion(&self) {
        let follows = || replica_state(&self.primary) == "up";
        wait_for("the old primary follows the new one", follows);
    }

    /// Kills some of the sentinels.
    ///
    /// # Panics
    ///
    /// If they cannot be killed.
    pub fn kill_sentinels(&mut self, count: usize) {
        for sentinel in &mut self.sentinels[..count] {
            sentinel.process.kill().expect("the sentinel is killed");
            sentinel.process.wait().expect("the sentinel ends");
        }
    }
}

impl Sentinel {
    fn start(primary_port: &str, tls: Tls<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, tls_port) = (free_port(), free_port());
        let path = folder.path();
        let mut config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {NAME} 127.0.0.1 {primary_port} 2\n\
             sentinel down-after-milliseconds {NAME} 500\n\
             sentinel failover-timeout {NAME} 5000\n",
            path.display()
        );
        for (name, value) in over_tls(tls, tls_port) {
            config += &format!("{name} {value}\n");
        }
        fs::write(path.join("sentinel.conf"), config).expect("the configuration");
        let process = program()
            .arg(path.join("sentinel.conf"))
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts as a sentinel");
        Self {
            process,
            port,
            tls_port,
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let client = Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        cmd(command[0]).arg(&command[1..]).query(&mut connection)
    }

    fn fields(&self) -> Option<HashMap<String, String>> {
        self.ask(&["SENTINEL", "MASTER", NAME]).ok()
    }

    fn knows_all(&self) -> bool {
        let others = (SENTINELS - 1).to_string();
        self.fields()
            .is_some_and(|it| it["num-slaves"] == "1" && it["num-other-sentinels"] == others)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server, and the port that others are to use.
fn server(tls: Tls<'_>, arguments: &[&str]) -> (RedisServer, u16) {
    let tls_port = free_port();
    let mut all = vec!["--repl-diskless-sync-delay".to_owned(), "0".to_owned()];
    for (name, value) in over_tls(tls, tls_port) {
        all.extend([format!("--{name}"), value]);
    }
    let mut all: Vec<_> = all.iter().map(String::as_str).collect();
    all.extend(arguments);
    let server = RedisServer::start_with(&all);
    let port = if tls.is_empty() {
        server.port()
    } else {
        tls_port
    };
    (server, port)
}

/// What makes a process listen on this port, and use TLS towards others; nothing without TLS.
fn over_tls<'a>(tls: Tls<'a>, port: u16) -> Vec<(&'a str, String)> {
    if tls.is_empty() {
        return Vec::new();
    }
    let own = [
        ("tls-port", port.to_string()),
        ("tls-replication", "yes".into()),
    ];
    [&own, tls].concat()
}

/// Nothing while the sentinels end its connections, as they do with a server that they demote.
fn replica_state(replica: &RedisServer) -> String {
    let info: String = replica
        .try_cli(&["INFO", "replication"])
        .unwrap_or_default();
    let state = info
        .lines()
        .find_map(|line| line.strip_prefix("master_link_status:"));
    state.unwrap_or_default().trim().to_owned()
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
