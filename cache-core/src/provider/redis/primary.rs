//! The server that commands go to: always the same, or the one that sentinels name.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError};

/// The current primary; clones share it.
#[derive(Clone, Default)]
pub(super) struct Primary(Arc<RwLock<Option<Current>>>);

/// One server, and the connection to it that commands share.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) client: Client,
    pub(super) manager: ConnectionManager,
    connect_timeout: Duration,
}

impl Current {
    /// Does not connect: that happens at the first use, and again when the connection breaks.
    pub(super) fn new(client: Client, connect_timeout: Duration) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(None);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self {
            client,
            manager,
            connect_timeout,
        })
    }

    /// Whether both are the same server.
    pub(super) fn is(&self, other: &Client) -> bool {
        address(&self.client) == address(other)
    }
}

impl Primary {
    pub(super) fn replace(&self, current: Current) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    /// Gives the connection up; the next call makes a new one.
    ///
    /// The manager does so by itself only when the connection breaks. It stays with a connection
    /// that takes everything and answers nothing, and, for good, with one whose handshake was
    /// answered by an error or by nonsense.
    pub(super) fn reconnect(&self) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let again = |old: &Current| Current::new(old.client.clone(), old.connect_timeout).ok();
        // It was possible before with the same settings.
        if let Some(new) = current.as_ref().and_then(again) {
            *current = Some(new);
        }
    }

    pub(super) fn get(&self) -> Option<Current> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Where to send a command now.
    ///
    /// # Errors
    ///
    /// A refused connection, for nothing has been sent, if no primary is known.
    pub(super) fn manager(&self) -> Result<ConnectionManager, RedisError> {
        self.current().map(|current| current.manager)
    }

    /// How to connect to it anew.
    pub(super) fn client(&self) -> Result<Client, RedisError> {
        self.current().map(|current| current.client)
    }

    /// Whether this client reaches the server that is the primary now.
    pub(super) fn is(&self, client: &Client) -> bool {
        self.get().is_some_and(|current| current.is(client))
    }

    fn current(&self) -> Result<Current, RedisError> {
        let message = "no sentinel has named a primary yet";
        self.get()
            .ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionRefused, message).into())
    }
}

fn address(client: &Client) -> String {
    client.get_connection_info().addr().to_string()
}
