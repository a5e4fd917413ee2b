//! Losses on logits.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use hydra_types::ndarray::Array2;

use crate::model::values;

/// What is minimised.
///
/// A row's *score* is its only logit, or with two classes the second minus the first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// `-w[y] ln softmax(logits)[y]`, divided by the sum of the `w[y]`; labels are class numbers.
    ///
    /// # Source
    /// Goodfellow et al. 2016, *Deep Learning*, section 6.2.2.3; the weighted mean is PyTorch's `CrossEntropyLoss`.
    CrossEntropy {
        /// A weight for each class: at least two.
        class_weights: Vec<f32>,
    },
    /// `ln(1 + exp(sⱼ - sᵢ))`, the mean over all pairs of a group where row `i` has the greater label than row `j`,
    /// and then the mean over the groups that have such a pair.
    ///
    /// # Source
    /// Burges et al. 2005, *Learning to Rank using Gradient Descent*, equation 3 with a target probability of 1.
    Pairwise,
    /// `-Σ pᵢ ln softmax(s)ᵢ` over the rows of a group, where `p` are the labels divided by their sum; the mean over the
    /// groups. Labels are not negative, and a group has one above 0.
    ///
    /// # Source
    /// Cao et al. 2007, *Learning to Rank: From Pairwise Approach to Listwise Approach*, equation 4 with top-one
    /// probabilities. **Differs:** the target is the labels' share and not their softmax, so that one relevant row among
    /// others that are not is the softmax cross-entropy.
    Listwise,
}

/// Rows of a batch: labels, and how many rows each group has, side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets<'a> {
    pub(crate) labels: &'a [f32],
    pub(crate) group_lens: &'a [usize],
}

impl Loss {
    /// Cross-entropy of two classes that count alike.
    #[must_use]
    pub fn two_classes() -> Self {
        Self::CrossEntropy { class_weights: vec![1.0, 1.0] }
    }

    /// The loss of some logits, and its gradient with respect to them.
    ///
    /// `group_lens` says how many rows each group has, groups side by side; cross-entropy ignores it.
    ///
    /// # Shapes
    /// - `logits`: `[rows, classes]`
    /// - `labels`: `[rows]`
    /// - returns: the loss and `[rows, classes]`
    ///
    /// # Panics
    /// If lengths do not fit or a label is not one of this loss.
    #[must_use]
    pub fn value_and_gradient(&self, logits: &Array2<f32>, labels: &[f32], group_lens: &[usize]) -> (f32, Array2<f32>) {
        assert_eq!(logits.nrows(), labels.len(), "a label for each row");
        let targets = Targets { labels, group_lens };
        let device = Device::flex().autodiff();
        let data = TensorData::new(logits.iter().copied().collect(), [logits.nrows(), logits.ncols()]);
        let leaf = Tensor::<2>::from_data(data, &device).require_grad();
        let loss = self.of(leaf.clone(), targets, self.weight(targets), &device);
        let mut gradients = loss.backward();
        let gradient = leaf.grad_remove(&mut gradients).map_or_else(|| vec![0.0; logits.len()], values);
        let gradient = Array2::from_shape_vec(logits.raw_dim(), gradient).expect("a gradient has the leaf's shape");
        (values(loss)[0], gradient)
    }

    /// Whether rows are compared within their group.
    pub(crate) fn is_grouped(&self) -> bool {
        !matches!(self, Self::CrossEntropy { .. })
    }

    /// Why a label, or a group of labels, cannot be learned from; none if it can.
    pub(crate) fn refuses(&self, labels: &[f32]) -> Option<&'static str> {
        let whole = |label: f32| label >= 0.0 && label.fract() == 0.0;
        match self {
            Self::CrossEntropy { class_weights } => {
                let classes = class_weights.len();
                let known = |label: &f32| whole(*label) && *label < classes as f32;
                (!labels.iter().all(known)).then_some("labels of cross-entropy are class numbers from 0")
            }
            Self::Pairwise => (!labels.iter().all(|label| label.is_finite())).then_some("labels are finite"),
            Self::Listwise => {
                let good = labels.iter().all(|label| label.is_finite() && *label >= 0.0);
                let some = labels.iter().any(|label| *label > 0.0);
                (!good || !some).then_some("labels of a listwise group are not negative, and one is above 0")
            }
        }
    }

    /// What the sum over these rows is divided by.
    pub(crate) fn weight(&self, targets: Targets<'_>) -> f64 {
        match self {
            Self::CrossEntropy { class_weights } => {
                targets.labels.iter().map(|label| f64::from(class_weights[class(*label)])).sum()
            }
            Self::Pairwise => targets.groups().filter(|(_, labels)| has_pair(labels)).count() as f64,
            Self::Listwise => targets.group_lens.len() as f64,
        }
    }

    /// The sum over the rows or groups, divided by `weight`: `[1]`.
    ///
    /// Passing the weight of a whole step lets several passes add up to it.
    pub(crate) fn of(&self, logits: Tensor<2>, targets: Targets<'_>, weight: f64, device: &Device) -> Tensor<1> {
        let sum = match self {
            Self::CrossEntropy { class_weights } => cross_entropy(logits, targets, class_weights, device),
            Self::Pairwise => pairwise(scores(logits), targets, device),
            Self::Listwise => listwise(scores(logits), targets, device),
        };
        // Without a pair there is nothing to learn, and 0 / 0 would spoil the weights.
        sum * if weight > 0.0 { 1.0 / weight } else { 0.0 }
    }
}

