//! The tail of the log: records of other nodes, as the stream delivers them.

use std::sync::Weak;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::streams::{StreamId, StreamReadReply};
use ::redis::{RedisError, cmd};

use super::backplane::Backplane;
use super::error::from_redis;
use super::keys::LogKeys;
use super::reply::record_from;
use super::server::Server;
use crate::error::Result;
use crate::log::{Incarnation, Positioned};
use crate::provider::pause::Pause;

/// Records per delivery.
const BATCH: usize = 1_000;
/// How long a read waits for records at most: the server takes no more than it can count.
const LONGEST_READ: Duration = Duration::from_secs(3_600);

/// Reads the stream on a connection of its own, because the read blocks. Holds no provider.
pub(super) struct Tail {
    pub(super) server: Server,
    pub(super) keys: LogKeys,
    pub(super) period: Duration,
    pub(super) backplane: Weak<Backplane>,
}

impl Tail {
    /// Runs until the provider is gone.
    pub(super) async fn run(self) {
        let mut pause = Pause::new("the delivery of invalidations");
        while self.backplane.strong_count() > 0 {
            if let Err(error) = self.follow(&mut pause).await {
                pause.failed(&error);
                tokio::time::sleep(pause.after_failure()).await;
            }
        }
    }

    /// Follows the stream until the connection breaks; `Ok` once the provider is gone, or another
    /// server is the primary.
    async fn follow(&self, pause: &mut Pause) -> Result<()> {
        let links = self.server.links();
        let client = links.client(&self.keys.stream)?;
        let mut connection = self
            .server
            .connect(&client, LONGEST_READ.min(self.period))
            .await?;
        if let Some(backplane) = self.backplane.upgrade() {
            // A new incarnation counts from the start: the stream would not tell of it.
            backplane.catch_up().await?;
        }
        // A primary that is one no more goes on answering.
        while links.lead_to(&client, &self.keys.stream)
            && let Some(moved) = self.step(&mut connection).await?
        {
            if moved {
                pause.succeeded();
            } else {
                // What was read is none of ours, and would be read again at once.
                tokio::time::sleep(pause.after_failure()).await;
            }
        }
        Ok(())
    }

    /// Waits for records and applies them: whether there was nothing, or something that did;
    /// `None` once the provider is gone.
    async fn step(&self, connection: &mut MultiplexedConnection) -> Result<Option<bool>> {
        let Some(applied) = self.backplane.upgrade().map(|strong| strong.log.stamp()) else {
            return Ok(None);
        };
        let read = self.read(connection, applied.sequence()).await;
        let entries = read.map_err(from_redis)?;
        let Some(backplane) = self.backplane.upgrade() else {
            return Ok(None);
        };
        self.deliver(&backplane, &entries).await?;
        Ok(Some(entries.is_empty() || backplane.log.stamp() != applied))
    }

    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        applied: u64,
    ) -> Result<Vec<StreamId>, RedisError> {
        let period = self.period.min(LONGEST_READ).as_millis();
        let reply: Option<StreamReadReply> = cmd("XREAD")
            .arg(&["COUNT", &BATCH.to_string(), "BLOCK", &period.to_string()])
            .arg(&["STREAMS", &self.keys.stream, &format!("{applied}-0")])
            .query_async(connection)
            .await?;
        let streams = reply.map(|reply| reply.keys).unwrap_or_default();
        Ok(streams.into_iter().flat_map(|stream| stream.ids).collect())
    }

    /// Records of one incarnation are applied together; what cannot be read at all is left to the
    /// state on the server.
    async fn deliver(&self, backplane: &Backplane, entries: &[StreamId]) -> Result<()> {
        let parsed: Option<Vec<_>> = entries.iter().map(|entry| self.parse(entry)).collect();
        let Some(parsed) = parsed else {
            return backplane.catch_up().await;
        };
        for run in parsed.chunk_by(|(one, _), (next, _)| one == next) {
            let records: Vec<_> = run.iter().map(|(_, record)| record.clone()).collect();
            backplane.deliver(run[0].0, &records).await?;
        }
        Ok(())
    }

    fn parse(&self, entry: &StreamId) -> Option<(Incarnation, Positioned)> {
        let sequence = entry.id.strip_suffix("-0")?.parse().ok()?;
        let incarnation: String = entry.get("i")?;
        let (number, nonce) = incarnation.split_once(' ')?;
        let nonce = u64::from_str_radix(nonce, 16).ok()?;
        let record: Vec<u8> = entry.get("r")?;
        let record = record_from(&record, &self.keys.root);
        let incarnation = Incarnation::new(number.parse().ok()?, nonce);
        Some((incarnation, Positioned { sequence, record }))
    }
}
