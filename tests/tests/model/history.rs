//! Plays a history on real nodes, and compares what they answer with the model.

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

    /// Starts a `get_or_set`; what it loads is held back if `held`.
    fn begin(&self, asking: Asking, tags: Tags, held: bool) -> Open {
        let cache = self.nodes.0[asking.node].asked(asking);
        let reader = self.reader(asking);
        let (gate, hold) = Gate::new();
        let gate = held.then_some(gate);
        let truth = Arc::clone(&self.truth);
        let task = tokio::spawn(async move {
            let load = || async {
                let version = truth.lock().expect("the truth").bear(asking.name, tags);
                hold.pass().await;
                Ok::<_, Infallible>(version as u64)
            };
            let options = EntryOptions::new().tags(tags_of(tags));
            let Ok(value) = cache
                .get_or_set_with(text(asking.name), options, load)
                .await;
            value
        });
        Open { reader, task, gate }
    }

    async fn load(&mut self, asking: Asking, tags: Tags, held: bool) -> Checked {
        let cache = self.nodes.0[asking.node].asked(asking);
        let waiting = followers(&cache, text(asking.name));
        let before = cache.metrics();
        let open = self.begin(asking, tags, held);
        let reader = open.reader;
        let deadline = Instant::now() + PATIENCE;
        while !open.task.is_finished() {
            let entered = match &open.gate {
                Some(gate) => timeout(Duration::from_millis(1), gate.entered())
                    .await
                    .is_ok(),
                None => {
                    sleep(Duration::from_micros(200)).await;
                    false
                }
            };
            if entered || followers(&cache, text(asking.name)) > waiting {
                self.tally.held += u64::from(entered);
                self.open.push(open);
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{reader:?} neither returns nor loads nor waits"));
            }
        }
        let read = self.answered(open).await?;
        let disturbed = was_disturbed(before, cache.metrics());
        self.check(&reader, Some(read), disturbed)
    }

    /// The result of a read that has returned, or returns now.
    async fn answered(&mut self, open: Open) -> Checked<u64> {
        drop(open.gate);
        let reader = open.reader;
        match timeout(PATIENCE, open.task).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(format!("{reader:?} failed: {error}")),
            Err(_) => Err(format!("{reader:?} does not return")),
        }
    }

    async fn finish(&mut self, index: usize) -> Checked {
        let first = self.open.swap_remove(index);
        let reader = first.reader;
        let same = |open: &Open| open.reader.node == reader.node && open.reader.name == reader.name;
        let mut along = vec![first];
        // Those who wait for it return as well, and so does whoever they wait for.
        while let Some(other) = self.open.iter().position(same) {
            along.push(self.open.swap_remove(other));
        }
        for open in &along {
            open.gate.iter().for_each(Gate::open);
        }
        for open in along {
            let reader = open.reader;
            let read = self.answered(open).await?;
            self.permit(&reader, read)?;
        }
        Ok(())
    }

    async fn get(&mut self, asking: Asking) -> Checked {
        let cache = self.nodes.0[asking.node].asked(asking);
        let reader = self.reader(asking);
        match cache.get::<u64>(text(asking.name)).await {
            Ok(read) => self.check(&reader, read, false),
            Err(_) => Ok(()),
        }
    }

    fn permit(&mut self, reader: &Reader, read: u64) -> Checked {
        self.tally.reads += 1;
        let number = usize::try_from(read).expect("the number of a version");
        self.truth().permits(reader, number, TOUCH_BOUND)
    }

    /// What was read must be permitted; where only one answer is possible, it must be that one.
    fn check(&mut self, reader: &Reader, read: Option<u64>, disturbed: bool) -> Checked {
        if let Some(read) = read {
            self.permit(reader, read)?;
        }
        let demanded = self.truth().demands(reader, TOUCH_BOUND);
        let Some(demanded) = demanded.filter(|_| self.quiet && !disturbed) else {
            return Ok(());
        };
        self.tally.demanded += 1;
        match read == Some(demanded as u64) {
            true => Ok(()),
            false => Err(format!(
                "lost: {reader:?}\nreturned {read:?}, not {demanded}\n{:?}",
                self.truth()
            )),
        }
    }

    fn happened(&self, node: usize, scope: Scope, effect: Effect, reach: Reach, started: Tick) {
        let mut truth = self.truth();
        let (ended, at) = (truth.tick(), Instant::now());
        let delivered = None;
        truth.events.push(Event {
            node,
            scope,
            effect,
            reach,
            started,
            ended,
            at,
            delivered,
        });
    }

    async fn set(&mut self, node: usize, name: Name, tags: Tags) -> Checked {
        let started = self.tick();
        let number = self.truth().bear(name, tags);
        let cache = self.nodes.0[node].namespace(name.namespace);
        let set = cache
            .set(text(name), &(number as u64))
            .tags(tags_of(tags))
            .await;
        let born = self.tick();
        self.truth().versions[number].born = born;
        let (effect, reach, started) = match set {
            Ok(()) => (Effect::Replaces(number), Reach::Applied, started),
            // Neither what was there nor what was written is shown.
            Err(error) if error.is_retryable() => (Effect::Hides, Reach::Pending, self.tick()),
            Err(_) => (Effect::Hides, Reach::Open, self.tick()),
        };
        self.happened(node, Scope::Key(name), effect, reach, started);
        Ok(())
    }

    async fn invalidate(&mut self, node: usize, scope: Scope) -> Checked {
        let started = self.tick();
        let here = &self.nodes.0[node];
        let outcome = match scope {
            Scope::Key(name) => here.namespace(name.namespace).invalidate(text(name)).await,
            Scope::Tag(tag) => here.root().invalidate_tag(TAGS[tag]).await,
            Scope::Prefix(namespace, text) => {
                here.namespace(namespace)
                    .invalidate_pattern(&format!("{text}*"))
                    .await
            }
            Scope::Suffix(namespace, text) => {
                here.namespace(namespace)
                    .invalidate_pattern(&format!("*{text}"))
                    .await
            }
            Scope::Namespace(namespace) => here.namespace(namespace).clear().await,
            Scope::Everything => here.root().clear().await,
        };
        let reach = match outcome {
            Ok(Invalidated::Applied) => Reach::Applied,
            Ok(_) => Reach::Pending,
            Err(_) => Reach::Open,
        };
        self.tally.pending += u64::from(reach == Reach::Pending);
        self.happened(node, scope, Effect::Hides, reach, started);
        if let Scope::Key(name) = scope
            && let Some(counter) = self.counters.iter_mut().find(|it| it.name == name)
        {
            counter.gone(reach == Reach::Applied);
        }
        Ok(())
    }

    async fn expire(&mut self, node: usize, name: Name, span: Span) -> Checked {
        let started = self.tick();
        let cache = self.nodes.0[node].namespace(name.namespace);
        let ttl = match span {
            Span::Short => SHORT,
            Span::Long => LONG,
        };
        let outcome = cache.expire(text(name), ttl).await;
        let end = Instant::now() + SHORT + GRAIN;
        if !matches!(outcome, Ok(false)) {
            self.forget_ends(name);
        }
        match (outcome, span) {
            (Ok(true), Span::Short) => {
                let reach = if self.quiet {
                    Reach::Applied
                } else {
                    Reach::Pending
                };
                self.happened(node, Scope::Key(name), Effect::Ends(end), reach, started);
            }
            (Err(_), Span::Short) => {
                self.happened(node, Scope::Key(name), Effect::Hides, Reach::Open, started);
            }
            _ => {}
        }
        Ok(())
    }

    /// Another time to live counts from now on.
    fn forget_ends(&self, name: Name) {
        for event in &mut self.truth().events {
            if matches!((event.scope, event.effect), (Scope::Key(it), Effect::Ends(_)) if it == name)
            {
                event.reach = Reach::Open;
            }
        }
    }

    async fn increment(&mut self, node: usize, name: Name, amount: i64) -> Checked {
        let reader = self.reader(Asking {
            node,
            name,
            strict: false,
        });
        let cache = self.nodes.0[node].namespace(name.namespace);
        let outcome = cache.increment(text(name), amount).await.ok();
        let truth = &mut self.truth.lock().expect("the truth");
        let counter = self.counters.iter_mut().find(|it| it.name == name);
        let counter = counter.expect("a counter");
        counter.incremented(truth, &reader, amount, outcome, TOUCH_BOUND)
    }

    async fn count(&mut self, asking: Asking) -> Checked {
        let reader = self.reader(asking);
        let cache = self.nodes.0[asking.node].asked(asking);
        let Ok(read) = cache.get::<i64>(text(asking.name)).await else {
            return Ok(());
        };
        let counter = self.counters.iter().find(|it| it.name == asking.name);
        let counter = counter.expect("a counter");
        counter.permits(&self.truth(), &reader, read, self.quiet, TOUCH_BOUND)
    }

    async fn count_all(&mut self) -> Checked {
        let names: Vec<_> = self.counters.iter().map(|counter| counter.name).collect();
        for (name, node) in names
            .into_iter()
            .flat_map(|name| (0..NODES).map(move |node| (name, node)))
        {
            self.count(Asking {
                node,
                name,
                strict: false,
            })
            .await?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Checked {
        self.mend();
        self.nodes.settle().await?;
        let waited = |it: &Event, name| it.reach == Reach::Pending && it.scope.holds(name, 0);
        let truth = &mut self.truth.lock().expect("the truth");
        for counter in &mut self.counters {
            if truth
                .events
                .iter()
                .any(|it| it.delivered.is_none() && waited(it, counter.name))
            {
                counter.gone(false);
            }
        }
        truth.delivered(self.quiet);
        self.quiet = true;
        Ok(())
    }

    /// Once all is delivered and nothing is under way, memory is as the server is, on every node;
    /// unless a node that had yet to learn that the log began anew has replaced what it could not
    /// judge: copies in memory may outlive that, as they outlive an eviction.
    async fn agree(&mut self) -> Checked {
        if self.lost {
            return Ok(());
        }
        let names = (0..NAMESPACES.len())
            .flat_map(|namespace| (0..COUNTERS).map(move |key| Name { namespace, key }));
        for name in names
            .filter(|name| !self.is_ending(*name))
            .collect::<Vec<_>>()
        {
            let mut reads = Vec::new();
            for node in 0..NODES {
                let asking = Asking {
                    node,
                    name,
                    strict: false,
                };
                let cache = self.nodes.0[node].asked(asking);
                for cache in [cache.without_memory_tier(), cache] {
                    let reader = self.reader(asking);
                    if let Ok(read) = cache.get::<u64>(text(name)).await {
                        self.check(&reader, read, false)?;
                        reads.push(read);
                    }
                }
            }
            if reads.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(format!(
                    "the tiers disagree on {name:?}: {reads:?}\n{:?}",
                    self.truth()
                ));
            }
        }
        Ok(())
    }

    fn is_ending(&self, name: Name) -> bool {
        let ends = |it: &Event| matches!(it.effect, Effect::Ends(_)) && it.scope.holds(name, 0);
        self.truth().events.iter().any(ends)
    }

    async fn fault(&mut self, fault: Fault) {
        self.quiet &= matches!(fault, Fault::FlushScripts | Fault::Mend);
        let backend = self.backend;
        match fault {
            Fault::Mend => self.mend(),
            Fault::Linger => sleep(TOUCH_BOUND + GRAIN).await,
            Fault::Cut => backend.proxy.cut_clients_off(),
            Fault::Isolate => {
                backend.proxy.hold();
                self.outage.get_or_insert(0);
            }
            Fault::Pause => {
                backend.server.pause();
                self.outage.get_or_insert(0);
            }
            // What is sent to a server that stands still is not answered.
            _ if self.outage.is_some() => {}
            Fault::FlushScripts => backend.command(&["SCRIPT", "FLUSH"]),
            Fault::KillClients => backend.command(&["CLIENT", "KILL", "TYPE", "normal"]),
            Fault::FlushAll => {
                let started = self.tick();
                self.lost = true;
                backend.command(&["FLUSHALL"]);
                self.happened(0, Scope::Everything, Effect::Hides, Reach::Open, started);
                self.counters
                    .iter_mut()
                    .for_each(|counter| counter.gone(true));
            }
        }
    }

    fn mend(&mut self) {
        if self.outage.take().is_some() {
            self.backend.mend();
        }
    }

    fn end_long_outage(&mut self) {
        match &mut self.outage {
            Some(operations) if *operations < LONGEST_OUTAGE => *operations += 1,
            _ => self.mend(),
        }
    }
}

/// Whether the cache could not be asked, for whatever reason.
fn was_disturbed(before: Metrics, after: Metrics) -> bool {
    (before.errors, before.bypassed) != (after.errors, after.bypassed)
}

fn tags_of(tags: Tags) -> Vec<&'static str> {
    let has = |index: &usize| tags & (1 << index) != 0;
    (0..TAGS.len())
        .filter(has)
        .map(|index| TAGS[index])
        .collect()
}
