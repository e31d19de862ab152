//! Invalidations that the backend has yet to take: they hold on this node, and wait.

use super::barriers::{Barriers, Caps};
use super::record::{Kind, Record};
use crate::namespace;

/// How many wait one by one. Beyond that they are coarsened: single keys and patterns to their
/// namespace, then everything to the whole deployment. None is ever dropped.
pub const MAX_PENDING: usize = 4_096;

/// Records that wait to be delivered, in order, and what they hide meanwhile.
///
/// They hide everything that is stored, however new: what this node stores now would be hidden
/// anyway once they are delivered. Loads are told apart by the turn in which each record came.
#[derive(Debug)]
pub(super) struct Pending {
    queue: Vec<(u64, Record)>,
    barriers: Barriers,
    turn: u64,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self {
            queue: Vec::new(),
            barriers: Barriers::new(Caps::DEFAULT),
            turn: 0,
        }
    }

    /// Which turn it is: a load that begins now is newer than every record so far.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    pub(super) fn push(&mut self, record: &Record, root: &str) {
        self.turn += 1;
        self.barriers.insert(record, self.turn);
        if let Some((turn, _)) = self.queue.iter_mut().find(|(_, it)| it == record) {
            // What is being delivered just now may have been taken before this call.
            *turn = self.turn;
            return;
        }
        if self.queue.len() >= MAX_PENDING {
            self.coarsen(root);
        }
        if let Some((turn, _)) = self.queue.iter_mut().find(|(_, it)| covers(it, record)) {
            *turn = self.turn;
        } else {
            self.queue.push((self.turn, record.clone()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The records that wait, oldest first.
    pub(super) fn queue(&self) -> Vec<Record> {
        self.queue
            .iter()
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// What came up to `turn` has been delivered; what hides on is what has come since.
    pub(super) fn delivered(&mut self, turn: u64) {
        self.queue.retain(|(came, _)| *came > turn);
        self.barriers = Barriers::new(Caps::DEFAULT);
        for (came, record) in &self.queue {
            self.barriers.insert(record, *came);
        }
    }

    /// The turn from which on a load is not hidden by what waits; zero if nothing matches.
    pub(super) fn visible_from(&self, key: &str, tags: &[Box<str>]) -> u64 {
        if self.queue.is_empty() {
            return 0;
        }
        self.barriers.visible_from(key, tags)
    }

    fn coarsen(&mut self, root: &str) {
        let mut scopes: Vec<Box<str>> = self
            .queue
            .iter()
            .map(|(_, record)| scope_of(record, root).into())
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.len() > MAX_PENDING / 2 {
            scopes = vec![root.into()];
        }
        self.queue = scopes
            .into_iter()
            .map(|scope| (self.turn, Record::All(scope)))
            .collect();
        for (turn, record) in &self.queue {
            self.barriers.insert(record, *turn);
        }
    }
}

/// The smallest namespace that has all that the record hides.
fn scope_of<'a>(record: &'a Record, root: &'a str) -> &'a str {
    match record.kind() {
        Kind::Key | Kind::Changed | Kind::Pattern => {
            namespace::scopes(record.argument()).next().unwrap_or(root)
        }
        Kind::Tag | Kind::All => root,
    }
}

/// Whether everything that `record` hides is hidden by `wide`, as far as that is simply told.
fn covers(wide: &Record, record: &Record) -> bool {
    let Record::All(scope) = wide else {
        return false;
    };
    match record.kind() {
        Kind::Tag => scope.ends_with(':'),
        Kind::All => namespace::scopes(&format!("{}:", record.argument())).any(|s| s == &**scope),
        _ => namespace::scopes(record.argument()).any(|s| s == &**scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: usize) -> Record {
        Record::Key(format!("app:users:{index}").into())
    }

    #[test]
    fn what_waits_hides_until_it_is_delivered() {
        let mut pending = Pending::new();
        pending.push(&key(1), "app:");
        pending.push(&Record::Tag("t".into()), "app:");
        assert_eq!(pending.visible_from("app:users:1", &[]), 1);
        assert_eq!(pending.visible_from("app:users:2", &["t".into()]), 2);
        assert_eq!(pending.visible_from("app:users:2", &[]), 0);
        pending.delivered(1);
        assert_eq!(pending.visible_from("app:users:1", &[]), 0);
        assert_ne!(pending.visible_from("app:users:2", &["t".into()]), 0);
    }

    #[test]
    fn the_same_invalidation_waits_once_and_is_renewed() {
        let mut pending = Pending::new();
        pending.push(&key(1), "app:");
        let began = pending.turn();
        assert!(began >= pending.visible_from("app:users:1", &[]));
        pending.push(&key(1), "app:");
        assert_eq!(pending.queue().len(), 1);
        assert!(began < pending.visible_from("app:users:1", &[]));
    }

    #[test]
    fn what_is_invalidated_again_while_it_is_delivered_waits_on() {
        let mut pending = Pending::new();
        pending.push(&key(1), "app:");
        let sent = pending.turn();
        pending.push(&key(1), "app:");
        pending.delivered(sent);
        assert_eq!(pending.queue(), [key(1)]);
        assert_ne!(pending.visible_from("app:users:1", &[]), 0);
    }

    #[test]
    fn too_many_are_coarsened_and_none_is_dropped() {
        let mut pending = Pending::new();
        for index in 0..MAX_PENDING + 10 {
            pending.push(&key(index), "app:");
        }
        assert_eq!(pending.queue(), [Record::All("app:users".into())]);
        assert_ne!(pending.visible_from("app:users:7", &[]), 0);
        pending.push(&Record::Tag("t".into()), "app:");
        assert_eq!(pending.queue().len(), 2, "a tag is not in a namespace");
    }

    #[test]
    fn too_many_tags_become_everything() {
        let mut pending = Pending::new();
        for index in 0..=MAX_PENDING {
            pending.push(&Record::Tag(format!("t{index}").into()), "app:");
        }
        assert_eq!(pending.queue(), [Record::All("app:".into())]);
        assert_ne!(pending.visible_from("app:users:7", &[]), 0);
    }
}
