//! Loads within loads: who waits for whom, so that no circle of waiting closes.
//!
//! A load knows, by a task-local chain, which flights it runs inside. A caller inside a load of
//! the same key goes alone. A caller that is about to follow another flight is recorded in a
//! graph first; if the other load waits, directly or through more, for one that the caller runs
//! inside, it goes alone too. A chain is not seen through `tokio::spawn`; a circle through a
//! spawned task ends when `flight_wait` has passed, unless [`carry`] took the chain along.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::flight::{Flight, Flights};

tokio::task_local! {
    static INSIDE: Arc<Link>;
}

/// A load that the current task runs inside, of one key or of several, and those around it.
struct Link {
    flights: Weak<Flights>,
    loading: Box<[Arc<Flight>]>,
    outer: Option<Arc<Link>>,
}

fn inside() -> Option<Arc<Link>> {
    INSIDE.try_with(Arc::clone).ok()
}

fn chain(link: Option<&Arc<Link>>) -> impl Iterator<Item = &Link> {
    std::iter::successors(link.map(|link| &**link), |link| link.outer.as_deref())
}

/// Drives a load so that what it asks for knows where it is asked from.
pub(super) async fn run_inside<F: Future>(
    flights: &Arc<Flights>,
    loading: Box<[Arc<Flight>]>,
    load: F,
) -> F::Output {
    let link = Link {
        flights: Arc::downgrade(flights),
        loading,
        outer: inside(),
    };
    INSIDE.scope(Arc::new(link), load).await
}

/// Lets work know, in whatever task it runs, which loads it is done for: those that the caller of
/// this function runs inside. What it asks for then does not wait for them.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let link = inside();
    async move {
        match link {
            Some(link) => INSIDE.scope(link, work).await,
            None => work.await,
        }
    }
}

/// Whether the current task runs inside a load of this key.
pub(super) fn is_loading(flights: &Arc<Flights>, key: &str) -> bool {
    let here = Arc::as_ptr(flights);
    let loads = |link: &Link| {
        link.flights.as_ptr() == here && link.loading.iter().any(|it| **it.key() == *key)
    };
    INSIDE
        .try_with(|link| chain(Some(link)).any(loads))
        .unwrap_or(false)
}

/// For each flight whose leader waits, the flights that it waits for.
static WAITING: LazyLock<Mutex<HashMap<u64, Vec<u64>>>> = LazyLock::new(Mutex::default);

/// The current task's wait for a flight, while it lasts.
#[derive(Debug)]
pub(super) struct Wait {
    waiting: Vec<u64>,
    target: u64,
}

impl Wait {
    /// Records that the current task waits for `target`; `None` if that would close a circle.
    pub(super) fn begin(target: &Flight) -> Option<Self> {
        let inside = inside();
        let waiting: Vec<u64> = chain(inside.as_ref())
            .flat_map(|link| &link.loading)
            .map(|flight| flight.id())
            .collect();
        let target = target.id();
        if !waiting.is_empty() {
            let mut graph = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            if reaches(&graph, target, &waiting) {
                return None;
            }
            for flight in &waiting {
                graph.entry(*flight).or_default().push(target);
            }
        }
        Some(Self { waiting, target })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut graph = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        for flight in &self.waiting {
            let Some(targets) = graph.get_mut(flight) else {
                continue;
            };
            if let Some(index) = targets.iter().position(|target| *target == self.target) {
                targets.swap_remove(index);
            }
            if targets.is_empty() {
                graph.remove(flight);
            }
        }
    }
}

fn reaches(graph: &HashMap<u64, Vec<u64>>, from: u64, goals: &[u64]) -> bool {
    let mut seen = vec![from];
    let mut next = 0;
    while let Some(&flight) = seen.get(next) {
        if goals.contains(&flight) {
            return true;
        }
        for target in graph.get(&flight).into_iter().flatten() {
            if !seen.contains(target) {
                seen.push(*target);
            }
        }
        next += 1;
    }
    false
}
