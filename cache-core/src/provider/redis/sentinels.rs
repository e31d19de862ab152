//! Sentinels: asked with every heartbeat which server is the primary.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, RedisError, cmd};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::error::configuration;
use super::link::within;
use crate::error::{Error, ErrorKind, Result};

/// The sentinels that watch one primary.
pub(super) struct Sentinels {
    /// What they know the primary as.
    pub(super) name: String,
    members: Vec<Arc<Sentinel>>,
    timeout: Duration,
}

/// Where the primary is, as of some failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) host: String,
    pub(super) port: u16,
    /// Counts failovers: the higher, the newer.
    epoch: u64,
}

struct Sentinel {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(super) fn new(name: String, clients: Vec<Client>, timeout: Duration) -> Self {
        let member = |client| {
            Arc::new(Sentinel {
                client,
                connection: Mutex::default(),
            })
        };
        Self {
            name,
            members: clients.into_iter().map(member).collect(),
            timeout,
        }
    }

    /// What the newest of the answers says. More than half of the sentinels have to give one: as
    /// many as it takes to promote a replica, so that an old primary that is cut off, with some of
    /// them or without, does not pass for the primary for long.
    pub(super) async fn primary(&self) -> Result<Whereabouts> {
        let mut asked = JoinSet::new();
        for member in &self.members {
            let (member, name, timeout) = (Arc::clone(member), self.name.clone(), self.timeout);
            asked.spawn(async move { member.ask(&name, timeout).await });
        }
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(whereabouts)) => answers.push(whereabouts),
                Ok(Err(error)) => failures.push(error),
                Err(_) => {}
            }
            if answers.len() > self.members.len() / 2 {
                let newest = answers.into_iter().max_by_key(|answer| answer.epoch);
                return newest.ok_or_else(|| self.undecided(0, failures));
            }
        }
        Err(self.undecided(answers.len(), failures))
    }

    /// A refusal tells more than silence does.
    fn undecided(&self, answers: usize, mut failures: Vec<Error>) -> Error {
        failures.sort_by_key(Error::is_retryable);
        let (name, count) = (&self.name, self.members.len());
        let message = format!(
            "{answers} of {count} sentinels named a primary `{name}`; more than half have to"
        );
        match failures.into_iter().next() {
            Some(refusal) if !refusal.is_retryable() => configuration(message).with_source(refusal),
            Some(failure) => Error::new(failure.kind(), message).with_source(failure),
            None => Error::new(ErrorKind::Connection, message),
        }
    }
}

impl Sentinel {
    async fn ask(&self, name: &str, timeout: Duration) -> Result<Whereabouts> {
        let mut connection = self.connection.lock().await;
        let attempt = async {
            let mut ready = match connection.take() {
                Some(ready) => ready,
                None => self.client.get_multiplexed_async_connection().await?,
            };
            let fields: HashMap<String, String> = cmd("SENTINEL")
                .arg(&["MASTER", name])
                .query_async(&mut ready)
                .await?;
            // Kept only if it has answered.
            *connection = Some(ready);
            Ok::<_, RedisError>(fields)
        };
        let fields = within(timeout, "a sentinel did not answer", attempt).await?;
        whereabouts(&fields).ok_or_else(|| configuration("a sentinel's answer cannot be used"))
    }
}

fn whereabouts(fields: &HashMap<String, String>) -> Option<Whereabouts> {
    Some(Whereabouts {
        host: fields.get("ip")?.clone(),
        port: fields.get("port")?.parse().ok()?,
        epoch: fields.get("config-epoch")?.parse().ok()?,
    })
}
