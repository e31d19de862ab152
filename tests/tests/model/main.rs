//! Random histories on three nodes with memory tiers over one server, against a model of what a
//! read may return: what was invalidated here is gone at once (G1), elsewhere once it is delivered
//! or the touch bound has passed (G2), loads in flight bring nothing back and give way to explicit
//! writes (G3), `get_or_set` always answers (G5).
//!
//! `MODEL_HISTORIES` says how many histories are played (default 200), `MODEL_SEED` which is the
//! first (default 0), `MODEL_WORKERS` on how many servers at once (default 2). The history of a
//! seed is always the same; one that fails is printed with its seed, and shrinks.

mod counters;
mod history;
mod nodes;
mod operation;
mod truth;

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::runtime::Runtime;

use history::{History, Tally};
use nodes::Backend;
use operation::{Operation, histories};

/// How often a history that may be smaller is played: what fails need not fail each time.
const ATTEMPTS: usize = 4;
/// How many smaller histories are tried.
const SHRINKS: u32 = 400;
/// For how long.
const SHRINK_MILLIS: u32 = 40_000;
/// Histories per server, so that a long run leaves no heap of ended connections.
const BATCH: usize = 100;

#[test]
fn no_history_shows_what_is_gone_or_loses_what_was_set() {
    let histories = variable("MODEL_HISTORIES", 200);
    let first = variable("MODEL_SEED", 0);
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..variable("MODEL_WORKERS", 2) {
            scope.spawn(|| work(&next, first + histories, &total));
        }
    });
    let total = total.into_inner().expect("the tally");
    println!("{histories} histories from seed {first}: {total:?}");
    let counts = [total.reads, total.hits, total.demanded, total.held];
    assert!(
        histories < 50 || counts.iter().all(|it| *it > histories),
        "little was proven: {total:?}"
    );
    assert!(
        histories < 50 || total.pending > 0,
        "no invalidation had to wait: {total:?}"
    );
}

fn work(next: &AtomicU64, end: u64, total: &Mutex<Tally>) {
    loop {
        let backend = Backend::start();
        let runtime = Runtime::new().expect("a runtime");
        for _ in 0..BATCH {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            if let Err(error) = check(seed, &backend, &runtime, total) {
                next.store(end, Ordering::Relaxed);
                panic!("MODEL_SEED={seed} MODEL_HISTORIES=1\n{error}");
            }
        }
        backend.proxy.cut_clients_off();
    }
}

/// Plays the history of a seed; the smallest that fails, if it does.
fn check(
    seed: u64,
    backend: &Backend,
    runtime: &Runtime,
    total: &Mutex<Tally>,
) -> Result<(), String> {
    let played = Cell::new(0);
    let failed = Cell::new(false);
    let play = |operations: Vec<Operation>| {
        let attempts = if failed.get() { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            played.set(played.get() + 1);
            let prefix = format!("m{seed}-{}", played.get());
            match runtime.block_on(History::play(backend, &prefix, &operations)) {
                Ok(tally) => add(total, tally),
                Err(error) => {
                    if !failed.replace(true) {
                        eprintln!("seed {seed} fails, and shrinks:\n{error}\nin {operations:?}");
                    }
                    return Err(TestCaseError::fail(error));
                }
            }
        }
        Ok(())
    };
    match runner(seed).run(&histories(), play) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, operations)) => {
            let steps = operations.iter().map(|it| format!("\n    {it:?}"));
            Err(format!(
                "{reason}\nthe smallest history that was found:{}",
                steps.collect::<String>()
            ))
        }
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: SHRINKS,
        max_shrink_time: SHRINK_MILLIS,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn add(total: &Mutex<Tally>, tally: Tally) {
    let mut total = total.lock().expect("the tally");
    total.reads += tally.reads;
    total.hits += tally.hits;
    total.demanded += tally.demanded;
    total.pending += tally.pending;
    total.held += tally.held;
}

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
