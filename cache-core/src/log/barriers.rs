//! What records leave behind: from which position on an entry is visible.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::Undo;
use super::record::{Kind, Record};
use crate::index::is_reserved;
use crate::namespace;
use crate::pattern::Pattern;

/// How many barriers of each kind are kept. Over the cap the oldest is dropped and the kind's
/// floor rises to it: what is older than a floor counts as hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps([usize; Kind::EVERY.len()]);

impl Caps {
    /// 65,536 for single keys and tags, 1,024 for patterns, 4,096 for namespaces.
    pub const DEFAULT: Self = Self([65_536, 65_536, 65_536, 1_024, 4_096]);

    /// The cap of this kind.
    pub const fn of(self, kind: Kind) -> usize {
        self.0[kind.index()]
    }

    /// Sets the cap of a kind; zero counts as one.
    #[must_use]
    pub const fn with(mut self, kind: Kind, cap: usize) -> Self {
        self.0[kind.index()] = if cap == 0 { 1 } else { cap };
        self
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The barriers of a log, looked up rather than scanned: tags, keys and namespaces in maps,
/// patterns by the literal text they begin with.
#[derive(Debug)]
pub struct Barriers {
    kinds: [Positions; Kind::EVERY.len()],
    patterns: Patterns,
    caps: Caps,
}

impl Barriers {
    /// No barriers.
    pub fn new(caps: Caps) -> Self {
        Self {
            kinds: Default::default(),
            patterns: Patterns::default(),
            caps,
        }
    }

    /// Takes in a record that stands at `sequence`. Barriers only move forward.
    pub fn insert(&mut self, record: &Record, sequence: u64) {
        let kind = record.kind();
        let positions = &mut self.kinds[kind.index()];
        if positions.raise(record.argument(), sequence) && kind == Kind::Pattern {
            self.patterns.insert(record.argument());
        }
        while positions.len() > self.caps.of(kind) {
            let dropped = positions.drop_oldest();
            if kind == Kind::Pattern {
                self.patterns.remove(&dropped);
            }
        }
    }

    /// Raises the floor of a kind: what is older than `sequence` counts as hidden.
    pub fn raise_floor(&mut self, kind: Kind, sequence: u64) {
        let floor = &mut self.kinds[kind.index()].floor;
        *floor = (*floor).max(sequence);
    }

    /// What is older than this counts as hidden, or has been forgotten.
    pub(super) fn floor(&self, kind: Kind) -> u64 {
        self.kinds[kind.index()].floor
    }

    /// The records whose barriers stand after `sequence`, kind by kind, oldest first.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = Record> {
        let kinds = Kind::EVERY.into_iter().zip(&self.kinds);
        kinds.flat_map(move |(kind, positions)| {
            let later = (Bound::Excluded(sequence), Bound::Unbounded);
            let arguments = positions.by_position.range(later);
            arguments.map(move |(_, argument)| Record::new(kind, argument.clone()))
        })
    }

    /// The barrier that a record left, or zero.
    pub(crate) fn position(&self, kind: Kind, argument: &str) -> u64 {
        self.kinds[kind.index()].of(argument)
    }

    /// What the records of a kind were about, with where they stand, oldest first.
    #[cfg(feature = "redis-cluster")]
    pub(crate) fn held(&self, kind: Kind) -> impl Iterator<Item = (u64, &str)> {
        let held = self.kinds[kind.index()].by_position.iter();
        held.map(|(&sequence, argument)| (sequence, &**argument))
    }

    /// The first sequence that an entry needs to be visible.
    pub(crate) fn visible_from(&self, key: &str, tags: &[Box<str>]) -> u64 {
        self.highest(key, tags, |_, _, position| position)
    }

    /// Like `visible_from`, with the barriers of some records where they were before.
    pub(crate) fn visible_from_before(&self, key: &str, tags: &[Box<str>], undo: &Undo) -> u64 {
        self.highest(key, tags, |kind, argument, now| {
            undo.before(kind, argument, now)
        })
    }

    /// The highest of the floors and of what `seen` makes of each barrier that matches.
    fn highest(&self, key: &str, tags: &[Box<str>], seen: impl Fn(Kind, &str, u64) -> u64) -> u64 {
        let of = |kind, argument: &str| match self.position(kind, argument) {
            0 => 0,
            position => seen(kind, argument, position),
        };
        let [_, _, tagged, patterns, namespaces] = &self.kinds;
        let mut from = of(Kind::Key, key).max(patterns.floor).max(namespaces.floor);
        // No record is about the tag of an index.
        for tag in tags.iter().filter(|tag| !is_reserved(tag)) {
            from = from.max(tagged.floor).max(of(Kind::Tag, tag));
        }
        if namespaces.len() > 0 {
            let around = namespace::scopes(key).map(|scope| of(Kind::All, scope));
            from = from.max(around.max().unwrap_or(0));
        }
        let matching = self.patterns.matching(key);
        let patterns = matching.map(|pattern| of(Kind::Pattern, pattern));
        from.max(patterns.max().unwrap_or(0))
    }
}

/// The latest position of each argument of one kind, and what has been forgotten.
#[derive(Debug, Default)]
struct Positions {
    by_argument: HashMap<Box<str>, u64>,
    by_position: BTreeMap<u64, Box<str>>,
    floor: u64,
}

impl Positions {
    /// Moves the argument's barrier forward; true if it had none.
    fn raise(&mut self, argument: &str, sequence: u64) -> bool {
        let known = match self.by_argument.get_mut(argument) {
            Some(position) if *position >= sequence => return false,
            Some(position) => {
                self.by_position.remove(position);
                *position = sequence;
                true
            }
            None => {
                self.by_argument.insert(argument.into(), sequence);
                false
            }
        };
        self.by_position.insert(sequence, argument.into());
        !known
    }

