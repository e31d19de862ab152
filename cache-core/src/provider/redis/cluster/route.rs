//! Sending calls to the nodes that have their keys, wherever these have gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{ServerErrorKind, Value};
use tokio::task::{JoinError, JoinSet};

use super::Cluster;
use super::map::slot_of_call;
use super::node::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::redis::call::Call;
use crate::provider::redis::link::after;

/// How long to wait before a call is sent for the third time, and with each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A call on its way.
#[derive(Clone)]
struct Step {
    /// Its place among the calls.
    index: usize,
    call: Call,
    /// Where it is sent, or has been; none for the node that has the key.
    to: Option<Arc<Node>>,
}

/// Calls that go to one node, in one round trip.
type Group = (Arc<Node>, Vec<Step>);

impl Cluster {
    pub(in super::super) async fn calls(&self, calls: Vec<Call>) -> Result<Vec<Value>> {
        self.route(calls, false).await
    }

    pub(in super::super) async fn writes(&self, calls: Vec<Call>) -> Result<Vec<Value>> {
        self.route(calls, true).await
    }

    /// Sends a call that is about no key to every primary.
    pub(in super::super) async fn ask_all(&self, call: &Call) -> Result<Vec<Value>> {
        // Whose view is without an owner for a slot does not reach all keys.
        let map = self.map();
        map.check()?;
        let step = |(index, node)| Step {
            index,
            call: call.clone(),
            to: Some(node),
        };
        let steps = map.primaries().into_iter().enumerate().map(step).collect();
        let sent = self.send(steps, self.until(), false).await?;
        Ok(sent.into_iter().map(|(_, reply)| reply).collect())
    }

    /// When a call that is sent now is given up, redirections included.
    pub(super) fn until(&self) -> Instant {
        after(self.shared.bounds.command)
    }

    /// Sends the calls, and again those that are told to go elsewhere, as long as there is time.
    async fn route(&self, calls: Vec<Call>, are_writes: bool) -> Result<Vec<Value>> {
        let (until, count) = (self.until(), calls.len());
        let mut replies = vec![Value::Nil; calls.len()];
        let step = |(index, call)| Step {
            index,
            call,
            to: None,
        };
        let mut steps: Vec<Step> = calls.into_iter().enumerate().map(step).collect();
        let mut pause = Duration::ZERO;
        while !steps.is_empty() {
            // Of those that are not under way any more, some may have been carried out.
            let is_rest = steps.len() < count;
            let sent = self.send(steps, until, are_writes).await;
            let sent = sent.map_err(|error| match is_rest {
                true => error.with_some_effect(),
                false => error,
            })?;
            steps = Vec::new();
            for (step, reply) in sent {
                match self.redirected(&step, &reply) {
                    Some(next) if Instant::now() + pause < until => steps.push(next),
                    _ => replies[step.index] = reply,
                }
            }
            if !steps.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            }
        }
        Ok(replies)
    }

    fn grouped(&self, steps: Vec<Step>) -> Result<Vec<Group>> {
        let map = self.map();
        let mut groups: Vec<Group> = Vec::new();
        for step in steps {
            let node = match &step.to {
                Some(node) => Arc::clone(node),
                None => map.owner(slot_of_call(&step.call))?,
            };
            let theirs = groups
                .iter_mut()
                .find(|(other, _)| other.address == node.address);
            match theirs {
                Some((_, steps)) => steps.push(step),
                None => groups.push((node, vec![step])),
            }
        }
        Ok(groups)
    }

    /// Sends to all nodes at once and waits for all, whatever becomes of one.
    async fn send(
        &self,
        steps: Vec<Step>,
        until: Instant,
        are_writes: bool,
    ) -> Result<Vec<(Step, Value)>> {
        let probes = self.probes;
        let mut groups = self.grouped(steps)?;
        if groups.len() == 1 {
            return deliver(groups.remove(0), until, are_writes, probes).await;
        }
        let mut under_way = JoinSet::new();
        for group in groups {
            under_way.spawn(deliver(group, until, are_writes, probes));
        }
        let (mut sent, mut failure) = (Vec::new(), None);
        while let Some(outcome) = under_way.join_next().await {
            match outcome.unwrap_or_else(broken_off) {
                Ok(delivered) => sent.extend(delivered),
                Err(error) => failure = Some(error),
            }
        }
        // Whatever one node has done, the others may have acted.
        failure.map_or(Ok(sent), |error| Err(error.with_some_effect()))
    }

    /// Where a call is to be sent that was not answered but sent on; none if it was answered.
    fn redirected(&self, step: &Step, reply: &Value) -> Option<Step> {
        let Value::ServerError(error) = reply else {
            return None;
        };
        let (index, slot) = (step.index, slot_of_call(&step.call));
        let target = || self.target(error.details()?, step);
        let (to, is_asking) = match error.kind()? {
            ServerErrorKind::Moved => {
                self.move_slot(slot, target());
                (None, false)
            }
            ServerErrorKind::Ask => (target(), true),
            ServerErrorKind::TryAgain => (None, false),
            _ => return None,
        };
        let call = step.call.clone().asking(is_asking && to.is_some());
        Some(Step { index, call, to })
    }

    fn move_slot(&self, slot: u16, to: Option<Arc<Node>>) {
        if let Some(node) = to {
            self.change(|map| map.moved(slot, node));
            self.unsettle([slot]);
        }
    }

    /// The node of a redirection such as `3999 127.0.0.1:6381`. A node that does not know the
    /// other's host means its own.
    fn target(&self, details: &str, step: &Step) -> Option<Arc<Node>> {
        let (host, port) = details.split_once(' ')?.1.rsplit_once(':')?;
        let host = match host {
            "" => step.to.as_ref()?.address.0.clone(),
            host => host.to_owned(),
        };
        self.node_at(&(host, port.parse().ok()?)).ok()
    }
}

async fn deliver(
    (node, steps): Group,
    until: Instant,
    are_writes: bool,
    probes: bool,
) -> Result<Vec<(Step, Value)>> {
    let calls: Vec<_> = steps.iter().map(|step| step.call.clone()).collect();
    let replies = match are_writes {
        true => node.writes(&calls, until).await?,
        false => node.calls(&calls, until, probes).await?,
    };
    let answered = |step: Step| Step {
        to: Some(Arc::clone(&node)),
        ..step
    };
    Ok(steps.into_iter().map(answered).zip(replies).collect())
}

fn broken_off<T>(error: JoinError) -> Result<T> {
    let message = "the runtime broke a call off";
    Err(Error::new(ErrorKind::Connection, message).with_source(error))
}
