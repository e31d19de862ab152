//! Holding a load open until a test lets it go.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The test's side: knows when the load has begun, and lets it finish.
#[derive(Debug)]
pub struct Gate {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

/// The load's side.
#[derive(Clone, Debug)]
pub struct Held {
    entered: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// A closed gate and the load's side of it.
    pub fn new() -> (Self, Held) {
        let entered = Arc::new(Semaphore::new(0));
        let open = Arc::new(Semaphore::new(0));
        let held = Held {
            entered: Arc::clone(&entered),
            open: Arc::clone(&open),
        };
        (Self { entered, open }, held)
    }

    /// Waits until a load stands at the gate.
    pub async fn entered(&self) {
        if let Ok(permit) = self.entered.acquire().await {
            permit.forget();
        }
    }

    /// Lets every load through, now and later.
    pub fn open(&self) {
        self.open.close();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

impl Held {
    /// Stands at the gate until it opens.
    pub async fn pass(&self) {
        self.entered.add_permits(1);
        // An error says that the gate is open: permits are never given.
        let _ = self.open.acquire().await;
    }
}
