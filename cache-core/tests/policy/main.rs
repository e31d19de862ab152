//! Read policies on the memory provider, by a clock that moves when it is told to.

mod early;
mod error;
mod invalidation;
mod revalidate;
mod storing;
mod stress;
mod tasks;
mod timeouts;
mod touch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::testkit::{Held, eventually};
use cache_core::{Cache, LoadError, Loaded, ManualClock, MemoryProvider, Owner, Policy};

const KEY: &str = "k";
const TTL: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Longer than anything here waits, by either clock.
const PATIENCE: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(1);

/// What loads return, how long they take, and how many have run.
#[derive(Clone)]
struct Source {
    clock: ManualClock,
    loads: Arc<AtomicUsize>,
    answer: Arc<Mutex<Answer>>,
}

#[derive(Clone)]
struct Answer {
    value: Result<Loaded<String>, String>,
    takes: Duration,
    held: Option<Held>,
    panics: bool,
}

impl Source {
    fn says(&self, value: &str) {
        self.change(|answer| answer.value = Ok(value.to_owned().into()));
    }

    fn fails(&self) {
        self.change(|answer| answer.value = Err("no".to_owned()));
    }

    fn is_held(&self, held: Held) {
        self.change(|answer| answer.held = Some(held));
    }

    fn change(&self, change: impl FnOnce(&mut Answer)) {
        change(&mut self.answer.lock().unwrap());
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Waits until so many loads have begun.
    async fn has_loaded(&self, loads: usize) {
        eventually("the load begins", || self.loads() >= loads).await;
    }

    async fn load(self) -> Result<Loaded<String>, String> {
        let answer = self.answer.lock().unwrap().clone();
        self.loads.fetch_add(1, Ordering::SeqCst);
        if let Some(held) = answer.held {
            let passed = tokio::time::timeout(PATIENCE, held.pass()).await;
            passed.expect("the test opens the gate");
        }
        assert!(!answer.panics, "the test wants it");
        self.clock.advance(answer.takes);
        answer.value
    }
}

/// A cache under a policy, and what it loads from.
#[derive(Clone)]
struct Bench {
    cache: Cache,
    clock: ManualClock,
    source: Source,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let clock = ManualClock::new();
        let provider = MemoryProvider::builder().clock(clock.clock()).build();
        let cache = Cache::builder(provider).default_ttl(TTL).policy(policy);
        let answer = Answer {
            value: Ok("old".to_owned().into()),
            takes: Duration::ZERO,
            held: None,
            panics: false,
        };
        let source = Source {
            clock: clock.clone(),
            loads: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
        };
        Self {
            cache: cache.build().unwrap(),
            clock,
            source,
        }
    }

    /// One that has stored `old`, which has expired this long ago.
    async fn stale(policy: Policy, age: Duration) -> Self {
        let bench = Self::new(policy);
        assert_eq!(bench.read().await.unwrap(), "old");
        bench.clock.advance(TTL + age);
        bench.source.says("new");
        bench
    }

    /// A read whose load may go on by itself.
    async fn read(&self) -> Result<String, LoadError<String>> {
        self.read_at(KEY).await
    }

    async fn read_at(&self, key: &str) -> Result<String, LoadError<String>> {
        let source = self.source.clone();
        self.cache.get_or_load(key, || source.load()).await
    }

    /// A read whose load ends with its caller.
    async fn borrow(&self) -> Result<String, String> {
        let load = async || {
            let loaded = self.source.clone().load().await;
            loaded.map(|_| "borrowed".to_owned())
        };
        self.cache.get_or_set(KEY, load).await
    }

    fn spawn_read(&self) -> tokio::task::JoinHandle<Result<String, LoadError<String>>> {
        let bench = self.clone();
        tokio::spawn(async move { bench.read().await })
    }

    async fn get(&self) -> Option<String> {
        self.cache.get(KEY).await.unwrap()
    }

    /// Waits until the cache holds this.
    async fn comes_to_hold(&self, value: &str) {
        let holds = || {
            let mut holds = false;
            // What is refused is not counted.
            self.cache.peek_if(KEY, Owner::HANDLE, |hit| {
                holds = hit.value::<String>().is_ok_and(|stored| stored == value);
                false
            });
            holds
        };
        eventually("the value is stored", holds).await;
    }

    fn stale_reads(&self) -> u64 {
        self.cache.metrics().stale
    }
}

fn revalidating() -> Policy {
    Policy::new().stale_while_revalidate(SECOND * 30)
}

fn forgiving() -> Policy {
    Policy::new().stale_if_error(SECOND * 30)
}

fn failed(read: Result<String, LoadError<String>>) -> String {
    match read.expect_err("an error").into_failed() {
        Some(error) => error,
        None => panic!("the loader's own error"),
    }
}
