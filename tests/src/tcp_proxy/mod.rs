//! A TCP proxy between a test and a server, that does to the connection what networks do.

mod replies;
mod weather;

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use replies::Replies;
pub use replies::Slip;
pub use weather::Weather;

/// How often the proxy looks for new connections.
const POLL: Duration = Duration::from_millis(2);

/// Forwards connections to a server, to the end of the process.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<String>,
    clients: Mutex<Vec<TcpStream>>,
    sent: AtomicU64,
    weather: Mutex<Weather>,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

impl TcpProxy {
    /// Starts to forward from a free loopback port to `server`, such as `"127.0.0.1:6379"`.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(server: impl Into<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server: Mutex::new(server.into()),
            clients: Mutex::default(),
            sent: AtomicU64::new(0),
            weather: Mutex::new(Weather::Clear),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serving.serve(listener, address));
        Self { address, shared }
    }

    /// Ends all connections for their clients, and forwards new ones to another server.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn point_at(&self, server: impl Into<String>) {
        self.forward_to(server);
        self.cut_clients_off();
    }

    /// Forwards new connections to another server; those that stand stay with theirs.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn forward_to(&self, server: impl Into<String>) {
        *self.shared.server.lock().expect("the server") = server.into();
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes clients have sent to the server so far.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// From now on does this to new connections, and to those that stand.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn turn(&self, weather: Weather) {
        *self.shared.weather() = weather;
        if weather == Weather::Refused {
            self.cut_clients_off();
        }
    }

    /// Keeps connections open, new ones too, and holds back what is sent on them, both ways.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn hold(&self) {
        self.turn(Weather::Held);
    }

    /// Delivers what was held back, and forwards again.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn release(&self) {
        self.turn(Weather::Clear);
    }

    /// Ends all connections for their clients. What they have sent stays on its way, and the
    /// server notices nothing.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn cut_clients_off(&self) {
        for client in self.shared.clients().drain(..) {
            // It may have gone by itself.
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().expect("the weather")
    }

    /// The weather, once it lets something through.
    fn unheld(&self) -> Weather {
        loop {
            let weather = *self.weather();
            if weather != Weather::Held {
                return weather;
            }
            thread::sleep(POLL);
        }
    }

    fn clients(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.clients.lock().expect("the clients")
    }

    /// Accepts connections, and is not there for them while they are to be refused.
    fn serve(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut listening = Some(listener);
        loop {
            let refused = *self.weather() == Weather::Refused;
            listening = match listening {
                Some(_) if refused => None,
                // Somebody may sit on the port for a moment.
                None if !refused => TcpListener::bind(address).ok(),
                unchanged => unchanged,
            };
            match &listening {
                Some(listener) => self.accept(listener),
                None => thread::sleep(POLL),
            }
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let Ok((client, _)) = listener.accept() else {
            return thread::sleep(POLL);
        };
        // A server that is down shows as a connection that ends at once.
        if self.forward(&client).is_ok() {
            self.clients().push(client);
        }
    }

    fn forward(self: &Arc<Self>, client: &TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        let server = self.server.lock().expect("the server").clone();
        let server = TcpStream::connect(server)?;
        for stream in [client, &server] {
            stream.set_nodelay(true)?;
        }
        self.copy(
            client.try_clone()?,
            server.try_clone()?,
            Direction::ToServer,
        );
        self.copy(server, client.try_clone()?, Direction::ToClient);
        Ok(())
    }

    /// Copies until either end is closed. A connection that the server ends, ends for its client;
    /// one that the client ends is left to the server.
    fn copy(self: &Arc<Self>, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let ended = shared.carry(&mut from, &mut to, direction);
            if direction == Direction::ToClient && ended.is_ok() {
                // It may have gone by itself.
                let _ = to.shutdown(Shutdown::Both);
            }
        });
    }

    fn carry(
        &self,
        from: &mut TcpStream,
        to: &mut TcpStream,
        direction: Direction,
    ) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        let mut replies = Replies::default();
        let mut is_silent = false;
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                length => length?,
            };
            let weather = self.unheld();
            is_silent |= weather == Weather::HalfOpen;
            if is_silent {
                continue;
            }
            let bytes = &mut buffer[..length];
            if direction == Direction::ToServer {
                weather.pass(bytes, to, direction)?;
                self.sent.fetch_add(length as u64, Ordering::AcqRel);
            } else {
                let mut whole = replies.pass(bytes, weather.slip());
                weather.pass(&mut whole, to, direction)?;
            }
        }
    }
}
