//! A private `memcached` on a free loopback port.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::redis_server::free_port;

const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 5;

/// A running server. It is stopped when this is dropped, a panic included.
#[derive(Debug)]
pub struct MemcachedServer {
    process: Child,
    port: u16,
    arguments: Vec<String>,
}

impl MemcachedServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If there is no `memcached`, or it does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `["-m", "2"]`.
    ///
    /// # Panics
    ///
    /// Like [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Self {
        // Between looking for a free port and using it, somebody else may take it.
        (0..ATTEMPTS)
            .find_map(|_| Self::try_start(free_port(), arguments))
            .expect("memcached starts on one of the ports that were free")
    }

    /// `None` if it ends at once, as it does where somebody else has the port.
    fn try_start(port: u16, arguments: &[&str]) -> Option<Self> {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let mut server = Self {
            process: launch(port, &arguments),
            port,
            arguments,
        };
        server.wait_until_it_answers().then_some(server)
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("memcache://127.0.0.1:{}", self.port)
    }

    /// Freezes the server: it keeps its connections and answers nothing.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn pause(&self) {
        self.signal("-STOP");
        let deadline = Instant::now() + PATIENCE;
        while !self.stands_still() {
            assert!(Instant::now() < deadline, "memcached stands still");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether all of its threads have heard of the signal.
    fn stands_still(&self) -> bool {
        let threads = format!("/proc/{}/task", self.process.id());
        let threads = fs::read_dir(threads).expect("the threads of memcached");
        threads.flatten().all(|thread| {
            let state = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            state.contains(") T ")
        })
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
        self.process.kill().expect("memcached is killed");
        self.process.wait().expect("memcached ends");
    }

    /// Starts a killed server again on the same port, empty.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.process = launch(self.port, &self.arguments);
        assert!(self.wait_until_it_answers(), "memcached starts again");
    }

    /// Sends one command and returns the first line that it is answered, without its end.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached.
    pub fn cli(&self, command: &str) -> String {
        let answer = self.try_cli(command);
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn try_cli(&self, command: &str) -> io::Result<String> {
        let mut line = String::new();
        self.ask(command)?.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn ask(&self, command: &str) -> io::Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        Ok(BufReader::new(stream))
    }

    /// The bytes of the item of this name.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached, or answers something else.
    pub fn item(&self, name: &str) -> Option<Vec<u8>> {
        let mut reader = self.ask(&format!("mg {name} v")).expect("the server");
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        let length = line.trim_end().strip_prefix("VA ")?;
        let mut bytes = vec![0; length.parse().expect("a length")];
        reader.read_exact(&mut bytes).expect("the value");
        Some(bytes)
    }

    /// A figure of `stats`, such as `"evictions"`.
    ///
    /// # Panics
    ///
    /// If the server cannot be asked, or has no such figure.
    pub fn stat(&self, name: &str) -> u64 {
        let lines = self.ask("stats").expect("the server").lines();
        let start = format!("STAT {name} ");
        let figures = lines.map(|line| line.expect("a line"));
        let mut figures = figures.take_while(|line| line != "END");
        let found = figures.find_map(|line| line.strip_prefix(&start)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("stats has no {name}"))
    }

    fn wait_until_it_answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self.process.try_wait().expect("the state of memcached");
            if ended.is_some() {
                return false;
            }
            if self
                .try_cli("version")
                .is_ok_and(|line| line.starts_with("VERSION"))
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        let sent = status.is_ok_and(|status| status.success());
        assert!(sent, "kill {signal} of memcached");
    }
}

impl Drop for MemcachedServer {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(port: u16, arguments: &[String]) -> Child {
    let launched = Command::new("memcached")
        .args(["-l", "127.0.0.1", "-U", "0", "-p", &port.to_string()])
        // As root it refuses to run without; for anybody else it means nothing.
        .args(["-u", "nobody"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match launched {
        Ok(process) => process,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            panic!("the tests need memcached 1.6.18 or later: apt-get install memcached")
        }
        Err(error) => panic!("memcached cannot be started: {error}"),
    }
}
