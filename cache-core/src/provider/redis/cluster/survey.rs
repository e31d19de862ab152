//! What is asked of all nodes with each heartbeat: how they are, and who has which slots.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use ::redis::Value;
use tokio::task::JoinSet;

use super::Cluster;
use super::map::{Map, slot_of, slot_of_call};
use super::node::{Health, Node};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Stamp;
use crate::provider::redis::backplane::Backplane;
use crate::provider::redis::call::Call;
use crate::provider::redis::link::read;
use crate::provider::redis::script::DROP;
use crate::provider::redis::stored::incarnation_bytes;

/// How many keys are settled in one round trip.
const BATCH: usize = 500;

impl Cluster {
    /// Asks all nodes, and takes over the map of the one that knows the newest. Nodes that do not
    /// answer are left to those that do, and to their own breakers.
    pub(in super::super) async fn survey(&self, naming: &[Call]) -> Result<()> {
        let answers = match self.ask(self.map().nodes(), naming).await {
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
        let newest = answers
            .iter()
            .max_by_key(|(_, health)| (health.is_ok, health.epoch));
        if let Some((node, _)) = newest {
            self.take_over(node).await?;
        }
        Ok(())
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
        // A refusal, such as of a wrong password or a wrong kind of server, tells more than silence.
        failures.sort_by_key(Error::is_retryable);
        match failures.into_iter().next() {
            Some(error) if answers.is_empty() || !error.is_retryable() => Err(error),
            _ if answers.is_empty() => Err(nobody()),
            _ => Ok(answers),
        }
    }

    async fn take_over(&self, node: &Node) -> Result<()> {
        let ranges = node.ranges().await?;
        let map = Map::of(&ranges, |address| self.node_at(address))?;
        let mut current = self
            .shared
            .map
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changes = map.changes_from(&current);
        *current = Arc::new(map);
        drop(current);
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
    pub(in super::super) async fn settle(&self, backplane: &Backplane) {
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
            tracing::debug!(%error, "a node could not be settled; the next heartbeat tries again");
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
        .arg(&incarnation_bytes(record.incarnation())[..])
}

fn nobody() -> Error {
    Error::new(ErrorKind::Connection, "no node of the cluster answered")
}
