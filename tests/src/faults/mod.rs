//! What three nodes do while something is broken: the rows of `docs/faults.md`.
//!
//! Each row is one deployment: a server behind proxies, or several; three tiered caches on them,
//! readers and writers on all of these, and a source of truth that numbers its versions.

mod blows;
mod deployment;
mod fault;
mod machines;
mod report;
mod traffic;
mod truth;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use fault::Fault;
pub use report::{Report, document};
pub use traffic::Seen;

use deployment::{Deployment, Node};
use traffic::Traffic;
use truth::{KEYS, Truth};

/// How many nodes share the server.
pub const NODES: usize = 3;
/// The longest that one round trip to the server takes.
pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(200);
/// How long a node that hears nothing shows what it has.
pub const TOUCH_BOUND: Duration = Duration::from_millis(600);
/// From one heartbeat to the next.
pub const HEARTBEAT: Duration = Duration::from_millis(150);
/// How long a value takes to load.
pub const LOAD: Duration = Duration::from_millis(2);
/// What a call may take longer than its waits, on a machine that does other things too.
const SLACK: Duration = Duration::from_millis(250);
/// The longest that a call may take: a look, a lease and a fill that each time out, and the load.
pub const BUDGET: Duration = Duration::from_millis(3 * 200 + 2).saturating_add(SLACK);

/// Traffic without a fault, before and after.
const CALM: Duration = Duration::from_millis(400);
/// How long a deployment has for coming back.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs traffic, breaks something for as long, mends it, and reports what callers saw.
///
/// # Panics
///
/// If there is no server to run it on.
pub async fn survive(fault: Fault, lasting: Duration) -> Report {
    let (nodes, mut machines) = Deployment::start(fault).await.split();
    let truth = Arc::new(Truth::new());
    let traffic = Traffic::start(&nodes, &truth);
    tokio::time::sleep(CALM).await;
    let breaking = tokio::task::spawn_blocking(move || {
        fault.run(&mut machines, lasting);
        machines
    });
    // Held: the server ends with it.
    let _machines = breaking.await.expect("the fault is mended");
    let back_after = back(&nodes).await;
    tokio::time::sleep(CALM).await;
    let seen = traffic.stop().await;
    let is_back = back(&nodes).await.is_some();
    tokio::time::sleep(TOUCH_BOUND).await;
    let lost = lost(&nodes, &truth).await;
    let cold = cold(&nodes).await;
    Report {
        fault,
        seen,
        from_cache: nodes.iter().map(|node| node.cache.metrics().hits).sum(),
        lost,
        back_after: back_after.filter(|_| is_back && cold == 0),
    }
}

/// How long it takes until all nodes are in touch, and nothing waits to be delivered.
async fn back(nodes: &[Arc<Node>]) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if nodes
            .iter()
            .all(|node| node.is_in_touch() && !node.has_pending())
        {
            return Some(start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// How many values some node shows that are not the newest.
async fn lost(nodes: &[Arc<Node>], truth: &Truth) -> usize {
    let mut lost = 0;
    for node in nodes {
        for key in 0..KEYS {
            let newest = truth.newest(key);
            lost += usize::from(node.read(key, async || truth.newest(key)).await != newest);
        }
    }
    lost
}

/// How many values some node has to load although it has just done so.
async fn cold(nodes: &[Arc<Node>]) -> usize {
    let mut loads = 0;
    for node in nodes {
        for key in 0..KEYS {
            let load = async || {
                loads += 1;
                0
            };
            node.read(key, load).await;
        }
    }
    loads
}
