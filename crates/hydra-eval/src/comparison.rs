//! Many systems on the same queries, in one table in which every number has its interval.

mod curve;
mod plot;
mod table;

use serde::Serialize;

use crate::Interval;
use crate::error::{EvalError, check_lengths, check_numbers};
use crate::statistics::{Draws, Paired, interval};

pub use curve::{Curve, CurvePoint};
pub use table::{Cell, Row, Table};

/// What is measured on each query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// As it stands in the table.
    pub name: String,
    /// Which direction is good.
    pub better: Better,
}

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// As for accuracy.
    Higher,
    /// As for errors.
    Lower,
}

/// What a row of the table is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A prompt and its answer. The best of these, by each metric, is what all others are compared with.
    Baseline,
    /// To be read beside the others: what needs no model, or more than a system can have (an oracle).
    Reference,
    /// What is judged.
    System,
    /// What must do worse if the systems do what they are said to do.
    Control,
}

/// What one system did on every query.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemRun {
    /// As it stands in the table.
    pub name: String,
    /// What its row is there for.
    pub standing: Standing,
    /// For each metric, for each user, the value on each query.
    pub values: Vec<Vec<Vec<f64>>>,
    /// Calls to the language model that answering all queries took.
    pub calls: u64,
    /// Tokens in and out of the language model that answering all queries took.
    pub tokens: u64,
}

/// Systems that were run on the same queries of the same users.
///
/// ```
/// use hydra_eval::{Better, Comparison, Metric, Standing, SystemRun};
///
/// let mut comparison = Comparison::new([Metric { name: "accuracy".into(), better: Better::Higher }]);
/// let run = |name: &str, standing, right: [f64; 4]| SystemRun {
///     name: name.into(),
///     standing,
///     values: vec![right.iter().map(|&value| vec![value]).collect()],
///     calls: 4,
///     tokens: 400,
/// };
/// comparison.add(run("zero-shot", Standing::Baseline, [0.0, 1.0, 0.0, 0.0]))?;
/// comparison.add(run("ours", Standing::System, [1.0, 1.0, 0.0, 1.0]))?;
/// let table = comparison.table(0.95, 1000, 7)?;
/// let gain = table.rows[1].cells[0].gain.expect("it is compared with the best baseline");
/// assert_eq!((table.best_baselines[0].as_str(), gain.mean), ("zero-shot", 0.5));
/// println!("{table}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    metrics: Vec<Metric>,
    systems: Vec<SystemRun>,
}

/// Why systems cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// There is nothing to compare with.
    #[error("no baseline: add at least one system whose standing is `Baseline`")]
    NoBaseline,
    /// Two rows of one name.
    #[error("two systems are called {name:?}: give each a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// A system was run on other queries than the first, or gave a value that is no number.
    #[error("system {name:?} cannot stand in the table")]
    Values {
        /// Its name.
        name: String,
        /// Why.
        source: EvalError,
    },
}

/// The mean of `from - to` with its interval.
fn difference(draws: Draws, from: &[Vec<f64>], to: &[Vec<f64>]) -> Interval {
    let paired = Paired::by_user(from, to).expect("all were checked when they were added");
    paired.bootstrap(draws.confidence, draws.resamples, draws.seed)
}

impl Comparison {
    /// No system yet.
    #[must_use]
    pub fn new(metrics: impl IntoIterator<Item = Metric>) -> Self {
        Self { metrics: metrics.into_iter().collect(), systems: Vec::new() }
    }

    /// Adds a row below the others.
    ///
    /// # Errors
    /// [`ComparisonError`] if the name is taken, or the queries are not those of the first system.
    pub fn add(&mut self, run: SystemRun) -> Result<(), ComparisonError> {
        if self.systems.iter().any(|system| system.name == run.name) {
            return Err(ComparisonError::Twice { name: run.name });
        }
        let checked = self.check(&run);
        checked.map_err(|source| ComparisonError::Values { name: run.name.clone(), source })?;
        self.systems.push(run);
        Ok(())
    }

    fn check(&self, run: &SystemRun) -> Result<(), EvalError> {
        check_lengths(self.metrics.len(), run.values.len())?;
        let shape = &self.systems.first().unwrap_or(run).values[0];
        for users in &run.values {
            check_lengths(shape.len(), users.len())?;
            for (queries, expected) in users.iter().zip(shape) {
                check_lengths(expected.len(), queries.len())?;
                check_numbers(queries, "a finite value", f64::is_finite)?;
            }
        }
        Ok(())
    }

