//! What this node has recorded lately, in case the server that took it did not count any more.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::loss::healing;
use super::record::Record;
use crate::clock::Timestamp;

/// How long an old primary may go on answering before its clients hear of the new one.
const LATELY: Duration = Duration::from_secs(30);
/// How many records are remembered; where there were more, everything is hidden in their place.
const MAX_ISSUED: usize = 4_096;

/// The records that this node has issued, each with when, oldest first.
#[derive(Debug, Default)]
pub(super) struct Issued {
    records: VecDeque<(Timestamp, Record)>,
    /// When the youngest was issued that is not remembered.
    forgotten: Option<Timestamp>,
}

impl Issued {
    /// Remembers a record for at least `span`.
    pub(super) fn push(&mut self, record: &Record, now: Timestamp, span: Duration) {
        let span = span.max(LATELY);
        self.records.push_back((now, record.clone()));
        let is_old = |(then, _): &(Timestamp, Record)| now.since(*then) > span;
        while self.records.front().is_some_and(is_old) {
            self.records.pop_front();
        }
        if self.records.len() > MAX_ISSUED {
            self.forgotten = self.records.pop_front().map(|(then, _)| then);
        }
        self.forgotten = self.forgotten.filter(|&then| now.since(then) <= span);
    }

    /// Hands over what has to be recorded once more where the log has begun anew. `root` is the
    /// scope of the deployment.
    pub(super) fn take(&mut self, root: &str) -> Vec<Record> {
        let Self { records, forgotten } = std::mem::take(self);
        if forgotten.is_some() {
            return vec![Record::All(root.into())];
        }
        let mut seen = HashSet::new();
        let healed =
            |(_, record): (_, Record)| Record::new(healing(record.kind()), record.argument());
        let healed = records.into_iter().map(healed);
        healed
            .filter(|record| seen.insert(record.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(index: usize) -> Record {
        Record::Tag(format!("t{index}").into())
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn what_was_issued_lately_is_handed_over_once_and_in_order() {
        let mut issued = Issued::default();
        issued.push(&tag(0), at(0), Duration::ZERO);
        for (second, index) in [(40, 1), (41, 2), (42, 1)] {
            issued.push(&tag(index), at(second), Duration::ZERO);
        }
        assert_eq!(issued.take("app:"), [tag(1), tag(2)]);
        assert_eq!(issued.take("app:"), []);
    }

    #[test]
    fn a_change_becomes_an_invalidation() {
        let mut issued = Issued::default();
        issued.push(&Record::Changed("app:k".into()), at(0), Duration::ZERO);
        assert_eq!(issued.take("app:"), [Record::Key("app:k".into())]);
    }

    #[test]
    fn where_there_were_too_many_everything_is_hidden_until_they_are_long_past() {
        let mut issued = Issued::default();
        for index in 0..=MAX_ISSUED {
            issued.push(&tag(index), at(0), Duration::ZERO);
        }
        assert_eq!(issued.take("app:"), [Record::All("app:".into())]);
        for index in 0..=MAX_ISSUED {
            issued.push(&tag(index), at(0), Duration::ZERO);
        }
        issued.push(&tag(0), at(31), Duration::ZERO);
        assert_eq!(issued.take("app:"), [tag(0)]);
    }
}
