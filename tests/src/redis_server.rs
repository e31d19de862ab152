//! A private `redis-server` on a free loopback port, with its data in a temporary folder.

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue, RedisResult, Value};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 5;

/// A running server. It is stopped when this is dropped, a panic included.
#[derive(Debug)]
pub struct RedisServer {
    process: Child,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If there is no `redis-server`, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `["--maxmemory", "4mb"]`.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Self {
        // Between looking for a free port and using it, somebody else may take it.
        (0..ATTEMPTS)
            .find_map(|_| Self::try_start(free_port(), arguments))
            .expect("redis-server starts on one of the ports that were free")
    }

    /// Starts a server on a port that [`free_port`] gave.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start), and if the port has been taken meanwhile.
    pub fn start_on(port: u16) -> Self {
        Self::try_start(port, &[]).expect("redis-server starts on the port")
    }

    /// `None` if it ends at once, as it does where somebody else has the port.
    pub(crate) fn try_start(port: u16, arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self {
            process: launch(port, &arguments, &folder),
            port,
            arguments,
            folder,
        };
        server.wait_until_it_answers().then_some(server)
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Freezes the server: it keeps its connections and answers nothing.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen server go on, with all that has arrived meanwhile.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Kills the server; what it held is lost.
    ///
    /// # Panics
    ///
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("redis-server is killed");
        self.process.wait().expect("redis-server ends");
    }

    /// Starts a killed server again on the same port, with what it has on disk: nothing, by default.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.process = launch(self.port, &self.arguments, &self.folder);
        assert!(self.wait_until_it_answers(), "redis-server starts again");
    }

    /// Sends one command and returns its reply, like `redis-cli`.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached, refuses, or replies something else than a `T`.
    pub fn cli<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_cli(command)
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Sends one command; a refusal is an error.
    ///
    /// # Errors
    ///
    /// What the server answers, and what keeps it from answering.
    pub fn try_cli<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let mut connection = self.connect()?;
        redis::cmd(command[0])
            .arg(&command[1..])
            .query(&mut connection)
    }

    /// A connection to the server.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub fn connect(&self) -> RedisResult<Connection> {
        let client = Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// How often the server has executed a command, such as `"get"`, scripts' calls included.
    ///
    /// # Panics
    ///
    /// If it cannot be asked.
    pub fn calls_of(&self, command: &str) -> u64 {
        self.calls()
            .into_iter()
            .find_map(|(name, calls)| (name == command).then_some(calls))
            .unwrap_or(0)
    }

    /// How often the server has executed each command since it started or was told
    /// `CONFIG RESETSTAT`.
    ///
    /// # Panics
    ///
    /// If it cannot be asked.
    pub fn calls(&self) -> Vec<(String, u64)> {
        let stats: String = self.cli(&["INFO", "commandstats"]);
        stats.lines().filter_map(calls_in).collect()
    }

    fn wait_until_it_answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self.process.try_wait().expect("the state of redis-server");
            if ended.is_some() {
                return false;
            }
            match self.try_cli::<Value>(&["PING"]) {
                Err(error) if error.code() != Some("NOAUTH") => {}
                _ => return true,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        let sent = status.is_ok_and(|status| status.success());
        assert!(sent, "kill {signal} of redis-server");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A loopback port that nobody uses at the moment.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
    listener.local_addr().expect("its address").port()
}

/// What starts a server: `redis-server`, or what the environment variable `REDIS_SERVER_BIN`
/// names, such as a `valkey-server`.
pub fn program() -> Command {
    let named = std::env::var_os("REDIS_SERVER_BIN");
    Command::new(named.unwrap_or_else(|| "redis-server".into()))
}

fn launch(port: u16, arguments: &[String], folder: &TempDir) -> Child {
    let launched = program()
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match launched {
        Ok(process) => process,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            panic!("the tests need redis-server 7.0 or later: apt-get install redis-server")
        }
        Err(error) => panic!("redis-server cannot be started: {error}"),
    }
}

/// `cmdstat_get:calls=3,usec=…`
fn calls_in(line: &str) -> Option<(String, u64)> {
    let (name, figures) = line
        .trim()
        .strip_prefix("cmdstat_")?
        .split_once(":calls=")?;
    let calls = figures.split(',').next()?.parse().ok()?;
    Some((name.to_owned(), calls))
}