    /// What one system gains over another, for each metric: paired differences, positive where the first is better, whichever
    /// direction the metric has. None if one of them is not here.
    #[must_use]
    pub fn gains(
        &self,
        system: &str,
        over: &str,
        confidence: f64,
        resamples: usize,
        seed: u64,
    ) -> Option<Vec<Interval>> {
        let named = |name: &str| self.systems.iter().find(|system| system.name == name);
        let (system, over) = (named(system)?, named(over)?);
        let draws = Draws { confidence, resamples, seed };
        Some((0..self.metrics.len()).map(|metric| self.gain(metric, system, over, draws)).collect())
    }

    fn gain(&self, metric: usize, system: &SystemRun, over: &SystemRun, draws: Draws) -> Interval {
        let (values, baseline) = (&system.values[metric], &over.values[metric]);
        match self.metrics[metric].better {
            Better::Higher => difference(draws, values, baseline),
            Better::Lower => difference(draws, baseline, values),
        }
    }

    /// The mean over the metrics of the gain over the best baseline as a share of that baseline, with its interval; see
    /// [`Row::mean_relative_gain`].
    fn mean_relative_gain(&self, system: &SystemRun, best: &[&SystemRun], draws: Draws) -> Option<Interval> {
        let sums = |of: &[Vec<f64>]| of.iter().map(|user| user.iter().sum()).collect::<Vec<f64>>();
        let metrics = self.metrics.iter().zip(&system.values).zip(best).enumerate();
        // For each metric the sums of each user: all systems have the same queries, so that a share of sums is one of means.
        let sums: Vec<(f64, Vec<f64>, Vec<f64>)> = metrics
            .map(|(metric, ((Metric { better, .. }, values), best))| {
                let sign = if *better == Better::Higher { 1.0 } else { -1.0 };
                (sign, sums(values), sums(&best.values[metric]))
            })
            .collect();
        let share = |drawn: &[usize]| {
            let total = |of: &[f64]| drawn.iter().map(|&user| of[user]).sum::<f64>();
            let shares = sums.iter().map(|(sign, values, best)| {
                let best = total(best);
                sign * (total(values) - best) / best
            });
            shares.sum::<f64>() / sums.len() as f64
        };
        let gain = interval(system.values[0].len(), draws, share);
        (gain.mean.is_finite() && best.iter().any(|best| best.name != system.name)).then_some(gain)
    }

    /// The table: means and gains over the best baseline with their bootstrap intervals, users drawn with replacement.
    ///
    /// The same seed gives the same table.
    ///
    /// # Errors
    /// [`ComparisonError::NoBaseline`].
    ///
    /// # Panics
    /// As [`Paired::bootstrap`].
    pub fn table(&self, confidence: f64, resamples: usize, seed: u64) -> Result<Table, ComparisonError> {
        let best = (0..self.metrics.len()).map(|metric| self.best_baseline(metric));
        let best: Vec<&SystemRun> = best.collect::<Option<_>>().ok_or(ComparisonError::NoBaseline)?;
        let draws = Draws { confidence, resamples, seed };
        let cell = |system: &SystemRun, metric: usize| {
            let values = &system.values[metric];
            let zeros: Vec<Vec<f64>> = values.iter().map(|user| vec![0.0; user.len()]).collect();
            let gain = || self.gain(metric, system, best[metric], draws);
            Cell {
                value: difference(draws, values, &zeros),
                gain: (system.name != best[metric].name).then(gain),
                relative_gain: None,
            }
        };
        let rows = self.systems.iter().map(|system| {
            let mut cells: Vec<Cell> = (0..self.metrics.len()).map(|metric| cell(system, metric)).collect();
            for (metric, cell) in cells.iter_mut().enumerate() {
                let baseline = mean(&best[metric].values[metric]);
                cell.relative_gain = cell.gain.filter(|_| baseline != 0.0).map(|gain| gain.mean / baseline);
            }
            Row {
                name: system.name.clone(),
                standing: system.standing,
                cells,
                mean_relative_gain: self.mean_relative_gain(system, &best, draws),
                calls: system.calls,
                tokens: system.tokens,
            }
        });
        Ok(Table {
            metrics: self.metrics.clone(),
            best_baselines: best.iter().map(|system| system.name.clone()).collect(),
            users: self.systems[0].values[0].len(),
            queries: self.systems[0].values[0].iter().map(Vec::len).sum(),
            confidence,
            rows: rows.collect(),
        })
    }

    fn best_baseline(&self, metric: usize) -> Option<&SystemRun> {
        let sign = match self.metrics[metric].better {
            Better::Higher => 1.0,
            Better::Lower => -1.0,
        };
        let good = |system: &SystemRun| sign * mean(&system.values[metric]);
        // The first of equals.
        let baselines = self.systems.iter().filter(|system| system.standing == Standing::Baseline).rev();
        baselines.max_by(|a, b| good(a).total_cmp(&good(b)))
    }
}

fn mean(by_user: &[Vec<f64>]) -> f64 {
    by_user.iter().flatten().sum::<f64>() / by_user.iter().map(Vec::len).sum::<usize>() as f64
}
