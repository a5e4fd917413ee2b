//! Weights that are being fitted, with rows prepared for many evaluations.

use crate::fit::FitError;
use crate::fit::rows::FitRows;
use crate::head::Head;
use crate::precision::Precision;
use crate::shared::Shared;
use crate::weights::{Job, Weights};

/// One head's weights over some of a user's rows. What the prior head makes of the rows is computed once.
pub(crate) struct Model<'a> {
    shared: &'a Shared,
    rows: &'a FitRows<'a>,
    picks: &'a [u32],
    weights: Weights,
    stride: usize,
    /// The prior head's inner layer before `tanh`.
    prior_inner: Vec<f32>,
    inner: Vec<f32>,
    extra: Vec<f32>,
    out: Vec<f32>,
    slopes: Vec<f32>,
    gradient: Vec<f32>,
}

impl<'a> Model<'a> {
    /// `weights` in `f32`, over the rows that `picks` names.
    pub(crate) fn new(shared: &'a Shared, weights: Weights, rows: &'a FitRows<'a>, picks: &'a [u32]) -> Self {
        let (n, kind) = (picks.len(), weights.kind());
        let prior = shared.as_prior();
        let stride = prior.inner().max(kind.inner());
        let mut inner = vec![0.0; n * stride];
        if kind.adds_to_prior() {
            prior.start(rows.features().picked(picks), stride, &mut inner);
        }
        Self {
            shared,
            rows,
            picks,
            stride,
            prior_inner: if kind.adds_to_prior() { inner.clone() } else { Vec::new() },
            inner,
            extra: vec![0.0; n * kind.extra()],
            out: vec![0.0; n],
            slopes: vec![0.0; n],
            gradient: vec![0.0; kind.parameters(weights.hidden())],
            weights,
        }
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    pub(crate) fn into_weights(self) -> Weights {
        self.weights
    }

    pub(crate) fn set_parameters(&mut self, parameters: &[f32]) {
        self.weights.set_parameters(parameters);
    }

    /// The inner layer after `tanh`, as the last evaluation left it: `[rows, stride]`.
    pub(crate) fn inner(&self) -> (&[f32], usize) {
        (&self.inner, self.stride)
    }

    /// The weighted log-loss, summed over the rows.
    pub(crate) fn loss(&mut self) -> f64 {
        self.evaluate(Weights::log_odds);
        let mut sum = 0.0;
        for ((&row, &log_odds), slope) in self.picks.iter().zip(&self.out).zip(&mut self.slopes) {
            let (loss, derivative) = self.rows.loss(row, log_odds.into());
            sum += loss;
            *slope = narrow(derivative);
        }
        sum
    }

    /// The loss and its gradient by the parameters.
    pub(crate) fn loss_and_gradient(&mut self) -> (f64, &[f32]) {
        let loss = self.loss();
        self.gradient.fill(0.0);
        let (weights, mut job, slopes, gradient) = self.parts();
        weights.gradient(&mut job, slopes, gradient);
        (loss, &self.gradient)
    }

    /// The log-odds of the prior head alone.
    pub(crate) fn prior_log_odds(&mut self) -> &[f32] {
        self.evaluate(|_, job| job.finish_prior());
        &self.out
    }

    fn evaluate(&mut self, compute: impl FnOnce(&Weights, &mut Job<'_>)) {
        if !self.prior_inner.is_empty() {
            self.inner.copy_from_slice(&self.prior_inner);
        }
        let (weights, mut job, ..) = self.parts();
        compute(weights, &mut job);
    }

    /// What is borrowed together: the weights, the job, the slopes by the log-odds and the gradient.
    fn parts(&mut self) -> (&Weights, Job<'_>, &[f32], &mut [f32]) {
        let job = Job {
            prior: self.shared.as_prior(),
            rows: self.rows.features().picked(self.picks),
            inner: &mut self.inner,
            stride: self.stride,
            extra: &mut self.extra,
            out: &mut self.out,
        };
        (&self.weights, job, &self.slopes, &mut self.gradient)
    }
}

/// The weighted log-loss of `head` on `rows`, summed, and its gradient in the order of
/// [`Weights::parameters`]: for optimisers of your own.
///
/// # Errors
/// [`FitError`] if the rows or the head belong to another body, prior head or width.
pub fn loss_and_gradient(shared: &Shared, head: &Head, rows: &FitRows<'_>) -> Result<(f64, Vec<f32>), FitError> {
    shared.check(head)?;
    check_features(shared, rows)?;
    let weights = head.weights().to_precision(Precision::F32);
    let picks = rows.all();
    let mut model = Model::new(shared, weights, rows, &picks);
    let (loss, gradient) = model.loss_and_gradient();
    Ok((loss, gradient.to_vec()))
}

/// Whether the rows are features of the shared part's body.
pub(crate) fn check_features(shared: &Shared, rows: &FitRows<'_>) -> Result<(), FitError> {
    let features = rows.features();
    if features.body() != shared.body() {
        return Err(FitError::Body { expected: shared.body(), got: features.body() });
    }
    if features.hidden() != shared.hidden() {
        return Err(FitError::Width { expected: shared.hidden(), got: features.hidden() });
    }
    Ok(())
}

/// To the precision of parameters: what is narrowed is finite and of everyday size.
#[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is what is meant")]
pub(crate) fn narrow(number: f64) -> f32 {
    number as f32
}
