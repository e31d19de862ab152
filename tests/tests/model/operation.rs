//! What can happen in a history, and how histories are made up.

use proptest::collection::vec;
use proptest::prelude::*;

/// How many nodes share the server.
pub(crate) const NODES: usize = 3;
/// The node whose connections go through a proxy.
pub(crate) const PROXIED: usize = 2;
/// The keys of each namespace: what is loaded and set, then what is counted.
pub(crate) const KEYS: [&str; 5] = ["k0", "k1", "k2", "c0", "c1"];
/// The first of `KEYS` that is a counter.
pub(crate) const COUNTERS: usize = 3;
/// The namespaces.
pub(crate) const NAMESPACES: [&str; 2] = ["users", "teams"];
/// The tags, which reach both namespaces.
pub(crate) const TAGS: [&str; 2] = ["red", "blue"];

/// A key in a namespace, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) namespace: usize,
    pub(crate) key: usize,
}

/// Which of `TAGS`, by bits.
pub(crate) type Tags = u8;

/// What an invalidation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Key(Name),
    Tag(usize),
    /// A glob that all keys of the namespace match that begin so.
    Prefix(usize, &'static str),
    /// A glob that all keys of the namespace match that end so.
    Suffix(usize, &'static str),
    Namespace(usize),
    /// Both namespaces, by their parent.
    Everything,
}

impl Scope {
    /// Whether an entry is in it.
    pub(crate) fn holds(self, name: Name, tags: Tags) -> bool {
        let key = KEYS[name.key];
        match self {
            Self::Key(it) => it == name,
            Self::Tag(tag) => tags & (1 << tag) != 0,
            Self::Prefix(namespace, text) => namespace == name.namespace && key.starts_with(text),
            Self::Suffix(namespace, text) => namespace == name.namespace && key.ends_with(text),
            Self::Namespace(namespace) => namespace == name.namespace,
            Self::Everything => true,
        }
    }
}

/// How a read is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) node: usize,
    pub(crate) name: Name,
    pub(crate) strict: bool,
}

/// The time to live that `expire` gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Short,
    Long,
}

/// One step of a history.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// `get_or_set`; if it loads and `held`, the load stays open until it is finished.
    Load {
        asking: Asking,
        tags: Tags,
        held: bool,
    },
    /// `get_or_set`, while the history goes on.
    Meanwhile(Asking),
    Get(Asking),
    Set {
        node: usize,
        name: Name,
        tags: Tags,
    },
    Invalidate {
        node: usize,
        scope: Scope,
    },
    Expire {
        node: usize,
        name: Name,
        span: Span,
    },
    Increment {
        node: usize,
        name: Name,
        amount: i64,
    },
    Count(Asking),
    /// Lets one of the open loads finish.
    Finish(prop::sample::Index),
    /// Waits until everything is delivered.
    Settle,
    /// Longer than `Span::Short`.
    Sleep,
    Fault(Fault),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    FlushScripts,
    KillClients,
    FlushAll,
    /// The proxied node loses its connections.
    Cut,
    /// The server stands still.
    Pause,
    /// The proxied node hears nothing, and is not heard.
    Isolate,
    /// Ends both of the above.
    Mend,
    /// Longer than the touch bound.
    Linger,
}

/// Calm histories, histories with trouble that passes at once, and histories with outages.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let fault = |fault: BoxedStrategy<Fault>| fault.prop_map(Operation::Fault);
    let troubled = prop_oneof![7 => calm(), 1 => fault(quick())];
    let single = prop_oneof![14 => calm(), 1 => fault(quick()), 3 => fault(slow())];
    let cut_off = prop_oneof![18 => single.prop_map(|it| vec![it]), 1 => isolation()];
    let counting = prop_oneof![8 => counting(), 3 => fault(slow())];
    prop_oneof![
        8 => vec(calm(), 8..60),
        6 => vec(troubled, 8..50),
        2 => vec(cut_off, 8..40).prop_map(|episodes| episodes.concat()),
        1 => vec(counting, 6..24),
    ]
}

