//! A TCP proxy between a test and a server: it can cut clients off behind the server's back, and
//! hold back what both sides say.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Forwards connections to a server, to the end of the process.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    clients: Arc<Mutex<Vec<TcpStream>>>,
    sent: Arc<AtomicU64>,
    held: Arc<AtomicBool>,
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
        let clients = Arc::<Mutex<Vec<TcpStream>>>::default();
        let sent = Arc::<AtomicU64>::default();
        let held = Arc::<AtomicBool>::default();
        let (server, accepted) = (server.into(), Arc::clone(&clients));
        let (counted, holding) = (Arc::clone(&sent), Arc::clone(&held));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // A server that is down shows as a connection that ends at once.
                if forward(&client, &server, &counted, &holding).is_ok() {
                    accepted.lock().expect("the clients").push(client);
                }
            }
        });
        Self {
            address,
            clients,
            sent,
            held,
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes clients have sent to the server so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Keeps connections open, new ones too, and holds back what is sent on them, both ways.
    pub fn hold(&self) {
        self.held.store(true, Ordering::Release);
    }

    /// Delivers what was held back, and forwards again.
    pub fn release(&self) {
        self.held.store(false, Ordering::Release);
    }

    /// Ends all connections for their clients. What they have sent stays on its way, and the
    /// server notices nothing.
    ///
    /// # Panics
    ///
    /// If a thread of the proxy has panicked.
    pub fn cut_clients_off(&self) {
        for client in self.clients.lock().expect("the clients").drain(..) {
            // It may have gone by itself.
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

fn forward(
    client: &TcpStream,
    server: &str,
    sent: &Arc<AtomicU64>,
    held: &Arc<AtomicBool>,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (there, back) = (server.try_clone()?, client.try_clone()?);
    let (asking, counted, holding) = (back.try_clone()?, Arc::clone(sent), Arc::clone(held));
    thread::spawn(move || copy(asking, there, &counted, &holding));
    let holding = Arc::clone(held);
    thread::spawn(move || {
        copy(server, back.try_clone()?, &AtomicU64::default(), &holding);
        // The server has hung up, or the client is gone.
        back.shutdown(Shutdown::Both)
    });
    Ok(())
}

/// Copies until either end is closed, and leaves both as they are.
fn copy(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64, held: &AtomicBool) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while held.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
        counted.fetch_add(length as u64, Ordering::AcqRel);
    }
}
