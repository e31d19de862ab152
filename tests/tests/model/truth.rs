//! The model: all versions that were ever computed or written, all that happened to them, and what
//! a read may return after that.

use std::time::{Duration, Instant};

use crate::operation::{Name, Scope, Tags};

/// A moment of a history; every moment that matters has one of its own.
pub(crate) type Tick = u64;

/// A value that was loaded or set; its number is the value.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: Name,
    pub(crate) tags: Tags,
    /// When the load began, or when the `set` had returned: what happened before is older.
    pub(crate) born: Tick,
}

/// What an event does to the versions in its scope that were born before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// They may not be read any more.
    Hides,
    /// Version number so-and-so took their place.
    Replaces(usize),
    /// They may not be read any more from some time on.
    Ends(Instant),
}

/// How far an event has come when its call has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It holds on its node, and the backend has it for the others.
    Applied,
    /// It holds on its node; others hear of it later.
    Pending,
    /// Nothing is promised: it may hold on its node, and be delivered to others later.
    Unsure,
    /// Nothing is promised: it may have happened.
    Open,
}

/// Something that makes versions go.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) node: usize,
    pub(crate) scope: Scope,
    pub(crate) effect: Effect,
    pub(crate) reach: Reach,
    pub(crate) started: Tick,
    pub(crate) ended: Tick,
    /// When its call had returned.
    pub(crate) at: Instant,
    /// When every node was seen to have it.
    pub(crate) delivered: Option<Tick>,
}

/// A read, as far as it matters for what it may return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader {
    pub(crate) node: usize,
    pub(crate) name: Name,
    pub(crate) strict: bool,
    pub(crate) started: Tick,
    pub(crate) at: Instant,
}

impl Event {
    /// Whether it is, or may be, one that is delivered later.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(self.reach, Reach::Pending | Reach::Unsure)
    }

    /// Whether the read has to obey it: at once on its own node (G1), on others once it was
    /// delivered or the touch bound has passed (G2).
    pub(crate) fn binds(&self, reader: &Reader, touch_bound: Duration) -> bool {
        let before = self.ended < reader.started;
        let delivered = self.delivered.is_some_and(|tick| tick < reader.started);
        let here = self.node == reader.node && before;
        match self.reach {
            Reach::Applied => {
                let long_ago = self.at + touch_bound <= reader.at;
                delivered || here || (before && (reader.strict || long_ago))
            }
            Reach::Pending => delivered || here,
            Reach::Unsure | Reach::Open => false,
        }
    }

    /// Whether it could no longer happen to anything at that moment.
    pub(crate) fn is_over(&self, tick: Tick) -> bool {
        match self.reach {
            Reach::Pending | Reach::Unsure => {
                self.delivered.is_some_and(|delivered| delivered < tick)
            }
            Reach::Applied | Reach::Open => self.ended < tick,
        }
    }
}

/// All that is known of one history.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) versions: Vec<Version>,
    pub(crate) events: Vec<Event>,
    /// When everything was delivered after the last fault.
    pub(crate) calm_since: Tick,
    clock: Tick,
}

impl Truth {
    pub(crate) fn tick(&mut self) -> Tick {
        self.clock += 1;
        self.clock
    }

    /// A new version that is born now; its number.
    pub(crate) fn bear(&mut self, name: Name, tags: Tags) -> usize {
        let born = self.tick();
        self.versions.push(Version { name, tags, born });
        self.versions.len() - 1
    }

    /// Everything that has happened so far has reached every node; faults among it, if not `calm`.
    pub(crate) fn delivered(&mut self, calm: bool) {
        let now = self.tick();
        if !calm {
            self.calm_since = now;
        }
        for event in &mut self.events {
            event.delivered.get_or_insert(now);
        }
    }

    /// Whether the read may return this version; if not, why.
    pub(crate) fn permits(
        &self,
        reader: &Reader,
        number: usize,
        bound: Duration,
    ) -> Result<(), String> {
        let version = self
            .versions
            .get(number)
            .filter(|it| it.name == reader.name);
        let Some(version) = version else {
            return Err(format!(
                "{reader:?} returned {number}, a value of another key"
            ));
        };
        match self
            .events
            .iter()
            .find(|it| it.kills(version, reader, bound))
        {
            Some(event) => Err(format!(
                "stale: {reader:?}\nreturned {number}: {version:?}\nafter {event:?}"
            )),
            None => Ok(()),
        }
    }

    /// The version that the read has to return, if only one is possible: one that was set, and
    /// that nothing can have touched since.
    pub(crate) fn demands(&self, reader: &Reader, bound: Duration) -> Option<usize> {
        let name = reader.name;
        let replaces = |event: &&Event| matches!(event.effect, Effect::Replaces(_));
        let about_it = |event: &&Event| event.scope.holds(name, 0);
        let last = self.events.iter().rev().filter(about_it).find(replaces)?;
        let Effect::Replaces(number) = last.effect else {
            return None;
        };
        let version = &self.versions[number];
        let touches = |event: &Event| event.scope.holds(name, version.tags);
        let mut others = self.events.iter().filter(|it| !std::ptr::eq(*it, last));
        let untouched = others.all(|event| !touches(event) || event.is_over(last.started));
        // A node that lags behind the log's life takes what is newer for old, and loads anew.
        let calm = self.calm_since < last.started;
        let known = last.reach == Reach::Applied && last.binds(reader, bound);
        (calm && known && untouched).then_some(number)
    }
}

impl Event {
    fn kills(&self, version: &Version, reader: &Reader, bound: Duration) -> bool {
        let in_time = match self.effect {
            Effect::Ends(end) => reader.at > end,
            Effect::Hides | Effect::Replaces(_) => true,
        };
        in_time
            && version.born < self.started
            && self.scope.holds(version.name, version.tags)
            && self.binds(reader, bound)
    }
}
