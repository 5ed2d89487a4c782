//! What a bench says: a table for people, and one JSON object as its last line.

use crate::seconds;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// Whether the command line asks for the short run.
pub fn is_quick() -> bool {
    std::env::args().any(|word| word == "--quick")
}

/// Writes a line to standard output.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The middle one; between the two middle ones of an even number.
pub fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(sorted.len().saturating_sub(1) / 2), at(sorted.len() / 2))
}

/// Records a second, between two times in microseconds.
#[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
pub fn rate(records: usize, from: i64, to: i64) -> f64 {
    records as f64 / seconds(from, to)
}

/// Rows of text in columns.
#[derive(Debug, Default)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Self(vec![headings.iter().map(|&heading| heading.to_owned()).collect()])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.0.push(cells.to_vec());
    }

    /// Writes it; the first column to the left, numbers to the right.
    pub fn say(&self) -> anyhow::Result<()> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.0.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (n, row) in self.0.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    write!(line, "{cell:width$}")?;
                } else {
                    write!(line, "  {cell:>width$}")?;
                }
            }
            say(line.trim_end())?;
            if n == 0 {
                say(&"-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1)))?;
            }
        }
        Ok(())
    }
}

/// The figures of a bench, each with what it should be.
#[derive(Debug)]
pub struct Figures {
    bench: &'static str,
    all: Map<String, Json>,
    table: Table,
}

impl Figures {
    /// None so far.
    pub fn new(bench: &'static str) -> Self {
        Self { bench, all: Map::new(), table: Table::new(&["figure", "is", "should be", ""]) }
    }

    /// A figure that should be `least` at least.
    pub fn at_least(&mut self, name: &str, value: f64, least: f64) {
        self.judged(name, value, &format!(">= {least}"), value >= least);
    }

    /// A figure that should be `most` at most.
    pub fn at_most(&mut self, name: &str, value: f64, most: f64) {
        self.judged(name, value, &format!("<= {most}"), value <= most);
    }

    fn judged(&mut self, name: &str, value: f64, target: &str, met: bool) {
        let word = if met { "met" } else { "missed" };
        self.table.row(&[name.to_owned(), format!("{value:.2}"), target.to_owned(), word.to_owned()]);
        self.raw(name, value);
    }

    /// A figure to be read beside the others.
    pub fn raw(&mut self, name: &str, value: f64) {
        let rounded = (value * 1_000.0).round() / 1_000.0;
        self.all.insert(name.to_owned(), json!(rounded));
    }

    /// Writes the table, and the object as the last line.
    pub fn say(&self) -> anyhow::Result<()> {
        say("")?;
        self.table.say()?;
        say("")?;
        say(&json!({ "bench": self.bench, "figures": self.all }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_of_odd_and_even_numbers_of_values() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }
}
