//! Making entries go: at their keys, and by records in the log.

use super::backplane::{delete, key_of};
use super::entries::Entries;
use super::name::name_of;
use super::reply::Reply;
use super::request::Request;
use crate::error::Result;
use crate::log::{Invalidated, Record};
use crate::provider::Invalidation;

impl Entries {
    /// Hides what the records match: on the server, or, if it does not answer, here until it does.
    pub(super) async fn invalidate(&self, records: &[Record]) -> Result<Invalidation> {
        match self.invalidate_there(records).await {
            Ok(existed) => Ok(Invalidation {
                existed,
                state: Invalidated::Applied,
            }),
            Err(error) => {
                // Also what is refused for good now holds here, and is tried on.
                self.backplane.pend(records);
                if !error.is_retryable() {
                    return Err(error);
                }
                Ok(Invalidation {
                    existed: Vec::new(),
                    state: Invalidated::Pending,
                })
            }
        }
    }

    /// Deletes at the keys first, which tells what stood there, then appends, and deletes again what
    /// a load has left there that began in between.
    async fn invalidate_there(&self, records: &[Record]) -> Result<Vec<bool>> {
        let log = &self.backplane.log;
        let session = self.backplane.link.session().await?;
        let keys: Vec<_> = records.iter().filter_map(key_of).collect();
        keys.iter().for_each(|key| log.fence(key));
        let undo = log.undo_all(records);
        let names: Vec<_> = keys.iter().map(|key| name_of(key)).collect();
        let take = |name| [Request::get(name), delete(name)];
        let takes: Vec<_> = names.iter().flat_map(|name| take(name)).collect();
        let taken = self.backplane.append(&session, &takes, records).await?;
        let stood = |(key, replies): (&&str, &[Reply])| match replies {
            [Reply::Found { bytes, .. }, Reply::Done { .. }] => self
                .header(key, bytes)
                .is_some_and(|meta| log.was_visible(key, &meta, &undo)),
            _ => false,
        };
        Ok(keys.iter().zip(taken.chunks(2)).map(stood).collect())
    }
}