impl<'a> Targets<'a> {
    /// Groups with the number of their first row.
    fn groups(self) -> impl Iterator<Item = (usize, &'a [f32])> {
        let mut start = 0;
        self.group_lens.iter().map(move |len| {
            let first = start;
            start += len;
            (first, &self.labels[first..start])
        })
    }
}

fn cross_entropy(logits: Tensor<2>, targets: Targets<'_>, class_weights: &[f32], device: &Device) -> Tensor<1> {
    let classes = class_weights.len();
    let mut weights = vec![0.0; targets.labels.len() * classes];
    for (row, label) in targets.labels.iter().enumerate() {
        weights[row * classes + class(*label)] = class_weights[class(*label)];
    }
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [targets.labels.len(), classes]), device);
    (log_softmax(logits, 1) * weights).sum().neg()
}

fn pairwise(scores: Tensor<1>, targets: Targets<'_>, device: &Device) -> Tensor<1> {
    let (mut better, mut worse, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (first, labels) in targets.groups() {
        let start = better.len();
        for (i, high) in labels.iter().enumerate() {
            for (j, low) in labels.iter().enumerate() {
                if high > low {
                    better.push(index(first + i));
                    worse.push(index(first + j));
                }
            }
        }
        let pairs = better.len() - start;
        weights.extend(std::iter::repeat_n(1.0 / pairs.max(1) as f32, pairs));
    }
    if better.is_empty() {
        return scores.sum() * 0.0;
    }
    let margin = scores.clone().select(0, indices(better, device)) - scores.select(0, indices(worse, device));
    let shape = [weights.len()];
    let weights = Tensor::<1>::from_data(TensorData::new(weights, shape), device);
    // ln(1 + exp(-m)) = max(-m, 0) + ln(1 + exp(-|m|)) stays finite.
    let softplus = margin.clone().neg().clamp_min(0.0) + margin.abs().neg().exp().log1p();
    (softplus * weights).sum()
}

fn listwise(scores: Tensor<1>, targets: Targets<'_>, device: &Device) -> Tensor<1> {
    let widest = targets.group_lens.iter().copied().max().unwrap_or(0);
    let n_groups = targets.group_lens.len();
    // Groups are rows of a table; places behind a group's end repeat its first row and are masked.
    let (mut places, mut shares, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (first, labels) in targets.groups() {
        let sum: f32 = labels.iter().sum();
        for place in 0..widest {
            places.push(index(if place < labels.len() { first + place } else { first }));
            shares.push(labels.get(place).map_or(0.0, |label| label / sum));
            ends.push(if place < labels.len() { 0.0_f32 } else { MASKED });
        }
    }
    let table = |numbers| Tensor::<2>::from_data(TensorData::new(numbers, [n_groups, widest]), device);
    let scores = scores.select(0, indices(places, device)).reshape([n_groups, widest]) + table(ends);
    (log_softmax(scores, 1) * table(shares)).sum().neg()
}

/// One number a row: the only logit, or with two classes the second minus the first.
fn scores(logits: Tensor<2>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    if classes == 1 {
        return logits.reshape([rows]);
    }
    let column = |at: usize| logits.clone().slice([0..rows, at..at + 1]).reshape([rows]);
    column(1) - column(0)
}

fn has_pair(labels: &[f32]) -> bool {
    labels.iter().any(|label| *label != labels[0])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "labels were checked to be class numbers")]
fn class(label: f32) -> usize {
    label as usize
}

fn index(row: usize) -> i64 {
    i64::try_from(row).expect("a batch fits into memory")
}

fn indices(rows: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let shape = [rows.len()];
    Tensor::from_data(TensorData::new(rows, shape), device)
}

/// Far below every logit, and its exponential is 0 in F32; times a share of 0 it is still 0, which infinity is not.
const MASKED: f32 = -1e9;
