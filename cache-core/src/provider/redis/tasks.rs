//! What runs in the background: heartbeat, tail, sweep, and the watch over a cluster. All end with
//! the provider.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::backplane::Backplane;
use super::server::Server;
use super::sweep::Sweeper;
use super::tail::Tail;
use crate::provider::pause::Pause;

/// The running tasks; dropping this ends them.
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    /// Starts them: the heartbeat after `first`, then every `period`; the sweep if there is one.
    pub(super) fn start(
        server: Server,
        backplane: &Arc<Backplane>,
        first: Duration,
        period: Duration,
        sweeper: Option<Sweeper>,
    ) -> Self {
        let tail = Tail {
            server: server.clone(),
            keys: backplane.keys.clone(),
            period,
            backplane: Arc::downgrade(backplane),
        };
        #[cfg(feature = "redis-cluster")]
        let watch = server.watch(backplane, period);
        let heartbeat = heartbeat(server, Arc::downgrade(backplane), first, period);
        let mut tasks = vec![tokio::spawn(heartbeat), tokio::spawn(tail.run())];
        #[cfg(feature = "redis-cluster")]
        tasks.extend(watch.map(tokio::spawn));
        tasks.extend(sweeper.map(|sweeper| tokio::spawn(sweeper.run())));
        Self(tasks)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn heartbeat(server: Server, backplane: Weak<Backplane>, first: Duration, period: Duration) {
    tokio::time::sleep(first).await;
    let mut pause = Pause::new("the heartbeat");
    while let Some(strong) = backplane.upgrade() {
        let outcome = server.beat(&strong).await;
        drop(strong);
        let wait = match outcome {
            Ok(()) => {
                pause.succeeded();
                period
            }
            Err(error) => {
                pause.failed(&error);
                pause.after_failure().min(period)
            }
        };
        tokio::time::sleep(wait).await;
    }
}
