//! A search over a small model of the rules by which keys are entered and taken out: two who write,
//! two who take out, one who deletes, in every order and at every pace.

use std::collections::HashSet;

/// For so long an entry may come after its key was entered.
const SPAN: u8 = 2;
const END: u8 = 6;

/// The rules, each of which can be left out.
#[derive(Clone, Copy)]
struct Rules {
    /// A write is not carried out after the moment that was known when the key was entered.
    has_deadline: bool,
    /// A reader looks at the entry when the mark has passed.
    waits_for_mark: bool,
    /// A reader takes a key out only with the mark that it has seen.
    compares_mark: bool,
}

const ALL: Rules = Rules {
    has_deadline: true,
    waits_for_mark: true,
    compares_mark: true,
};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    Entered { deadline: u8 },
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Reader {
    Idle,
    Saw { mark: u8, passed: bool },
    FoundNothing { mark: u8 },
    Done,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    entry: bool,
    /// The mark of the key, if it is in the index.
    member: Option<u8>,
    writers: [Writer; 2],
    readers: [Reader; 2],
    deletions: u8,
}

impl World {
    fn next(&self, rules: Rules) -> Vec<Self> {
        let mut next = Vec::new();
        if self.now < END {
            let now = self.now + 1;
            next.push(Self {
                now,
                ..self.clone()
            });
        }
        if self.entry && self.deletions > 0 {
            let (entry, deletions) = (false, self.deletions - 1);
            next.push(Self {
                entry,
                deletions,
                ..self.clone()
            });
        }
        for at in 0..2 {
            next.extend(self.written(at, rules));
            next.extend(self.read(at, rules));
        }
        next
    }

    fn written(&self, at: usize, rules: Rules) -> Option<Self> {
        let mut next = self.clone();
        next.writers[at] = match self.writers[at] {
            Writer::Idle => {
                let deadline = self.now + SPAN;
                let newest = self.member.map_or(0, |mark| mark + 1);
                next.member = Some(deadline.max(newest));
                Writer::Entered { deadline }
            }
            Writer::Entered { deadline } => {
                next.entry |= self.now < deadline || !rules.has_deadline;
                Writer::Done
            }
            Writer::Done => return None,
        };
        Some(next)
    }

    fn read(&self, at: usize, rules: Rules) -> Option<Self> {
        let mut next = self.clone();
        next.readers[at] = match self.readers[at] {
            Reader::Idle => {
                let mark = self.member?;
                let passed = mark < self.now || !rules.waits_for_mark;
                Reader::Saw { mark, passed }
            }
            Reader::Saw { mark, passed: true } if !self.entry => Reader::FoundNothing { mark },
            Reader::FoundNothing { mark } => {
                if self.member == Some(mark) || !rules.compares_mark {
                    next.member = None;
                }
                Reader::Done
            }
            Reader::Saw { .. } => Reader::Done,
            Reader::Done => return None,
        };
        Some(next)
    }
}

/// Whether an entry is nowhere without its member.
fn holds(rules: Rules) -> bool {
    let mut open = vec![World {
        now: 0,
        entry: false,
        member: None,
        writers: [Writer::Idle; 2],
        readers: [Reader::Idle; 2],
        deletions: 2,
    }];
    let mut seen = HashSet::new();
    while let Some(world) = open.pop() {
        if world.entry && world.member.is_none() {
            return false;
        }
        let next = world.next(rules);
        open.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
    }
    assert!(seen.len() > 10_000, "{} worlds are not all", seen.len());
    true
}

#[test]
fn by_the_rules_no_entry_is_without_its_member() {
    assert!(holds(ALL));
}

#[test]
fn without_any_of_the_rules_some_entry_is() {
    let has_deadline = false;
    assert!(!holds(Rules {
        has_deadline,
        ..ALL
    }));
    let waits_for_mark = false;
    assert!(!holds(Rules {
        waits_for_mark,
        ..ALL
    }));
    let compares_mark = false;
    assert!(!holds(Rules {
        compares_mark,
        ..ALL
    }));
}
