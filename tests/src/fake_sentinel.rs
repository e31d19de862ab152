//! What answers like a sentinel, and says what a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Names a primary to all who ask, to the end of the process.
#[derive(Debug)]
pub struct FakeSentinel {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    primary: u16,
    others: usize,
    delay: Mutex<Duration>,
    is_denying: AtomicBool,
    connections: AtomicU64,
    questions: AtomicU64,
}

impl FakeSentinel {
    /// Starts one that names the server at a port, and knows so many others.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(primary: u16, others: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            primary,
            others,
            delay: Mutex::default(),
            is_denying: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            questions: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serving.serve(&listener));
        Self { port, shared }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// From now on it takes so long to answer.
    ///
    /// # Panics
    ///
    /// If a thread of it has panicked.
    pub fn slow_down(&mut self, delay: Duration) {
        *self.shared.delay.lock().expect("the delay") = delay;
    }

    /// From now on it knows of no primary.
    pub fn deny(&self) {
        self.shared.is_denying.store(true, Ordering::Release);
    }

    /// From now on it names one again.
    pub fn allow(&self) {
        self.shared.is_denying.store(false, Ordering::Release);
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// How often it was asked, and has answered.
    pub fn questions(&self) -> u64 {
        self.shared.questions.load(Ordering::Acquire)
    }
}

impl Shared {
    fn serve(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            self.connections.fetch_add(1, Ordering::AcqRel);
            let shared = Arc::clone(&self);
            thread::spawn(move || shared.answer(stream));
        }
    }

    /// Commands are short and come whole. Those that introduce the client are agreed to.
    fn answer(&self, mut stream: TcpStream) {
        let mut buffer = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let sent = String::from_utf8_lossy(&buffer[..length]).to_uppercase();
            let mut replies = "+OK\r\n".repeat(sent.matches("\r\nSETINFO\r\n").count());
            let questions = sent.matches("\r\nSENTINEL\r\n").count();
            if questions > 0 {
                thread::sleep(*self.delay.lock().expect("the delay"));
            }
            replies.push_str(&self.fields().repeat(questions));
            if stream.write_all(replies.as_bytes()).is_err() {
                return;
            }
            self.questions.fetch_add(questions as u64, Ordering::AcqRel);
        }
    }

    fn fields(&self) -> String {
        if self.is_denying.load(Ordering::Acquire) {
            return "-ERR No such master with that name\r\n".into();
        }
        let fields = [
            ("ip", "127.0.0.1".to_owned()),
            ("port", self.primary.to_string()),
            ("flags", "master".to_owned()),
            ("config-epoch", "1".to_owned()),
            ("num-other-sentinels", self.others.to_string()),
        ];
        let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        let pairs = fields.iter().map(|(name, value)| bulk(name) + &bulk(value));
        format!("*{}\r\n{}", fields.len() * 2, pairs.collect::<String>())
    }
}
