//! The heartbeat, which ends with the provider.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::backplane::Backplane;
use crate::provider::pause::Pause;

/// The running heartbeat; dropping this ends it.
pub(super) struct Heartbeat(JoinHandle<()>);

impl Heartbeat {
    /// Starts it: the first beat after `first`, then one every `period`.
    pub(super) fn start(
        runtime: &Handle,
        backplane: &Arc<Backplane>,
        first: Duration,
        period: Duration,
    ) -> Self {
        Self(runtime.spawn(beat(Arc::downgrade(backplane), first, period)))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn beat(backplane: Weak<Backplane>, first: Duration, period: Duration) {
    tokio::time::sleep(first).await;
    let mut pause = Pause::new("the heartbeat");
    while let Some(strong) = backplane.upgrade() {
        let outcome = strong.beat().await;
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
