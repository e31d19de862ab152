//! A read, and what it took of the database.

use axum::http::StatusCode;

use super::client::Answer;
use super::table::Row;

/// An answer, and how many queries the database saw meanwhile.
pub(super) struct Observed {
    pub(super) answer: Answer,
    pub(super) queries: u64,
}

impl Observed {
    pub(super) fn is_hit(&self) -> bool {
        self.is_good() && self.answer.is_hit && self.queries == 0
    }

    /// Whether the page was not in the cache, and took this many queries to make.
    pub(super) fn is_miss(&self, queries: u64) -> bool {
        self.is_good() && !self.answer.is_hit && self.queries == queries
    }

    /// The row that shows this read.
    pub(super) fn row(&self, step: &'static str, expected: &'static str) -> Row {
        let outcome = if self.answer.is_hit { "hit" } else { "miss" };
        Row {
            step,
            expected,
            shown: format!("{outcome}, {}", counted(self.queries)),
            took: self.answer.took,
            ok: true,
        }
    }

    fn is_good(&self) -> bool {
        self.answer.status == StatusCode::OK
    }
}

pub(super) fn counted(queries: u64) -> String {
    let unit = if queries == 1 { "query" } else { "queries" };
    format!("{queries} {unit}")
}
