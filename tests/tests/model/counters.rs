//! The model of counters: all states that a counter's key can be in on the server.

use std::time::Duration;

use crate::operation::Name;
use crate::truth::{Reader, Tick, Truth};

/// A counter that began at some moment, and its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    born: Tick,
    sum: i64,
}

/// What may stand at one key: `None` for nothing.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) name: Name,
    possible: Vec<Option<Life>>,
}

/// Whether a reader is shown a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Yes,
    Perhaps,
    No,
}

impl Counter {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            possible: vec![None],
        }
    }

    /// It stands there no more; perhaps, if that is not `sure`.
    pub(crate) fn gone(&mut self, sure: bool) {
        if sure {
            self.possible.clear();
        }
        self.add(None);
    }

    /// An increment returned `sum`, or failed, whether or not it was carried out.
    pub(crate) fn incremented(
        &mut self,
        truth: &mut Truth,
        reader: &Reader,
        amount: i64,
        outcome: Option<i64>,
        bound: Duration,
    ) -> Result<(), String> {
        let born = truth.tick();
        let mut after = Self {
            possible: Vec::new(),
            ..*self
        };
        for state in &self.possible {
            let shown = state.map_or(Shown::No, |it| shown(truth, self.name, it, reader, bound));
            if shown != Shown::No
                && let Some(life) = *state
            {
                after.add(Some(Life {
                    sum: life.sum + amount,
                    ..life
                }));
            }
            if shown != Shown::Yes {
                after.add(Some(Life { born, sum: amount }));
            }
        }
        let Some(sum) = outcome else {
            after.possible.into_iter().for_each(|state| self.add(state));
            return Ok(());
        };
        after
            .possible
            .retain(|state| state.is_some_and(|life| life.sum == sum));
        let before = std::mem::replace(self, after);
        match self.possible.is_empty() {
            true => Err(format!(
                "an increment by {amount} returned {sum}: {reader:?}\nof {before:?}"
            )),
            false => Ok(()),
        }
    }

    /// Whether a read may return this.
    pub(crate) fn permits(
        &self,
        truth: &Truth,
        reader: &Reader,
        read: Option<i64>,
        quiet: bool,
        bound: Duration,
    ) -> Result<(), String> {
        let fits = |state: &Option<Life>| {
            let shown = state.map_or(Shown::No, |life| {
                shown(truth, self.name, life, reader, bound)
            });
            match read {
                Some(sum) => shown != Shown::No && state.is_some_and(|life| life.sum == sum),
                // Who lags behind the log's life on the server is shown nothing.
                None => shown != Shown::Yes || !quiet,
            }
        };
        match self.possible.iter().any(fits) {
            true => Ok(()),
            false => Err(format!(
                "a counter was read as {read:?}: {reader:?}\nof {self:?}"
            )),
        }
    }

    fn add(&mut self, state: Option<Life>) {
        if !self.possible.contains(&state) {
            self.possible.push(state);
        }
    }
}

fn shown(truth: &Truth, name: Name, life: Life, reader: &Reader, bound: Duration) -> Shown {
    let mut shown = Shown::Yes;
    for event in truth
        .events
        .iter()
        .filter(|event| event.scope.holds(name, 0))
    {
        if life.born < event.started && event.binds(reader, bound) {
            return Shown::No;
        }
        // One that waits takes its place in the log later, and hides what it finds then.
        let waited = event.may_wait() && event.delivered.is_none_or(|it| it > life.born);
        if life.born < event.started || waited {
            shown = Shown::Perhaps;
        }
    }
    shown
}
