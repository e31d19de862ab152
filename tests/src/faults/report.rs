//! What a row says, and the page that the rows make.

use std::fmt::Write;
use std::time::Duration;

use super::{BUDGET, COMMAND_TIMEOUT, Fault, NODES, Seen, TOUCH_BOUND};

/// How one fault was survived.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// What happened.
    pub fault: Fault,
    /// What callers saw.
    pub seen: Seen,
    /// Calls that were answered by the cache.
    pub from_cache: u64,
    /// Values that some node shows in the end, and that are not the newest.
    pub lost: usize,
    /// How long after the fault all nodes were in touch, with everything delivered; `None` if
    /// that, or a hit on every value, did not come about.
    pub back_after: Option<Duration>,
}

impl Report {
    /// What is wrong with it; empty if nothing is.
    pub fn complaints(&self) -> Vec<String> {
        let seen = &self.seen;
        let checks = [
            (seen.calls == 0, "nobody called".to_owned()),
            (seen.applied == 0, "nothing was invalidated".to_owned()),
            (
                self.from_cache == 0,
                "nothing came from the cache".to_owned(),
            ),
            (seen.errors > 0, format!("{} calls failed", seen.errors)),
            (seen.stale > 0, format!("{} stale reads", seen.stale)),
            (
                seen.longest > BUDGET,
                format!("a call took {:?}", seen.longest),
            ),
            (
                self.lost > 0,
                format!("{} values are old for good", self.lost),
            ),
            (
                self.back_after.is_none(),
                "the cache is not back".to_owned(),
            ),
        ];
        let wrong = checks.into_iter().filter(|(is_wrong, _)| *is_wrong);
        wrong.map(|(_, complaint)| complaint).collect()
    }

    fn row(&self) -> String {
        let seen = &self.seen;
        let back = match self.back_after {
            Some(back) => format!("{:.2} s", back.as_secs_f64()),
            None => "never".into(),
        };
        format!(
            "| {} | {} | {} % | {} | {} ms | {} | {} / {} / {} | {} | {back} |",
            self.fault.title(),
            seen.calls,
            self.from_cache * 100 / seen.calls.max(1),
            seen.errors,
            seen.longest.as_millis(),
            seen.stale,
            seen.applied,
            seen.pending,
            seen.refused,
            self.lost,
        )
    }
}

/// The page, with a row for each report.
pub fn document(reports: &[Report], lasting: Duration) -> String {
    let mut page = format!(
        "\
# What callers see while something is broken

Made by a program that anyone can run; it needs `redis-server` 7 or later:

    cargo run --release -p cache-tests --bin fault-table > docs/faults.md

Each row is a deployment of its own: {NODES} caches with a memory tier over one server, each behind a
TCP proxy, with readers and writers on all of them. It is broken for {seconds} s and then mended. `kill -9`
and everything else happens to a real server; \"one node\" means the network of one of the {NODES}. Rows
with sentinels or a cluster (three primaries, a replica each) have no proxies. There the replica that
takes over lacks what was written in the last 200 ms; the old primary comes back as if nothing had
happened, and the row goes on until it follows the new one.

- **Errors**: calls of `get_or_set_with` that panicked, or were not answered within 10 s. The cache's own
  errors cannot reach a caller: the only error type is that of the load. Must be 0.
- **Longest call** of `get_or_set_with`. The budget is {budget} ms: a look, a lease and a fill that each
  run into the command timeout of {command} ms, the load of 2 ms, and 250 ms for a machine that is busy.
- **Stale**: calls that returned a version older than what an invalidation allowed that had returned on
  the same node before the call began, or that the server had had for longer than the touch bound of
  {touch} ms. Must be 0.
- **Invalidations**: applied at once / kept and delivered later / refused with an error, whereupon the writer
  tries again.
- **Lost**: values of which some node shows an old version after everything has been delivered. Must be 0.
- **Back**: after the mending, until all nodes are in touch, and everything is delivered. Afterwards
  every value must be a hit on every node.

| Fault | Calls | From the cache | Errors | Longest call | Stale | Invalidations | Lost | Back |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
",
        seconds = lasting.as_secs_f64(),
        budget = BUDGET.as_millis(),
        command = COMMAND_TIMEOUT.as_millis(),
        touch = TOUCH_BOUND.as_millis(),
    );
    for report in reports {
        writeln!(page, "{}", report.row()).expect("a string takes everything");
    }
    page
}
