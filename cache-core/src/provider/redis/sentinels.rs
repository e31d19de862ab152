//! Sentinels: asked with every heartbeat which server is the primary.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Client, RedisError, cmd};
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
    /// The newest that they have said. What is older comes from one who has not heard of it.
    newest: Mutex<Option<Whereabouts>>,
}

/// Where the primary is, as of some failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) host: String,
    pub(super) port: u16,
    /// Counts failovers: the higher, the newer.
    epoch: u64,
}

/// What one sentinel says.
#[derive(Clone, Debug)]
struct Answer {
    whereabouts: Whereabouts,
    /// Whether it leads a failover: the epoch is then the new one, the address still the old.
    is_changing: bool,
    /// How many others it knows that watch the same primary.
    others: usize,
}

struct Sentinel {
    client: Client,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(super) fn new(name: String, clients: Vec<Client>, timeout: Duration) -> Self {
        let member = |client| {
            Arc::new(Sentinel {
                client,
                connection: tokio::sync::Mutex::default(),
            })
        };
        Self {
            name,
            members: clients.into_iter().map(member).collect(),
            timeout,
            newest: Mutex::default(),
        }
    }

    /// What the newest of their answers says, this time or before. More than half of the sentinels
    /// have to give one: as many as it takes to promote a replica, so that an old primary that is
    /// cut off, with some of them or without, does not pass for the primary for long.
    pub(super) async fn primary(&self) -> Result<Whereabouts> {
        let mut asked = self.ask_all();
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(answer)) => answers.push(answer),
                Ok(Err(error)) => failures.push(error),
                Err(_) => {}
            }
            if answers.len() > self.count(&answers) / 2 {
                // Those that are slower answer in their time, and so keep their connections.
                asked.detach_all();
                return self.newest(&answers).ok_or_else(|| self.changing());
            }
        }
        Err(self.undecided(&answers, failures))
    }

    fn ask_all(&self) -> JoinSet<Result<Answer>> {
        let mut asked = JoinSet::new();
        for member in &self.members {
            let (member, name, timeout) = (Arc::clone(member), self.name.clone(), self.timeout);
            asked.spawn(async move { member.ask(&name, timeout).await });
        }
        asked
    }

    /// How many sentinels there are: those that are listed, or more if one of them knows of more.
    fn count(&self, answers: &[Answer]) -> usize {
        let known = answers.iter().map(|answer| answer.others.saturating_add(1));
        known.fold(self.members.len(), usize::max)
    }

    /// Takes the answers in. Of one epoch the first address stays: there is no second one.
    fn newest(&self, answers: &[Answer]) -> Option<Whereabouts> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in answers.iter().filter(|answer| !answer.is_changing) {
            let said = &answer.whereabouts;
            if newest.as_ref().is_none_or(|known| said.epoch > known.epoch) {
                *newest = Some(said.clone());
            }
        }
        newest.clone()
    }

    fn changing(&self) -> Error {
        let message = format!("the sentinels of `{}` are at a failover", self.name);
        Error::new(ErrorKind::Unready, message)
    }

    /// A refusal tells more than silence does.
    fn undecided(&self, answers: &[Answer], mut failures: Vec<Error>) -> Error {
        failures.sort_by_key(Error::is_retryable);
        let (name, listed, count) = (&self.name, self.members.len(), self.count(answers));
        let message = format!(
            "{} of {count} sentinels named a primary `{name}`, {listed} are listed; more than half of all have to",
            answers.len()
        );
        match failures.into_iter().next() {
            Some(refusal) if !refusal.is_retryable() => configuration(message).with_source(refusal),
            Some(failure) => Error::new(failure.kind(), message).with_source(failure),
            None => Error::new(ErrorKind::Connection, message),
        }
    }
}

impl Sentinel {
    async fn ask(&self, name: &str, timeout: Duration) -> Result<Answer> {
        let attempt = async {
            // The last question may still wait for its answer.
            let mut connection = self.connection.lock().await;
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
        answer(&fields).ok_or_else(|| configuration("a sentinel's answer cannot be used"))
    }
}

fn answer(fields: &HashMap<String, String>) -> Option<Answer> {
    let whereabouts = Whereabouts {
        host: fields.get("ip")?.clone(),
        port: fields.get("port")?.parse().ok()?,
        epoch: fields.get("config-epoch")?.parse().ok()?,
    };
    let mut flags = fields.get("flags")?.split(',');
    Some(Answer {
        whereabouts,
        is_changing: flags.any(|flag| flag == "failover_in_progress"),
        others: fields.get("num-other-sentinels")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentinels(count: usize) -> Sentinels {
        let client = Client::open("redis://127.0.0.1:1").unwrap();
        let clients = vec![client; count];
        Sentinels::new("mymaster".into(), clients, Duration::from_secs(1))
    }

    fn says(port: u16, epoch: u64, flags: &str) -> Answer {
        let (port, epoch) = (port.to_string(), epoch.to_string());
        let fields = [
            ("ip", "127.0.0.1"),
            ("port", &port),
            ("config-epoch", &epoch),
            ("flags", flags),
            ("num-other-sentinels", "2"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        answer(&fields.map(owned).into()).unwrap()
    }

    fn port(sentinels: &Sentinels, answers: &[Answer]) -> Option<u16> {
        sentinels.newest(answers).map(|found| found.port)
    }

    #[test]
    fn the_answer_of_the_latest_failover_counts() {
        let answers = [says(1, 4, "master"), says(2, 5, "master")];
        assert_eq!(port(&sentinels(3), &answers), Some(2));
    }

    #[test]
    fn what_was_known_before_a_failover_does_not_lead_back() {
        let sentinels = sentinels(3);
        assert_eq!(port(&sentinels, &[says(2, 5, "master")]), Some(2));
        let late = [says(1, 4, "master"), says(1, 4, "master,s_down")];
        assert_eq!(port(&sentinels, &late), Some(2));
        assert_eq!(port(&sentinels, &[says(3, 6, "master")]), Some(3));
    }

    #[test]
    fn who_leads_a_failover_does_not_say_where_the_primary_is() {
        let sentinels = sentinels(3);
        let leads = says(1, 5, "master,s_down,o_down,failover_in_progress");
        assert_eq!(port(&sentinels, std::slice::from_ref(&leads)), None);
        assert_eq!(port(&sentinels, &[says(1, 4, "master"), leads]), Some(1));
        assert_eq!(port(&sentinels, &[says(2, 5, "master")]), Some(2));
    }

    #[test]
    fn of_one_epoch_the_address_that_is_known_stays() {
        let sentinels = sentinels(3);
        assert_eq!(port(&sentinels, &[says(1, 5, "master")]), Some(1));
        assert_eq!(port(&sentinels, &[says(2, 5, "master")]), Some(1));
    }

    #[test]
    fn those_that_are_not_listed_count_as_silent() {
        assert_eq!(sentinels(1).count(&[says(1, 5, "master")]), 3);
        assert_eq!(sentinels(5).count(&[says(1, 5, "master")]), 5);
    }
}