/// A node hears nothing of what happens to its copies elsewhere, and must know that in time.
fn isolation() -> impl Strategy<Value = Vec<Operation>> {
    (plain(), tags(), 0..PROXIED, any::<bool>()).prop_map(|(name, tags, node, by_key)| {
        let asking = Asking {
            node: PROXIED,
            name,
            strict: false,
        };
        let scope = if by_key {
            Scope::Key(name)
        } else {
            Scope::Namespace(name.namespace)
        };
        let load = Operation::Load {
            asking,
            tags,
            held: false,
        };
        let isolate = Operation::Fault(Fault::Isolate);
        let invalidate = Operation::Invalidate { node, scope };
        let linger = Operation::Fault(Fault::Linger);
        vec![
            load,
            load,
            isolate,
            invalidate,
            linger,
            load,
            Operation::Get(asking),
        ]
    })
}

fn quick() -> BoxedStrategy<Fault> {
    use Fault::{Cut, FlushAll, FlushScripts, KillClients};
    prop::sample::select(vec![FlushScripts, KillClients, FlushAll, Cut]).boxed()
}

fn slow() -> BoxedStrategy<Fault> {
    prop_oneof![
        2 => Just(Fault::Pause),
        2 => Just(Fault::Isolate),
        2 => Just(Fault::Mend),
        1 => Just(Fault::Linger),
    ]
    .boxed()
}

fn calm() -> impl Strategy<Value = Operation> {
    use Operation::{Count, Expire, Finish, Get, Invalidate, Load, Meanwhile, Set};
    let node = 0..NODES;
    prop_oneof![
        8 => (asking(plain()), tags(), prop::bool::weighted(0.4))
            .prop_map(|(asking, tags, held)| Load { asking, tags, held }),
        3 => asking(plain()).prop_map(Meanwhile),
        4 => asking(plain()).prop_map(Get),
        4 => (node.clone(), plain(), tags()).prop_map(|(node, name, tags)| Set { node, name, tags }),
        5 => (node.clone(), scope()).prop_map(|(node, scope)| Invalidate { node, scope }),
        1 => (node.clone(), plain(), prop_oneof![Just(Span::Long), Just(Span::Short)])
            .prop_map(|(node, name, span)| Expire { node, name, span }),
        2 => increment(),
        1 => asking(counter()).prop_map(Count),
        4 => any::<prop::sample::Index>().prop_map(Finish),
        1 => Just(Operation::Settle),
        1 => Just(Operation::Sleep),
    ]
}

/// What is under way to a counter when the connection is lost must not arrive later.
fn counting() -> impl Strategy<Value = Operation> {
    let gone = (0..NODES, counter().prop_map(Scope::Key));
    prop_oneof![
        6 => increment(),
        1 => asking(counter()).prop_map(Operation::Count),
        1 => gone.prop_map(|(node, scope)| Operation::Invalidate { node, scope }),
    ]
}

fn increment() -> impl Strategy<Value = Operation> {
    (0..NODES, counter(), 1..100i64).prop_map(|(node, name, amount)| Operation::Increment {
        node,
        name,
        amount,
    })
}

fn asking(name: impl Strategy<Value = Name>) -> impl Strategy<Value = Asking> {
    (0..NODES, name, prop::bool::weighted(0.15)).prop_map(|(node, name, strict)| Asking {
        node,
        name,
        strict,
    })
}

/// Few keys are asked for most of the time, so that operations meet.
fn plain() -> impl Strategy<Value = Name> {
    prop_oneof![
        3 => Just(Name { namespace: 0, key: 0 }),
        1 => (0..NAMESPACES.len(), 0..COUNTERS).prop_map(|(namespace, key)| Name { namespace, key }),
    ]
}

fn counter() -> impl Strategy<Value = Name> {
    (COUNTERS..KEYS.len()).prop_map(|key| Name { namespace: 0, key })
}

fn tags() -> impl Strategy<Value = Tags> {
    0..(1u8 << TAGS.len())
}

fn scope() -> impl Strategy<Value = Scope> {
    let namespace = 0..NAMESPACES.len();
    prop_oneof![
        4 => plain().prop_map(Scope::Key),
        1 => counter().prop_map(Scope::Key),
        4 => (0..TAGS.len()).prop_map(Scope::Tag),
        2 => (namespace.clone(), prop::sample::select(vec!["k", "k0", "c", ""]))
            .prop_map(|(namespace, text)| Scope::Prefix(namespace, text)),
        1 => (namespace.clone(), prop::sample::select(vec!["0", "1"]))
            .prop_map(|(namespace, text)| Scope::Suffix(namespace, text)),
        2 => namespace.prop_map(Scope::Namespace),
        1 => Just(Scope::Everything),
    ]
}
