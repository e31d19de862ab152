//! What a failover has lost: a node that had applied it finds out, and records it again.

use super::barriers::Barriers;
use super::lineage::{Lineage, Parting};
use super::record::{Kind, Record};
use super::stamp::Incarnation;

/// What one node had applied when it heard of a new incarnation.
pub(super) struct Held<'a> {
    pub(super) incarnation: Incarnation,
    pub(super) barriers: &'a Barriers,
}

impl Held<'_> {
    /// The records that the server with these barriers has lost and nobody has brought back, or
    /// one that hides at least as much; `None` if the server's incarnation does not descend from
    /// this one. `root` is the scope of the deployment.
    pub(super) fn lost(
        &self,
        lineage: &Lineage,
        server: &Barriers,
        root: &str,
    ) -> Option<Vec<Record>> {
        let parting = lineage.parting(self.incarnation)?;
        if server.position(Kind::All, root) > parting.after {
            return Some(Vec::new());
        }
        if parting.fork || self.has_forgotten(&parting) {
            return Some(vec![Record::All(root.into())]);
        }
        let lost = |record: &Record| {
            let position = |kind| server.position(kind, record.argument());
            position(record.kind()).max(position(healing(record.kind()))) <= parting.after
        };
        let held = self.barriers.after(parting.after).filter(lost);
        let healed = held.map(|record| Record::new(healing(record.kind()), record.argument()));
        Some(healed.collect())
    }

    /// Whether records are lost that this node cannot name either: it had too many.
    fn has_forgotten(&self, parting: &Parting) -> bool {
        let floor = |kind| self.barriers.floor(kind);
        Kind::EVERY
            .into_iter()
            .any(|kind| floor(kind) > parting.after)
    }
}

/// What a lost record is recorded as. With a lost `Changed` its value is lost, and an older one may
/// be back in its place: nobody shall see it.
pub(super) fn healing(lost: Kind) -> Kind {
    match lost {
        Kind::Changed => Kind::Key,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::barriers::Caps;
    use super::super::stamp::Stamp;
    use super::*;

    const OLD: Incarnation = Incarnation::new(7, 70);

    fn tag(tag: &str) -> Record {
        Record::Tag(tag.into())
    }

    fn barriers(records: &[(u64, Record)]) -> Barriers {
        let mut barriers = Barriers::new(Caps::DEFAULT.with(Kind::Pattern, 1));
        for (sequence, record) in records {
            barriers.insert(record, *sequence);
        }
        barriers
    }

    /// What a node in `known` finds lost, where ten records of the old incarnation survived.
    fn lost(known: Incarnation, held: &[(u64, Record)], server: &[(u64, Record)]) -> Vec<Record> {
        let lineage = Lineage::new(vec![Stamp::new(OLD, 10)]);
        let held = Held {
            incarnation: known,
            barriers: &barriers(held),
        };
        held.lost(&lineage, &barriers(server), "p:")
            .unwrap_or_default()
    }

    #[test]
    fn what_survived_or_was_brought_back_is_not_lost() {
        let server = [(9, tag("survived")), (11, tag("back"))];
        let held = [
            (9, tag("survived")),
            (12, tag("back")),
            (13, tag("lost")),
            (14, Record::Key("p:k".into())),
        ];
        let expected = [Record::Key("p:k".into()), tag("lost")];
        assert_eq!(lost(OLD, &held, &server), expected);
    }

    #[test]
    fn a_barrier_that_survived_does_not_stand_for_its_lost_renewal() {
        let lost = lost(OLD, &[(12, tag("t"))], &[(9, tag("t"))]);
        assert_eq!(lost, [tag("t")]);
    }

    #[test]
    fn a_lost_change_hides_its_key_until_somebody_has_written_it_again() {
        let changed = || Record::Changed("p:k".into());
        let key = Record::Key("p:k".into());
        assert_eq!(
            lost(OLD, &[(12, changed())], &[]),
            std::slice::from_ref(&key)
        );
        for again in [changed(), key] {
            assert_eq!(lost(OLD, &[(12, changed())], &[(11, again)]), []);
        }
    }

    #[test]
    fn what_nobody_can_name_hides_everything_once() {
        let everything = Record::All("p:".into());
        let held = [
            (11, Record::Pattern("p:a*".into())),
            (12, Record::Pattern("p:b*".into())),
        ];
        assert_eq!(lost(OLD, &held, &[]), std::slice::from_ref(&everything));
        assert_eq!(lost(OLD, &held, &[(11, everything)]), []);
        let survived = [
            (9, Record::Pattern("p:a*".into())),
            (10, Record::Pattern("p:b*".into())),
        ];
        assert_eq!(lost(OLD, &survived, &[]), []);
    }

    #[test]
    fn a_node_from_an_incarnation_that_the_server_never_knew_hides_everything_once() {
        let everything = Record::All("p:".into());
        let fork = Incarnation::new(8, 80);
        assert_eq!(lost(fork, &[], &[]), std::slice::from_ref(&everything));
        assert_eq!(lost(fork, &[], &[(11, everything)]), []);
    }

    #[test]
    fn a_node_from_before_all_that_is_shown_has_lost_nothing() {
        for known in [Incarnation::random(0), Incarnation::new(6, 60)] {
            assert_eq!(lost(known, &[(12, tag("t"))], &[]), []);
        }
    }
}
