//! Where calls go: to the one server that there is, or to the node of a cluster that has the key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{Client, FromRedisValue, Value};

use super::call::Call;
#[cfg(feature = "redis-cluster")]
use super::cluster::Cluster;
use super::error::from_redis;
use super::link::{Link, read};
use super::server_time::ServerTime;
use crate::clock::{Clock, Timestamp};
use crate::error::Result;

/// The connections that calls share.
#[derive(Clone)]
pub(super) enum Links {
    One(Link),
    #[cfg(feature = "redis-cluster")]
    Cluster(Cluster),
}

/// What calls answered; a refused one is an error in its place only.
pub(super) type Replies = Vec<Result<Value>>;

impl Links {
    /// The same connections for the heartbeat, which tries them while others are spared the wait.
    pub(super) fn probing(&self) -> Self {
        match self {
            Self::One(link) => Self::One(link.probing()),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => Self::Cluster(cluster.probing()),
        }
    }

    /// Gives the connection up that leads to this key; the next call makes a new one. Calls that
    /// are on their way stay with the old one.
    pub(super) fn reconnect(&self, key: &str) {
        match self {
            Self::One(link) => link.primary.reconnect(),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.reconnect(key),
        }
    }

    /// How to connect anew to the server that has this key.
    pub(super) fn client(&self, key: &str) -> Result<Client> {
        match self {
            Self::One(link) => link.primary.client().map_err(from_redis),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.client(key),
        }
    }

    /// Whether this client reaches the server that has this key now.
    pub(super) fn lead_to(&self, client: &Client, key: &str) -> bool {
        match self {
            Self::One(link) => link.primary.is(client),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.leads_to(client, key),
        }
    }

    /// The longest that a round trip takes.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::One(link) => link.timeout(),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.timeout(),
        }
    }

    /// Whether keys lie on several servers, so that no script can touch any two of them.
    pub(super) fn are_many(&self) -> bool {
        !matches!(self, Self::One(_))
    }

    /// Sends one call and reads its reply.
    pub(super) async fn call<T: FromRedisValue>(&self, call: Call) -> Result<T> {
        only(self.calls(vec![call]).await?)
    }

    /// Sends the calls, in one round trip to each server.
    pub(super) async fn calls(&self, calls: Vec<Call>) -> Result<Replies> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let replies = match self {
            Self::One(link) => link.calls(&calls, link.until()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.calls(calls).await,
        };
        Ok(replies?.into_iter().map(read).collect())
    }

    /// Carries out the first calls, then the others: in one round trip where one server has all.
    pub(super) async fn in_order(&self, first: Vec<Call>, then: Vec<Call>) -> Result<Replies> {
        if self.are_many() {
            let mut replies = self.calls(first).await?;
            replies.extend(self.calls(then).await?);
            return Ok(replies);
        }
        let mut calls = first;
        calls.extend(then);
        self.calls(calls).await
    }

    /// Deletes at keys whose records follow. A node of a cluster that is away is told when it is
    /// back, so that everybody else hears of the records now.
    pub(super) async fn delete(&self, calls: Vec<Call>) -> Result<()> {
        #[cfg(feature = "redis-cluster")]
        if let Self::Cluster(cluster) = self {
            return cluster.delete(calls).await;
        }
        for deleted in self.calls(calls).await? {
            deleted?;
        }
        Ok(())
    }

    /// Like [`call`](Self::call), for a write with a deadline.
    pub(super) async fn write<T: FromRedisValue>(&self, call: Call) -> Result<T> {
        only(self.writes(vec![call]).await?)
    }

    /// Like [`calls`](Self::calls), for writes with a deadline: they are not under way any more
    /// when this returns, whatever it returns.
    pub(super) async fn writes(&self, calls: Vec<Call>) -> Result<Replies> {
        let replies = match self {
            Self::One(link) => link.writes(&calls, link.until()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.writes(calls).await,
        };
        Ok(replies?.into_iter().map(read).collect())
    }

    /// Asks every server that has keys whether it is there.
    pub(super) async fn ping(&self) -> Result<()> {
        let replies = match self {
            Self::One(link) => link.calls(&[ping()], link.until()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.ask_all(&ping()).await,
        };
        let answered = |reply| read::<String>(reply).map(drop);
        replies?.into_iter().try_for_each(answered)
    }

    /// One step of a scan through everything that is stored: where to go on, 0 at the end, and
    /// some keys.
    pub(super) async fn scan(
        &self,
        cursor: u64,
        step: impl Fn(u64) -> Call,
    ) -> Result<(u64, Vec<Vec<u8>>)> {
        match self {
            Self::One(_) => self.call(step(cursor)).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.scan(cursor, step).await,
        }
    }

    /// What the clock of the server says that has this key.
    pub(super) fn time(&self, key: &str) -> Arc<ServerTime> {
        let time = match self {
            Self::One(link) => link.time(),
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.time(key),
        };
        time.unwrap_or_else(|| Arc::new(ServerTime::new(Clock::system())))
    }

    /// Takes in what the log's server told between `sent` and now. In a cluster that may not be
    /// the server that was meant, so each tells its own.
    pub(super) fn observe(&self, sent: Instant, told: Timestamp) {
        if let Self::One(link) = self {
            link.observe(sent, told);
        }
    }
}

fn ping() -> Call {
    Call::command("PING")
}

fn only<T: FromRedisValue>(mut replies: Replies) -> Result<T> {
    read(replies.pop().unwrap_or(Ok(Value::Nil))?)
}
