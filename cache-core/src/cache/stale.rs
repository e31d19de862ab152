//! What is shown stale in the place of a load that has failed, or takes too long.

use std::time::Duration;

use super::Cache;
use crate::engine::{Look, Question};
use crate::load_error::LoadError;
use crate::value::Value;

impl Cache {
    /// What a caller has of a load: its value, or something stale in place of its error.
    pub(super) async fn settled<T: Value, E>(
        &self,
        question: &Question,
        loaded: Result<T, E>,
    ) -> Result<T, LoadError<E>> {
        let error = match loaded {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let instead = self.instead_of_error(question).await;
        instead.ok_or(LoadError::Failed(error))
    }

    /// The stale value that may be shown in place of an error; or what has been stored meanwhile.
    pub(super) async fn instead_of_error<T: Value>(&self, question: &Question) -> Option<T> {
        let window = question.policy.stale_if_error;
        self.instead(question, window).await
    }

    /// The stale value that may be shown to who has waited long enough; or what has been stored meanwhile.
    pub(super) async fn instead_of_wait<T: Value>(&self, question: &Question) -> Option<T> {
        self.instead(question, question.shows_stale_for).await
    }

    /// A value that has been stale for less than `window`, as a new look finds it: what has been
    /// invalidated since the last one is not shown.
    async fn instead<T: Value>(&self, question: &Question, window: Duration) -> Option<T> {
        if window.min(question.shows_stale_for).is_zero() {
            return None;
        }
        let hit = match self.engine().look(question).await.ok()? {
            Look::Hit(hit) => return hit.value().ok(),
            Look::Stale(hit) if hit.stale_for()? < window => hit,
            _ => return None,
        };
        let value = hit.value().ok()?;
        self.counters().stale();
        Some(value)
    }
}
