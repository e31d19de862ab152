//! A relay to a server that speaks in lines, which lets commands and replies through or not by what
//! they say.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often it is looked whether what is held back may go on.
const POLL: Duration = Duration::from_millis(2);

/// What becomes of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// They go on.
    Pass,
    /// Those with this text in them are held back, with all that come after on the connection.
    Hold(&'static str),
    /// They wait until so many with this text have come: one after another, none would go on.
    Gather(&'static str, usize),
}

/// What becomes of the next replies that come in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// They are lost.
    Lost,
    /// They come twice.
    Twice,
}

/// Forwards connections to a server, to the end of the process.
#[derive(Debug)]
pub struct CommandGate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    rule: Mutex<Rule>,
    slip: Mutex<Option<Slip>>,
    held: AtomicUsize,
    gathered: AtomicUsize,
}

impl CommandGate {
    /// Starts to forward from a free loopback port to `server`, such as `"127.0.0.1:11211"`.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(server: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            rule: Mutex::new(Rule::Pass),
            slip: Mutex::default(),
            held: AtomicUsize::new(0),
            gathered: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is down shows as a connection that ends at once.
                let _ = serving.forward(client);
            }
        });
        Self { address, shared }
    }

    /// Where clients connect to, as a URL of memcached.
    pub fn memcached_url(&self) -> String {
        format!("memcache://{}", self.address)
    }

    /// From now on does this to commands, those that are held back included.
    ///
    /// # Panics
    ///
    /// If a thread of the gate has panicked.
    pub fn rule(&self, rule: Rule) {
        *self.shared.rule.lock().expect("the rule") = rule;
    }

    /// Does this to the next replies that come in one piece, and no others.
    ///
    /// # Panics
    ///
    /// If a thread of the gate has panicked.
    pub fn slip(&self, slip: Slip) {
        *self.shared.slip.lock().expect("the slip") = Some(slip);
    }

    /// On how many connections something has been held back so far.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::Acquire)
    }

    /// How many times enough commands have been gathered so far.
    pub fn gathered(&self) -> usize {
        self.shared.gathered.load(Ordering::Acquire)
    }
}

impl Shared {
    fn forward(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(&self.server)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        from.set_read_timeout(Some(POLL))?;
        thread::spawn(move || up.commands(from, to));
        thread::spawn(move || down.replies(server, client));
        Ok(())
    }

    /// A client that goes away leaves what is held back on its way.
    fn commands(&self, mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
        let (mut waiting, mut buffer) = (Vec::new(), [0; 65_536]);
        let (mut is_held, mut is_over) = (false, false);
        while !is_over || !waiting.is_empty() {
            match client.read(&mut buffer) {
                Ok(0) => is_over = true,
                Ok(length) => waiting.extend_from_slice(&buffer[..length]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => is_over = true,
            }
            if self.lets_through(&waiting, &mut is_held) {
                server.write_all(&waiting)?;
                waiting.clear();
            } else if is_over {
                thread::sleep(POLL);
            }
        }
        server.shutdown(std::net::Shutdown::Both)
    }

    fn lets_through(&self, waiting: &[u8], is_held: &mut bool) -> bool {
        let rule = self.rule.lock().expect("the rule").clone();
        match rule {
            Rule::Pass => {
                *is_held = false;
                true
            }
            Rule::Hold(text) if *is_held || count(waiting, text) > 0 => {
                self.held
                    .fetch_add(usize::from(!*is_held), Ordering::AcqRel);
                *is_held = true;
                false
            }
            Rule::Hold(_) => true,
            Rule::Gather(text, enough) => {
                let is_enough = count(waiting, text) >= enough;
                self.gathered
                    .fetch_add(usize::from(is_enough), Ordering::AcqRel);
                is_enough
            }
        }
    }

    fn replies(&self, mut server: TcpStream, mut client: TcpStream) -> io::Result<()> {
        let mut buffer = [0; 65_536];
        loop {
            let length = server.read(&mut buffer)?;
            if length == 0 {
                return client.shutdown(std::net::Shutdown::Both);
            }
            let times = match self.slip.lock().expect("the slip").take() {
                None => 1,
                Some(Slip::Lost) => 0,
                Some(Slip::Twice) => 2,
            };
            client.write_all(&buffer[..length].repeat(times))?;
        }
    }
}

/// How often a text stands in these bytes.
fn count(bytes: &[u8], text: &str) -> usize {
    let windows = bytes.windows(text.len());
    windows.filter(|window| *window == text.as_bytes()).count()
}
