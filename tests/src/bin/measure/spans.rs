//! Spans of time, and what to say of many.

use std::time::Duration;

/// The smallest span that `permille` of a thousand do not exceed. Sorts them.
pub(crate) fn quantile(spans: &mut [Duration], permille: usize) -> Duration {
    spans.sort_unstable();
    let index = (spans.len() * permille).div_ceil(1_000).max(1) - 1;
    spans[index]
}

/// `0.213 ms`
pub(crate) fn millis(span: Duration) -> String {
    format!("{:.3} ms", span.as_secs_f64() * 1_000.0)
}

/// The middle one of a few numbers.
pub(crate) fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
