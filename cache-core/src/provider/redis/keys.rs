//! The keys that the log has on the server.
//!
//! All keys of entries begin with the deployment's prefix, all others with a `{`, so that no scan meets
//! them: those of the log, of rate limits (`provider/limits.rs`) and of locks (`locks.rs`).

/// The keys of the log, in one cluster slot, and the scope of the deployment.
#[derive(Clone)]
pub(super) struct LogKeys {
    /// The sorted set that is the truth: the state, and the barriers.
    pub(super) inv: String,
    /// The stream that delivers records.
    pub(super) stream: String,
    /// What heartbeats write.
    pub(super) beat: String,
    /// Whose turn it is to sweep.
    pub(super) sweep: String,
    /// The scope that all keys of the deployment are in.
    pub(super) root: String,
}

impl LogKeys {
    /// The keys for a deployment whose root scope is `root`, such as `cache:`.
    pub(super) fn new(root: &str) -> Self {
        let prefix = root.trim_end_matches(':');
        Self {
            inv: format!("{{{prefix}}}:inv"),
            stream: format!("{{{prefix}}}:log"),
            beat: format!("{{{prefix}}}:beat"),
            sweep: format!("{{{prefix}}}:sweep"),
            root: root.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_log_share_a_slot() {
        let keys = LogKeys::new("app%2E:");
        assert_eq!(keys.inv, "{app%2E}:inv");
        assert_eq!(keys.stream, "{app%2E}:log");
        assert_eq!(keys.beat, "{app%2E}:beat");
        assert_eq!(keys.sweep, "{app%2E}:sweep");
    }
}
