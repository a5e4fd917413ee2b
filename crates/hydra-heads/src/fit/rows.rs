//! One user's labelled rows.

use crate::features::Features;

/// One user's features and labels, checked: what a head is fitted on.
#[derive(Clone, Debug)]
pub struct FitRows<'a> {
    features: Features<'a>,
    labels: &'a [bool],
    weights: Vec<f64>,
}

/// How much a row of each class counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassWeights {
    /// Every row counts one.
    #[default]
    Equal,
    /// Both classes count half of all rows: for users who say yes rarely, where ranking matters and not calibration.
    Balanced,
}

impl<'a> FitRows<'a> {
    /// Rows that count as `class_weights` says.
    ///
    /// # Shapes
    /// - `labels`: one for each row of `features`; true where the row helped
    ///
    /// # Errors
    /// [`RowsError`] if there are more or fewer labels than rows.
    pub fn new(features: Features<'a>, labels: &'a [bool], class_weights: ClassWeights) -> Result<Self, RowsError> {
        let n = labels.len();
        if features.batch() != n {
            return Err(RowsError::Labels { rows: features.batch(), labels: n });
        }
        if u32::try_from(n).is_err() {
            return Err(RowsError::TooMany { rows: n });
        }
        let of_class = |class| as_f64(labels.iter().filter(|&&label| label == class).count());
        let (yes, no) = (of_class(true), of_class(false));
        let weight = |label| match class_weights {
            ClassWeights::Balanced if yes > 0.0 && no > 0.0 => (yes + no) / (2.0 * if label { yes } else { no }),
            _ => 1.0,
        };
        let weights = labels.iter().map(|&label| weight(label)).collect();
        Ok(Self { features, labels, weights })
    }

    /// The features.
    #[must_use]
    pub fn features(&self) -> &Features<'a> {
        &self.features
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether a row helped.
    pub(crate) fn label(&self, row: u32) -> bool {
        self.labels[row as usize]
    }

    /// How much a row counts.
    pub(crate) fn weight(&self, row: u32) -> f64 {
        self.weights[row as usize]
    }

    /// All rows.
    pub(crate) fn all(&self) -> Vec<u32> {
        (0..u32::try_from(self.len()).expect("checked by `new`")).collect()
    }

    /// A row's loss at these log-odds, and its derivative by the log-odds; both times the row's weight.
    pub(crate) fn loss(&self, row: u32, log_odds: f64) -> (f64, f64) {
        let (loss, derivative) = log_loss(self.label(row), log_odds);
        (self.weight(row) * loss, self.weight(row) * derivative)
    }

    /// Rows split into `n` parts of nearly equal size with both classes spread evenly; equal features stay together,
    /// so that no part is asked about a row that the others have seen. The order of rows decides, nothing random.
    pub(crate) fn parts(&self, n: usize) -> Vec<Vec<u32>> {
        let mut sorted = self.all();
        let key = |row: u32| self.features.row(row as usize);
        let by_features = |a: &[f32], b: &[f32]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| a.total_cmp(b))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        sorted.sort_by(|&a, &b| by_features(key(a), key(b)).then(a.cmp(&b)));
        let mut groups: Vec<&[u32]> = sorted.chunk_by(|&a, &b| by_features(key(a), key(b)).is_eq()).collect();
        // By class and then by age, dealt out in turn.
        groups.sort_by_key(|group| (self.label(group[0]), group[0]));
        let mut parts = vec![Vec::new(); n];
        for (i, group) in groups.iter().enumerate() {
            parts[i % n].extend_from_slice(group);
        }
        for part in &mut parts {
            part.sort_unstable();
        }
        parts
    }

    /// Whether both classes come up among these rows.
    pub(crate) fn has_both(&self, rows: &[u32]) -> bool {
        rows.iter().any(|&row| self.label(row)) && rows.iter().any(|&row| !self.label(row))
    }
}

/// `-ln P(label)` at these log-odds, and its derivative by them.
fn log_loss(label: bool, log_odds: f64) -> (f64, f64) {
    // ln(1 + exp(-m)) with the exponent kept negative.
    let margin = if label { log_odds } else { -log_odds };
    let small = (-margin.abs()).exp();
    let loss = small.ln_1p() + (-margin).max(0.0);
    let miss = if margin >= 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) };
    (loss, if label { -miss } else { miss })
}

/// Row counts as numbers to calculate with.
#[allow(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
pub(crate) fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Rows that cannot be fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// Labels and rows do not go together.
    #[error("{rows} rows have {labels} labels: give one label for each row")]
    Labels {
        /// Rows of the features.
        rows: usize,
        /// Labels given.
        labels: usize,
    },
    /// More rows than can be numbered.
    #[error("{rows} rows are too many for one user: give fewer than 2^32")]
    TooMany {
        /// As given.
        rows: usize,
    },
}