    fn drop_oldest(&mut self) -> Box<str> {
        let (position, argument) = self.by_position.pop_first().unwrap_or_default();
        self.by_argument.remove(&argument);
        self.floor = self.floor.max(position);
        argument
    }

    fn of(&self, argument: &str) -> u64 {
        self.by_argument.get(argument).copied().unwrap_or(0)
    }

    fn len(&self) -> usize {
        self.by_argument.len()
    }
}

/// Patterns by their literal prefix. A key is looked up once for each length that such a prefix
/// has, not once for each pattern.
#[derive(Debug, Default)]
struct Patterns {
    by_prefix: HashMap<Box<str>, Vec<Pattern>>,
    lengths: BTreeMap<usize, usize>,
}

impl Patterns {
    fn insert(&mut self, pattern: &str) {
        // A pattern in the log was checked before it got there; one that was not hides nothing
        // that its sender could have meant.
        let Ok(pattern) = Pattern::new(pattern) else {
            return;
        };
        let prefix = pattern.literal_prefix();
        *self.lengths.entry(prefix.len()).or_default() += 1;
        self.by_prefix
            .entry(prefix.into())
            .or_default()
            .push(pattern);
    }

    fn remove(&mut self, pattern: &str) {
        let Ok(pattern) = Pattern::new(pattern) else {
            return;
        };
        let prefix = pattern.literal_prefix();
        if let Some(group) = self.by_prefix.get_mut(prefix) {
            group.retain(|other| *other != pattern);
            if group.is_empty() {
                self.by_prefix.remove(prefix);
            }
        }
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    fn matching<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.lengths
            .range(..=key.len())
            .filter_map(|(&length, _)| self.by_prefix.get(key.get(..length)?))
            .flatten()
            .filter(|pattern| pattern.matches(key))
            .map(Pattern::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barriers() -> Barriers {
        Barriers::new(Caps::DEFAULT)
    }

    fn tags(tags: &[&str]) -> Vec<Box<str>> {
        tags.iter().map(|&tag| tag.into()).collect()
    }

    #[test]
    fn each_kind_hides_what_it_matches_and_nothing_else() {
        let mut barriers = barriers();
        barriers.insert(&Record::Tag("t".into()), 1);
        barriers.insert(&Record::Pattern("p:n:user:*".into()), 2);
        barriers.insert(&Record::All("p:team".into()), 3);
        barriers.insert(&Record::Key("p:n:k".into()), 4);
        barriers.insert(&Record::Changed("p:n:changed".into()), 5);
        for (key, tagged, from) in [
            ("p:n:other", &[][..], 0),
            ("p:n:other", &["t"], 1),
            ("p:n:user:1", &[], 2),
            ("p:n:user", &[], 0),
            ("p:team:x", &["t"], 3),
            ("p:team/sub:x", &[], 3),
            ("p:teams:x", &[], 0),
            ("p:n:k", &[], 4),
            ("p:n:changed", &[], 0),
        ] {
            assert_eq!(barriers.visible_from(key, &tags(tagged)), from, "{key}");
        }
    }

    #[test]
    fn a_barrier_never_moves_back() {
        let mut barriers = barriers();
        barriers.insert(&Record::Tag("t".into()), 9);
        barriers.insert(&Record::Tag("t".into()), 3);
        assert_eq!(barriers.visible_from("p:n:k", &tags(&["t"])), 9);
    }

    #[test]
    fn over_the_cap_more_is_hidden_never_less() {
        let caps = Caps::DEFAULT.with(Kind::Tag, 2).with(Kind::Pattern, 1);
        let mut barriers = Barriers::new(caps);
        for sequence in 1..=4 {
            let tag = format!("t{sequence}");
            barriers.insert(&Record::Tag(tag.into()), sequence);
        }
        // t1 and t2 are forgotten: every tagged entry must be as new as the newer of them.
        assert_eq!(barriers.visible_from("p:n:k", &tags(&["unrelated"])), 2);
        assert_eq!(barriers.visible_from("p:n:k", &tags(&["t4"])), 4);
        assert_eq!(barriers.visible_from("p:n:k", &[]), 0);

        barriers.insert(&Record::Pattern("p:n:a*".into()), 5);
        barriers.insert(&Record::Pattern("p:n:b*".into()), 6);
        assert_eq!(barriers.visible_from("p:n:a1", &[]), 5);
        assert_eq!(barriers.visible_from("p:n:b1", &[]), 6);
        assert_eq!(barriers.patterns.by_prefix.len(), 1);
        assert_eq!(barriers.patterns.lengths.len(), 1);
    }

    #[test]
    fn a_pattern_inside_a_character_of_the_key_is_no_panic() {
        let mut barriers = barriers();
        barriers.insert(&Record::Pattern("p:n:x*".into()), 1);
        assert_eq!(barriers.visible_from("p:n:é", &[]), 0);
    }
}
