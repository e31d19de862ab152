//! What is asked of all nodes again and again: how they are, and who has which slots.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use ::redis::Value;
use tokio::task::JoinSet;

use super::Cluster;
use super::map::{Map, slot_of, slot_of_call};
use super::node::{Health, Node};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Stamp;
use crate::provider::pause::Pause;
use crate::provider::redis::backplane::Backplane;
use crate::provider::redis::call::Call;
use crate::provider::redis::link::read;
use crate::provider::redis::script::DROP;

/// How many keys are settled in one round trip.
const BATCH: usize = 500;

impl Cluster {
    /// Asks and settles, again and again, as long as there is a provider.
    pub(in super::super) async fn watch(
        self,
        naming: Vec<Call>,
        backplane: Weak<Backplane>,
        period: Duration,
    ) {
        let mut pause = Pause::new("asking the nodes of the cluster");
        while let Some(strong) = backplane.upgrade() {
            match self.survey(&naming).await {
                Ok(()) => pause.succeeded(),
                Err(error) => pause.failed(&error),
            }
            self.settle(&strong).await;
            drop(strong);
            tokio::time::sleep(period).await;
        }
    }

    /// Asks all nodes, and takes over the map of the one that knows the newest. Nodes that do not
    /// answer are left to those that do, and to their own breakers.
    pub(in super::super) async fn survey(&self, naming: &[Call]) -> Result<()> {
        let mut answers = match self.ask(self.map().nodes(), naming).await {
            Ok(answers) => answers,
            // All that were known may have gone elsewhere.
            Err(error) if error.is_retryable() => self.ask(&self.shared.seeds, naming).await?,
            Err(error) => return Err(error),
        };
        for (node, health) in &answers {
            if health.is_another {
                self.unsettle(self.map().slots_of(node));
            }
        }
        answers.sort_by_key(|(node, health)| (health.is_ok, health.epoch, node.address.clone()));
        let mut outcome = Err(nobody());
        while let (Err(_), Some((node, _))) = (&outcome, answers.pop()) {
            outcome = self.take_over(&node).await;
        }
        outcome
    }

    async fn ask(&self, nodes: &[Arc<Node>], naming: &[Call]) -> Result<Vec<(Arc<Node>, Health)>> {
        let mut asked = JoinSet::new();
        for node in nodes {
            let (node, naming) = (Arc::clone(node), naming.to_vec());
            asked.spawn(async move { (Arc::clone(&node), node.ask(&naming).await) });
        }
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((node, Ok(health))) => answers.push((node, health)),
                Ok((_, Err(error))) => failures.push(error),
                Err(_) => {}
            }
        }
        if !answers.is_empty() {
            return Ok(answers);
        }
        // A refusal, such as of a wrong password or a wrong kind of server, tells more than silence.
        failures.sort_by_key(Error::is_retryable);
        Err(failures.into_iter().next().unwrap_or_else(nobody))
    }

    async fn take_over(&self, node: &Node) -> Result<()> {
        let ranges = node.ranges().await?;
        let map = Map::of(&ranges, |address| self.node_at(address))?;
        let mut changes = Vec::new();
        self.change(|current| {
            changes = map.changes_from(current);
            map
        });
        self.unsettle(changes);
        Ok(())
    }

    /// Deletes at keys, or, where a node does not, when the node is settled.
    pub(in super::super) async fn delete(&self, calls: Vec<Call>) -> Result<()> {
        let slots: Vec<_> = calls.iter().map(slot_of_call).collect();
        let outcome = self.calls(calls).await.and_then(all_done);
        match outcome {
            Err(error) if error.is_retryable() => {
                self.unsettle(slots);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Deletes again, from servers that have taken a predecessor's place, what invalidations had
    /// deleted there: the replica that was promoted may not have heard of it. It stays hidden as
    /// long as the log holds the records, and this is before they go.
    async fn settle(&self, backplane: &Backplane) {
        let slots = std::mem::take(
            &mut *self
                .shared
                .unsettled
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if slots.is_empty() {
            return;
        }
        if let Err(error) = self.delete_again(backplane, &slots).await {
            tracing::debug!(%error, "a node could not be settled; it is tried again");
            self.unsettle(slots);
        }
    }

    async fn delete_again(&self, backplane: &Backplane, slots: &HashSet<u16>) -> Result<()> {
        let theirs = |key: &str| slots.contains(&slot_of(key.as_bytes()));
        for batch in backplane.log.keys_held(theirs).chunks(BATCH) {
            let drops = batch.iter().map(|(key, record)| drop_call(key, *record));
            all_done(self.calls(drops.collect()).await?)?;
        }
        Ok(())
    }
}

fn all_done(replies: Vec<Value>) -> Result<()> {
    replies
        .into_iter()
        .try_for_each(|reply| read(reply).map(drop::<Value>))
}

fn drop_call(key: &str, record: Stamp) -> Call {
    DROP.on(&[key])
        .arg(record.sequence())
        .arg(record.incarnation().number())
}

fn nobody() -> Error {
    Error::new(ErrorKind::Connection, "no node of the cluster answered")
}
