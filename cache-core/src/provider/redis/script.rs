//! The scripts that run on the server, each put together from the `.lua` files beside this one.

use std::sync::OnceLock;

use super::call::Call;

/// A script, called by its hash.
pub(super) struct Script {
    source: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    const fn new(source: &'static str) -> Self {
        Self {
            source,
            hash: OnceLock::new(),
        }
    }

    pub(super) fn source(&self) -> &'static str {
        self.source
    }

    pub(super) fn hash(&self) -> &str {
        self.hash
            .get_or_init(|| ::redis::Script::new(self.source).get_hash().to_owned())
    }

    /// A call that touches these keys.
    pub(super) fn on(&'static self, keys: &[&str]) -> Call {
        Call::script(self, keys)
    }
}

/// A script of these files, with the flags that the server is told. It returns its first argument
/// along with its answer: see `echo.rs`.
macro_rules! script {
    ($flags:literal: $($file:literal),+) => {
        Script::new(concat!(
            "#!lua",
            $flags,
            "\nlocal echo = table.remove(ARGV, 1)\nlocal function answer()\n",
            $(include_str!(concat!("scripts/", $file)),)+
            "end\nreturn { echo, answer() or false }\n",
        ))
    };
}

// What must work when the server's memory is full: it frees memory, or invalidates.
pub(super) static APPEND: Script = script!(" flags=allow-oom": "log.lua", "append.lua");
pub(super) static TAKE: Script = script!(" flags=allow-oom": "entry.lua", "take.lua");
pub(super) static RENEW: Script = script!(" flags=allow-oom": "entry.lua", "renew.lua");
pub(super) static REMOVE: Script = script!(" flags=allow-oom": "entry.lua", "remove.lua");
#[cfg(feature = "redis-cluster")]
pub(super) static DROP: Script = script!(" flags=allow-oom": "entry.lua", "drop.lua");
pub(super) static SWEEP: Script = script!(" flags=allow-oom": "sweep.lua");
pub(super) static FORGET: Script = script!(" flags=allow-oom": "forget.lua");
pub(super) static EXTEND: Script =
    script!(" flags=allow-oom": "time.lua", "lock.lua", "extend.lua");
pub(super) static UNLOCK: Script =
    script!(" flags=allow-oom": "time.lua", "lock.lua", "release.lua");
pub(super) static UNLINK: Script =
    script!(" flags=allow-oom": "time.lua", "index.lua", "unlink.lua");
pub(super) static MEMBERS: Script =
    script!(" flags=no-writes": "time.lua", "index.lua", "members.lua");
pub(super) static HEADER: Script = script!(" flags=no-writes": "entry.lua", "header.lua");
pub(super) static PAGE: Script = script!(" flags=no-writes": "page.lua");

// What the server refuses then, as a whole and before it has written anything.
pub(super) static LEASE: Script = script!("": "entry.lua", "lease.lua");
pub(super) static LINK: Script = script!("": "time.lua", "index.lua", "link.lua");
pub(super) static PUT: Script = script!("": "entry.lua", "put.lua");
pub(super) static FILL: Script = script!("": "entry.lua", "fill.lua");
pub(super) static SET: Script = script!("": "log.lua", "entry.lua", "set.lua");
pub(super) static INCREMENT: Script = script!("": "entry.lua", "increment.lua");
pub(super) static REPLACE: Script = script!("": "entry.lua", "replace.lua");
pub(super) static EXPIRE: Script = script!("": "entry.lua", "expire.lua");
pub(super) static LIMIT: Script = script!("": "time.lua", "limit.lua");
pub(super) static LOCK: Script = script!("": "time.lua", "lock.lua", "acquire.lua");
