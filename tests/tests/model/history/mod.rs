//! Plays a history on real nodes, and compares what they answer with the model.

mod faults;
mod reads;
mod settled;
mod writes;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use cache_core::testkit::{Gate, followers};
use cache_core::{EntryOptions, Invalidated, Metrics};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::counters::Counter;
use crate::nodes::{Backend, Nodes, PATIENCE, TOUCH_BOUND, text};
use crate::operation::{
    Asking, COUNTERS, Fault, KEYS, NAMESPACES, NODES, Name, Operation, Scope, Span, TAGS, Tags,
};
use crate::truth::{Effect, Event, Reach, Reader, Tick, Truth};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(300);
/// What the server's milliseconds and ours differ by, at most.
const GRAIN: Duration = Duration::from_millis(5);
/// How many operations an outage lasts at most.
const LONGEST_OUTAGE: usize = 8;

type Checked<T = ()> = Result<T, String>;

/// What was compared, so that a run that proved nothing can be told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) reads: u64,
    pub(crate) hits: u64,
    pub(crate) demanded: u64,
    pub(crate) pending: u64,
    pub(crate) held: u64,
}

/// A read that has not returned.
struct Open {
    reader: Reader,
    task: JoinHandle<u64>,
    gate: Option<Gate>,
}

pub(crate) struct History<'b> {
    backend: &'b Backend,
    nodes: Nodes,
    truth: Arc<Mutex<Truth>>,
    counters: Vec<Counter>,
    open: Vec<Open>,
    /// How many operations the outage has lasted.
    outage: Option<usize>,
    /// No fault since everything was delivered.
    quiet: bool,
    /// The server has lost what it held.
    lost: bool,
    /// Whether the log has begun anew since all nodes had heard of everything.
    emptied: bool,
    tally: Tally,
}

impl<'b> History<'b> {
    /// Plays the operations under a prefix of their own.
    pub(crate) async fn play(
        backend: &'b Backend,
        prefix: &str,
        operations: &[Operation],
    ) -> Checked<Tally> {
        let counter = |key| Counter::new(Name { namespace: 0, key });
        let mut history = Self {
            nodes: Nodes::start(backend, prefix).await,
            backend,
            truth: Arc::default(),
            counters: (COUNTERS..KEYS.len()).map(counter).collect(),
            open: Vec::new(),
            outage: None,
            quiet: true,
            lost: false,
            emptied: false,
            tally: Tally::default(),
        };
        let outcome = history.run(operations).await;
        backend.mend();
        outcome.map(|()| history.tally)
    }

    async fn run(&mut self, operations: &[Operation]) -> Checked {
        for operation in operations {
            self.step(*operation)
                .await
                .map_err(|error| format!("at {operation:?}:\n{error}"))?;
        }
        while !self.open.is_empty() {
            self.finish(0).await?;
        }
        self.settle().await?;
        self.agree().await?;
        self.count_all().await?;
        for node in &self.nodes.0 {
            self.tally.hits += (0..NAMESPACES.len())
                .map(|it| node.namespace(it).metrics().hits)
                .sum::<u64>();
        }
        Ok(())
    }

    async fn step(&mut self, operation: Operation) -> Checked {
        self.end_long_outage();
        match operation {
            Operation::Load { asking, tags, held } => self.load(asking, tags, held).await,
            Operation::Meanwhile(asking) => {
                let open = self.begin(asking, 0, false);
                self.open.push(open);
                Ok(())
            }
            Operation::Get(asking) => self.get(asking).await,
            Operation::Set { node, name, tags } => self.set(node, name, tags).await,
            Operation::Invalidate { node, scope } => self.invalidate(node, scope).await,
            Operation::Expire { node, name, span } => self.expire(node, name, span).await,
            Operation::Increment { node, name, amount } => self.increment(node, name, amount).await,
            Operation::Count(asking) => self.count(asking).await,
            Operation::Finish(_) if self.open.is_empty() => Ok(()),
            Operation::Finish(index) => self.finish(index.index(self.open.len())).await,
            Operation::Settle => self.settle().await,
            Operation::Sleep => {
                sleep(SHORT + GRAIN).await;
                Ok(())
            }
            Operation::Fault(fault) => {
                self.fault(fault).await;
                Ok(())
            }
        }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("the truth")
    }

    fn tick(&self) -> Tick {
        self.truth().tick()
    }

    fn reader(&self, asking: Asking) -> Reader {
        let Asking { node, name, strict } = asking;
        Reader {
            node,
            name,
            strict,
            started: self.tick(),
            at: Instant::now(),
        }
    }
}

fn tags_of(tags: Tags) -> Vec<&'static str> {
    let has = |index: &usize| tags & (1 << index) != 0;
    (0..TAGS.len())
        .filter(has)
        .map(|index| TAGS[index])
        .collect()
}
