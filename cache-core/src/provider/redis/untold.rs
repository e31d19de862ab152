//! Changes that the log has yet to hear of, whatever becomes of the one who makes them.

use super::backplane::Backplane;
use crate::log::Record;

/// Records of a change that may be under way. Dropped, they wait to be delivered.
pub(super) struct Untold<'b> {
    backplane: &'b Backplane,
    records: Vec<Record>,
}

impl<'b> Untold<'b> {
    pub(super) fn of(backplane: &'b Backplane, records: Vec<Record>) -> Self {
        Self { backplane, records }
    }

    pub(super) async fn tell(&mut self) {
        let told = self.backplane.append(Vec::new(), &self.records).await;
        if told.is_ok() {
            self.dismiss();
        }
    }

    /// Nothing has changed, or all have been told.
    pub(super) fn dismiss(&mut self) {
        self.records = Vec::new();
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if !self.records.is_empty() {
            self.backplane.pend(&self.records);
        }
    }
}
