//! The table at the end of the demo.

use std::fmt;
use std::time::Duration;

/// What the steps showed.
#[derive(Default)]
pub(super) struct Table(Vec<Row>);

/// What one step should show, and what it showed.
pub(super) struct Row {
    pub(super) step: &'static str,
    pub(super) expected: &'static str,
    pub(super) shown: String,
    pub(super) took: Duration,
    pub(super) ok: bool,
}

impl Table {
    pub(super) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(super) fn is_ok(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.ok)
    }

    fn cells(&self) -> Vec<[String; 5]> {
        let titles = ["step", "should show", "showed", "time", "ok"];
        let rows = self.0.iter().map(Row::cells);
        [titles.map(str::to_owned)]
            .into_iter()
            .chain(rows)
            .collect()
    }
}

impl Row {
    /// The step is right only if this holds too.
    pub(super) fn and(self, holds: bool) -> Self {
        let ok = self.ok && holds;
        Self { ok, ..self }
    }

    /// Like [`and`](Self::and), and says which it was.
    pub(super) fn and_show(
        self,
        holds: bool,
        yes: impl Into<String>,
        no: impl Into<String>,
    ) -> Self {
        let word = if holds { yes.into() } else { no.into() };
        let shown = format!("{}, {word}", self.shown);
        Self { shown, ..self }.and(holds)
    }

    fn cells(&self) -> [String; 5] {
        let ok = if self.ok { "yes" } else { "NO" };
        [
            self.step.to_owned(),
            self.expected.to_owned(),
            self.shown.clone(),
            format!("{:.2} ms", self.took.as_secs_f64() * 1_000.0),
            ok.to_owned(),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.cells();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or_default());
        for (index, row) in rows.iter().enumerate() {
            line(f, row, widths)?;
            if index == 0 {
                line(f, &widths.map(|width| "-".repeat(width)), widths)?;
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 5], widths: [usize; 5]) -> fmt::Result {
    let [step, expected, shown, took, ok] = cells;
    let [w0, w1, w2, w3, _] = widths;
    writeln!(
        f,
        "{step:w0$}  {expected:w1$}  {shown:w2$}  {took:>w3$}  {ok}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ok: bool) -> Row {
        Row {
            step: "a step",
            expected: "something",
            shown: "something else".into(),
            took: Duration::from_micros(1_500),
            ok,
        }
    }

    #[test]
    fn a_table_is_ok_only_if_it_has_rows_and_all_of_them_are() {
        assert!(!Table::default().is_ok());
        assert!(Table(vec![row(true)]).is_ok());
        assert!(!Table(vec![row(true), row(false)]).is_ok());
    }

    #[test]
    fn columns_stand_below_each_other() {
        let table = Table(vec![row(false)]).to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[2], "a step  something    something else  1.50 ms  NO");
        assert_eq!(lines[0].find("showed"), lines[2].find("something else"));
    }
}
