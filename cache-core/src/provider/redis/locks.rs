//! Locks on the server: a token, a fencing number and an end in one string, by the server's clock.

use std::time::Duration;

use super::call::Call;
use super::entries::{id_argument, millis};
use super::error::too_late;
use super::script::{EXTEND, LOCK, UNLOCK};
use super::{RedisProvider, during};
use crate::entry::EntryId;
use crate::error::Result;
use crate::provider::{BoxFuture, Locks};

/// For how long after its end a lock's number is kept, so that the next is larger even where the
/// server's clock has gone back meanwhile. Later, and on a server that came back empty, the number is
/// the clock's.
const REMEMBERED: Duration = Duration::from_secs(3_600);

impl Locks for RedisProvider {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        during("lock", Some(key), async move {
            let call = LOCK
                .on(&[&place(key)])
                .arg(id_argument(Some(token)))
                .arg(micros(ttl))
                .arg(millis(REMEMBERED))
                .with_deadline();
            let fencing: i64 = self.entries.backplane.links.write(call).await?;
            match u64::try_from(fencing) {
                Ok(0) => Ok(None),
                Ok(fencing) => Ok(Some(fencing)),
                Err(_) => Err(too_late()),
            }
        })
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        token: EntryId,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        during("extend", Some(key), async move {
            let call = EXTEND
                .on(&[&place(key)])
                .arg(id_argument(Some(token)))
                .arg(micros(ttl))
                .arg(millis(REMEMBERED))
                .with_deadline();
            let held: i64 = self.entries.backplane.links.write(call).await?;
            match held {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(too_late()),
            }
        })
    }

    fn unlock<'a>(&'a self, key: &'a str, token: EntryId) -> BoxFuture<'a, Result<bool>> {
        let links = &self.entries.backplane.links;
        during("release", Some(key), links.call(unlock_call(key, token)))
    }

    /// In a task of its own; without a runtime the lock runs out by itself.
    fn give_back(&self, key: &str, token: EntryId) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let links = self.entries.backplane.links.clone();
        let call = unlock_call(key, token);
        runtime.spawn(async move {
            let released: Result<bool> = links.call(call).await;
            if let Err(error) = released {
                tracing::debug!(%error, "a lock was not given back; it runs out by itself");
            }
        });
    }
}

fn unlock_call(key: &str, token: EntryId) -> Call {
    UNLOCK
        .on(&[&place(key)])
        .arg(id_argument(Some(token)))
        .arg(millis(REMEMBERED))
}

/// Where a lock is kept: apart from entries, all of whose keys begin with the deployment's prefix.
fn place(key: &str) -> String {
    format!("{{{key}}}:lock")
}

/// A lease as scripts take it, no longer than what they compute exactly.
fn micros(span: Duration) -> u64 {
    millis(span).saturating_mul(1_000)
}
