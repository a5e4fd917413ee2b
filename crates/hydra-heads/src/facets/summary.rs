//! A history as one vector.

use crate::features::Features;

/// How histories are summarised: the mean of a user's features, standardised over the population, and shrunk towards
/// zero the more the fewer records there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    /// Mean over the population: `[hidden]`.
    pub(super) mean: Vec<f64>,
    /// Variance between users' true means: `[hidden]`.
    pub(super) between: Vec<f64>,
    /// Variance of one record within a user: `[hidden]`.
    pub(super) within: Vec<f64>,
}

impl Summary {
    /// Estimates the moments from the histories of the population; users without records say nothing.
    ///
    /// # Source
    /// The one-way random-effects analysis of variance (method of moments) for each dimension.
    pub(super) fn fit<'a>(hidden: usize, histories: impl Iterator<Item = Features<'a>>) -> Self {
        let histories: Vec<Features<'_>> = histories.filter(|history| history.batch() > 0).collect();
        let mut summary = Self { mean: vec![0.0; hidden], between: vec![0.0; hidden], within: vec![0.0; hidden] };
        if histories.is_empty() {
            return summary;
        }
        let counts: Vec<f64> = histories.iter().map(|history| history.batch() as f64).collect();
        let means: Vec<Vec<f64>> = histories.iter().map(|history| mean(*history)).collect();
        let (users, records) = (counts.len() as f64, counts.iter().sum::<f64>());
        let effective = records - counts.iter().map(|n| n * n).sum::<f64>() / records;

        for dim in 0..hidden {
            let grand = counts.iter().zip(&means).map(|(n, mean)| n * mean[dim]).sum::<f64>() / records;
            let spread: f64 = counts.iter().zip(&means).map(|(n, mean)| n * (mean[dim] - grand).powi(2)).sum();
            let noise: f64 = histories
                .iter()
                .zip(&means)
                .flat_map(|(history, mean)| rows(*history).map(|row| (f64::from(row[dim]) - mean[dim]).powi(2)))
                .sum();
            let within = noise / (records - users).max(1.0);
            summary.mean[dim] = grand;
            summary.within[dim] = within;
            summary.between[dim] = ((spread - (users - 1.0) * within) / effective.max(1.0)).max(0.0);
        }
        summary
    }

    /// The vector of one history; zeros if it is empty. Dimensions in which users do not differ are zero.
    ///
    /// # Source
    /// The mean of a user shrunk by `between / (between + within / records)`: Efron and Morris, *Data Analysis Using
    /// Stein's Estimator and Its Generalizations* (1975), in units of the deviation between users.
    pub(super) fn of(&self, history: Features<'_>) -> Vec<f64> {
        if history.batch() == 0 {
            return vec![0.0; self.mean.len()];
        }
        let records = history.batch() as f64;
        let own = mean(history);
        let shrunk = |dim: usize| {
            let (between, within) = (self.between[dim], self.within[dim]);
            if between == 0.0 {
                return 0.0;
            }
            between / (between + within / records) * (own[dim] - self.mean[dim]) / between.sqrt()
        };
        (0..self.mean.len()).map(shrunk).collect()
    }
}

fn rows<'a>(features: Features<'a>) -> impl Iterator<Item = &'a [f32]> {
    (0..features.batch()).map(move |row| features.row(row))
}

fn mean(features: Features<'_>) -> Vec<f64> {
    let mut mean = vec![0.0; features.hidden()];
    for row in rows(features) {
        for (sum, &number) in mean.iter_mut().zip(row) {
            *sum += f64::from(number);
        }
    }
    for sum in &mut mean {
        *sum /= features.batch() as f64;
    }
    mean
}
