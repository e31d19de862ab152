//! The choice between a cold cache and a shorter memory when the server's state has gone back.

use super::reply::nonce_text;

/// What becomes of what is stored when the server restarts from its disk, or a replica takes its
/// place. Either may have missed the last writes, acknowledged or not.
///
/// | | [`Hide`](Self::Hide) | [`Reappend`](Self::Reappend) |
/// |---|---|---|
/// | entries | all are hidden, and computed again | shown, unless an invalidation hides them |
/// | invalidations that the server has lost | not needed | every process that had heard of one holds to it at once, and records it again with its next heartbeat |
/// | one that a process records again | | holds for the others from then on. Until then, the [`touch_bound`](super::RedisProviderBuilder::touch_bound) at most, they may show what it hides. What was computed or set since the failover is hidden once more |
/// | one of which every process that had heard has ended | not needed | is lost: what it hid is shown again, until its time to live is over |
/// | more of them than [are kept](super::RedisProviderBuilder::caps) | not needed | all entries are hidden |
/// | more than [4,096](crate::log::MAX_PENDING) of them | not needed | those of their namespaces are hidden, or all |
/// | a `set` that the server has lost | the key is absent | the key is absent, or an older value is back: where every process that had heard of the `set` has ended, or somebody has written to the older value before they were in contact |
/// | times to live | | run on the new server's clock: where that is behind the old one's, entries live longer by as much |
///
/// If the server comes back without its data, or the log's state is damaged, `Reappend` does what
/// `Hide` does. It is of use where computing everything again at one moment would be too much.
///
/// All processes of a deployment should choose the same. Where they do not, whoever is first to
/// reach the new server decides: after a process with `Hide`, nothing that was stored is left for
/// anybody; after one with `Reappend`, those with `Hide` still show nothing that was stored
/// before, and store new values in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnFailover {
    /// Shows nothing that was stored before: safe, at the price of a cold cache.
    #[default]
    Hide,
    /// Shows what was stored before, and records again what this process knows to be lost.
    Reappend,
}

impl OnFailover {
    /// How the scripts on the log are told to begin a new incarnation.
    pub(super) fn begins(self, nonce: u64) -> String {
        let name = match self {
            Self::Hide => "hide",
            Self::Reappend => "reappend",
        };
        format!("{} {name}", nonce_text(nonce))
    }
}
