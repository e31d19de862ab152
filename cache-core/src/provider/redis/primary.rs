//! The server that commands go to, with its clock: always the same, or the one that sentinels name.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ConnectionAddr, ConnectionInfo, RedisError, cmd};

use super::server_time::{ServerTime, told};
use crate::clock::Clock;

/// The current primary; clones share it.
#[derive(Clone, Default)]
pub(super) struct Primary(Arc<RwLock<Option<Arc<Current>>>>);

/// One server, the connection to it that commands share, and what its clock says: a deadline of
/// one server means nothing to another.
pub(super) struct Current {
    pub(super) client: Client,
    pub(super) manager: ConnectionManager,
    pub(super) time: Arc<ServerTime>,
    connect_timeout: Duration,
}

impl Current {
    /// A server that has not told the time yet.
    pub(super) fn open(
        info: ConnectionInfo,
        connect_timeout: Duration,
        clock: &Clock,
    ) -> Result<Self, RedisError> {
        let time = ServerTime::new(clock.clone());
        Self::new(Client::open(info)?, connect_timeout, time)
    }

    /// Does not connect: that happens at the first use, and again when the connection breaks.
    fn new(
        client: Client,
        connect_timeout: Duration,
        time: impl Into<Arc<ServerTime>>,
    ) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(None);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self {
            client,
            manager,
            time: time.into(),
            connect_timeout,
        })
    }

    /// The same server by this clock.
    pub(super) fn by(self, time: ServerTime) -> Self {
        Self {
            time: time.into(),
            ..self
        }
    }

    /// The same server by another connection.
    fn again(&self) -> Result<Self, RedisError> {
        let (client, time) = (self.client.clone(), Arc::clone(&self.time));
        Self::new(client, self.connect_timeout, time)
    }

    /// The last of this server's milliseconds that is not after `until`.
    pub(super) async fn deadline(&self, until: Instant) -> Result<u64, RedisError> {
        if !self.time.is_known() {
            self.ask_time().await?;
        }
        Ok(self.time.deadline(until).unwrap_or(0))
    }

    /// Has the server tell the time.
    pub(super) async fn ask_time(&self) -> Result<(), RedisError> {
        let sent = Instant::now();
        let mut manager = self.manager.clone();
        let time = cmd("TIME").query_async(&mut manager).await?;
        self.time.observe(sent, told(time));
        Ok(())
    }
}

impl Primary {
    /// A server that is the primary from the start.
    pub(super) fn of(current: Current) -> Self {
        let primary = Self::default();
        primary.replace(|| current);
        primary
    }

    /// Puts another server in the place of the last one. It is made under the lock, so that its
    /// clock begins when nobody can send to the last one any more: what is sent later than that
    /// goes to the new one.
    pub(super) fn replace(&self, new: impl FnOnce() -> Current) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(new()));
    }

    /// Gives the connection up; the next call makes a new one.
    ///
    /// The manager does so by itself only when the connection breaks. It stays with a connection
    /// that takes everything and answers nothing, and, for good, with one whose handshake was
    /// answered by an error or by nonsense.
    pub(super) fn reconnect(&self) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // It was possible before with the same settings.
        if let Some(new) = current.as_ref().and_then(|old| old.again().ok()) {
            *current = Some(Arc::new(new));
        }
    }

    pub(super) fn get(&self) -> Option<Arc<Current>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Where to send a command now, and by what clock.
    ///
    /// # Errors
    ///
    /// A refused connection, for nothing has been sent, if no primary is known.
    pub(super) fn current(&self) -> Result<Arc<Current>, RedisError> {
        let message = "no sentinel has named a primary yet";
        self.get()
            .ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionRefused, message).into())
    }

    /// How to connect to it anew.
    pub(super) fn client(&self) -> Result<Client, RedisError> {
        self.current().map(|current| current.client.clone())
    }

    /// Whether this client reaches the server that is the primary now.
    pub(super) fn is(&self, client: &Client) -> bool {
        self.is_at(client.get_connection_info().addr())
    }

    /// Whether the server at this address is the primary now.
    pub(super) fn is_at(&self, address: &ConnectionAddr) -> bool {
        let is_it = |current: Arc<Current>| {
            let known = current.client.get_connection_info();
            known.addr().to_string() == address.to_string()
        };
        self.get().is_some_and(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::provider::redis::server_time::Told;

    const TIMEOUT: Duration = Duration::from_secs(1);

    fn server(port: u16) -> Current {
        let url = format!("redis://127.0.0.1:{port}");
        let client = Client::open(url).unwrap();
        Current::new(client, TIMEOUT, ServerTime::new(Clock::system())).unwrap()
    }

    /// The clock of a server that was just asked, and is so many milliseconds ahead.
    fn ahead(millis: u64) -> ServerTime {
        let told = Told::since(Instant::now(), Timestamp::from_millis(millis));
        ServerTime::told_before(Clock::system(), told)
    }

    #[tokio::test]
    async fn whoever_takes_a_servers_place_brings_its_own_clock() {
        let primary = Primary::of(server(1).by(ahead(9_000_000)));
        let (old, sent) = (primary.current().unwrap(), Instant::now());
        primary.replace(|| server(2).by(ahead(5_000_000)));
        let new = primary.current().unwrap();
        // The old server's answer to what was sent before.
        new.time.observe(sent, Timestamp::from_millis(9_000_000));
        let until = Instant::now() + TIMEOUT;
        assert!(old.deadline(until).await.unwrap() > 9_000_000);
        assert!(new.deadline(until).await.unwrap() < 5_100_000);
        assert!(primary.is(&new.client) && !primary.is(&old.client));
    }

    #[tokio::test]
    async fn the_same_server_by_another_connection_has_the_same_clock() {
        let primary = Primary::of(server(1).by(ahead(9_000_000)));
        primary.reconnect();
        let again = primary.current().unwrap();
        assert!(again.deadline(Instant::now()).await.unwrap() > 8_000_000);
    }
}
