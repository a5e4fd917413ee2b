//! The table, to read, to parse and to look at.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::plot;
use super::{Better, Metric, Standing};
use crate::Interval;

/// What [`Comparison::table`](super::Comparison::table) gives. `Display` is for a terminal, `Serialize` for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// The metrics, in the order of every row's cells.
    pub metrics: Vec<Metric>,
    /// For each metric, the baseline that the gains are over.
    pub best_baselines: Vec<String>,
    /// How many users were asked.
    pub users: usize,
    /// How many queries they were asked together.
    pub queries: usize,
    /// Of the intervals.
    pub confidence: f64,
    /// In the order in which they were added.
    pub rows: Vec<Row>,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// What it is there for.
    pub standing: Standing,
    /// For each metric.
    pub cells: Vec<Cell>,
    /// The mean over the metrics of the gain over the best baseline as a share of that baseline's mean: `1/M Σ s (x - b) / b`,
    /// where x and b are the means of the system and of the metric's best baseline, and s is 1 where higher is better, else -1.
    /// In each resample all means are those of the same users; which baseline is best does not change with it, and a resample
    /// in which a baseline's mean is zero is left out. None for what is itself the best baseline by every metric, and where a
    /// baseline's mean is zero.
    ///
    /// # Source
    /// Zhuang et al. 2024, arXiv:2406.02888, abstract: the average relative improvement over prompts. **Differs:** its average is
    /// over tasks, this one over the metrics of one task, and it has an interval.
    pub mean_relative_gain: Option<Interval>,
    /// Calls to the language model for all queries.
    pub calls: u64,
    /// Tokens in and out of the language model for all queries.
    pub tokens: u64,
}

/// One system by one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The mean over queries.
    pub value: Interval,
    /// How much better than the best baseline, query by query: above zero is better whichever way the metric goes. None
    /// for that baseline itself.
    pub gain: Option<Interval>,
    /// The gain as a share of the best baseline's mean; none where that is zero.
    pub relative_gain: Option<f64>,
}

impl Cell {
    /// Whether the interval of the gain leaves out zero.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.gain.is_some_and(|gain| gain.low > 0.0 || gain.high < 0.0)
    }
}

impl Table {
    /// The row of this name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// One line a row and metric.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv =
            "method,standing,metric,value,low,high,gain,gain_low,gain_high,relative_gain,calls,tokens\n".to_owned();
        for row in &self.rows {
            for (metric, cell) in self.metrics.iter().zip(&row.cells) {
                let Interval { mean, low, high } = cell.value;
                let gain =
                    cell.gain.map_or(",,".to_owned(), |gain| format!("{},{},{}", gain.mean, gain.low, gain.high));
                let relative = cell.relative_gain.map(|share| share.to_string()).unwrap_or_default();
                let standing = word(row.standing);
                writeln!(
                    csv,
                    "{},{standing},{},{mean},{low},{high},{gain},{relative},{},{}",
                    quoted(&row.name),
                    quoted(&metric.name),
                    row.calls,
                    row.tokens
                )
                .expect("writing to a string cannot fail");
            }
        }
        csv
    }

    /// A picture for one metric: every row's mean and interval, and where the best baseline lies. None if there is no
    /// such metric.
    #[must_use]
    pub fn to_svg(&self, metric: usize) -> Option<String> {
        (metric < self.metrics.len()).then(|| plot::forest(self, metric))
    }
}

impl fmt::Display for Table {
    /// Three decimals; `*` where the interval of the gain leaves out zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(6);
        write!(f, "{:wide$}", "method")?;
        let heads: Vec<String> = self.metrics.iter().map(head).collect();
        // `0.123 [0.123, 0.123]` and blanks behind it, unless the head is longer.
        let widths: Vec<usize> = heads.iter().map(|head| head.chars().count().max(24)).collect();
        for (head, width) in heads.iter().zip(&widths) {
            write!(f, "  {head:<width$}  {:<26}", "gain over best baseline")?;
        }
        writeln!(f, "  {:>8}  {:>10}", "calls", "tokens")?;
        for row in &self.rows {
            write!(f, "{:wide$}", row.name)?;
            for (cell, width) in row.cells.iter().zip(&widths) {
                let Interval { mean, low, high } = cell.value;
                write!(f, "  {:<width$}", format!("{mean:.3} [{low:.3}, {high:.3}]"))?;
                let gain = cell.gain.map_or("(best baseline)".to_owned(), |gain| {
                    let star = if cell.is_significant() { "*" } else { "" };
                    format!("{:+.3} [{:+.3}, {:+.3}]{star}", gain.mean, gain.low, gain.high)
                });
                write!(f, "  {gain:<26}")?;
            }
            writeln!(f, "  {:>8}  {:>10}", row.calls, row.tokens)?;
        }
        write!(
            f,
            "{} queries of {} users; {}% intervals by bootstrap over users; * leaves out zero",
            self.queries,
            self.users,
            self.confidence * 100.0
        )
    }
}

fn head(metric: &Metric) -> String {
    let direction = if metric.better == Better::Higher { "higher is better" } else { "lower is better" };
    format!("{} ({direction})", metric.name)
}

pub(super) fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Baseline => "baseline",
        Standing::Reference => "reference",
        Standing::System => "system",
        Standing::Control => "control",
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
