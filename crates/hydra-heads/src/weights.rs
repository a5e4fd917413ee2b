//! The numbers of a head, of every kind.
//!
//! A kind is a list of matrices and two functions: [`log_odds`](Weights::log_odds) of rows, and the
//! [`gradient`](Weights::gradient) that fitting follows. Storing, packing, precisions and batching look at the list only
//! and know no kind. `docs/adding-a-head.md` adds one step by step.

mod facets;
mod job;
mod linear;
mod low_rank;
mod two_layer;

use hydra_types::ndarray::ArrayRef2;

pub(crate) use job::{Job, Prior};

use crate::matrix::{Matrix, Numbers};
use crate::precision::Precision;

/// What a head computes. All give log-odds: the logarithm of how much likelier "helps" is than "does not".
///
/// `z`: features `[hidden]`; `prior(z)`: the log-odds of the prior head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `l₁ - l₀` with `l = W₂ tanh(W₁ z + b₁) + b₂`: the head of the HYDRA paper, on its own or as prior head.
    TwoLayer {
        /// Rows of `W₁`; `hidden` in the paper.
        inner: usize,
    },
    /// `prior(z) + w·z + b`. As a prior head, it stands alone: `w·z + b`.
    Linear,
    /// The two-layer prior head with `W₁ + UᵀV` for `W₁`, and `w·a + b` added to what it computes from its inner layer `a`.
    LowRank {
        /// Rows of the prior head's `W₁`.
        inner: usize,
        /// Rows of `U` and of `V`.
        rank: usize,
    },
    /// `prior(z) + Σₖ rₖ · facetₖ(z)`: a mix of facets that everybody shares.
    Routing {
        /// How many facets are shared; most weights are zero.
        facets: usize,
    },
    /// The facets themselves, `fₖ·z + cₖ`: part of [`Shared`](crate::Shared), never one user's.
    Facets {
        /// How many.
        facets: usize,
    },
}

/// One matrix of a kind's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) n_rows: usize,
    pub(crate) cols: usize,
    /// Whether it may be stored in less than `f32`.
    pub(crate) compresses: bool,
}

impl Kind {
    /// The matrices of a head of this kind, in the order in which they are stored, packed and differentiated.
    pub(crate) fn blocks(self, hidden: usize) -> Vec<Block> {
        let numbers = |n_rows, cols| Block { n_rows, cols, compresses: true };
        let bias = |cols| Block { n_rows: 1, cols, compresses: false };
        match self {
            Self::TwoLayer { inner } => vec![numbers(inner, hidden), bias(inner), numbers(2, inner), bias(2)],
            Self::Linear => vec![numbers(1, hidden), bias(1)],
            Self::LowRank { inner, rank } => {
                vec![numbers(rank, hidden), numbers(rank, inner), numbers(1, inner), bias(1)]
            }
            Self::Routing { facets } => vec![bias(facets)],
            Self::Facets { facets } => vec![numbers(facets, hidden), bias(facets)],
        }
    }

    /// Numbers of a head of this kind.
    #[must_use]
    pub fn parameters(self, hidden: usize) -> usize {
        match self {
            Self::TwoLayer { inner } => inner * (hidden + 3) + 2,
            Self::Linear => hidden + 1,
            Self::LowRank { inner, rank } => rank * (hidden + inner) + inner + 1,
            Self::Routing { facets } => facets,
            Self::Facets { facets } => facets * (hidden + 1),
        }
    }

    /// Numbers of the inner layer of a head that stands alone; 0 for the others, which use the prior head's.
    pub(crate) fn inner(self) -> usize {
        match self {
            Self::TwoLayer { inner } => inner,
            _ => 0,
        }
    }

    /// Whether the prior head's result is part of this kind's.
    pub(crate) fn adds_to_prior(self) -> bool {
        match self {
            Self::TwoLayer { .. } | Self::Facets { .. } => false,
            Self::Linear | Self::LowRank { .. } | Self::Routing { .. } => true,
        }
    }

    /// Numbers of working memory that one row needs beside its inner layer.
    pub(crate) fn extra(self) -> usize {
        match self {
            Self::TwoLayer { .. } | Self::Facets { .. } => 0,
            Self::Linear => 1,
            Self::LowRank { rank, .. } => rank,
            Self::Routing { facets } => facets,
        }
    }
}

/// The numbers of one head.
///
/// Weights know neither whose they are nor for which body: [`Shared::head`](crate::Shared::head) binds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    kind: Kind,
    hidden: usize,
    matrices: Vec<Matrix>,
}

impl Weights {
    /// The paper's head, `W₂ tanh(W₁ z + b₁) + b₂`.
    ///
    /// # Shapes
    /// - `w1`: `[inner, hidden]`, `b1`: `[inner]`
    /// - `w2`: `[2, inner]`, `b2`: `[2]`; row 1 is the class "helps"
    ///
    /// # Errors
    /// [`WeightsError`] if the shapes do not fit together or a number is not finite.
    ///
    /// # Source
    /// Zhuang et al. 2024, arXiv:2406.02888, section 3.2, with the layer sizes of the released code.
    pub fn two_layer(w1: &ArrayRef2<f32>, b1: &[f32], w2: &ArrayRef2<f32>, b2: &[f32]) -> Result<Self, WeightsError> {
        let (inner, hidden) = w1.dim();
        let kind = Kind::TwoLayer { inner };
        Self::checked(kind, hidden, vec![from_array(w1), from_slice(b1), from_array(w2), from_slice(b2)])
    }

    /// `w·z + b`, added to the prior head or itself the prior head.
    ///
    /// # Shapes
    /// - `weights`: `[hidden]`
    ///
    /// # Errors
    /// [`WeightsError`] if there is no number or one is not finite.
    pub fn linear(weights: &[f32], bias: f32) -> Result<Self, WeightsError> {
        Self::checked(Kind::Linear, weights.len(), vec![from_slice(weights), from_slice(&[bias])])
    }

    /// A low-rank change of a two-layer prior head: `W₁ + UᵀV` for `W₁`, and `w·a + b` added to its result.
    ///
    /// # Shapes
    /// - `down` (`V`): `[rank, hidden]`
    /// - `up` (`U`): `[rank, inner]`
    /// - `out` (`w`): `[inner]`
    ///
    /// # Errors
    /// [`WeightsError`] if the shapes do not fit together or a number is not finite.
    ///
    /// # Source
    /// Hu et al. 2021, arXiv:2106.09685, equation 3. **Differs:** the scale `α / r` is part of `U`, and the output layer
    /// has a change of its own.
    pub fn low_rank(down: &ArrayRef2<f32>, up: &ArrayRef2<f32>, out: &[f32], bias: f32) -> Result<Self, WeightsError> {
        let (rank, hidden) = down.dim();
        let inner = out.len();
        let matrices = vec![from_array(down), from_array(up), from_slice(out), from_slice(&[bias])];
        Self::checked(Kind::LowRank { inner, rank }, hidden, matrices)
    }

    /// How much of each facet a user is.
    ///
    /// # Shapes
    /// - `weights`: `[facets]`; zeros cost next to nothing
    ///
    /// # Errors
    /// [`WeightsError`] if there is no number or one is not finite.
    pub fn routing(hidden: usize, weights: &[f32]) -> Result<Self, WeightsError> {
        let kind = Kind::Routing { facets: weights.len() };
        Self::checked(kind, hidden, vec![from_slice(weights)])
    }

    /// Facets: heads that everybody shares and that a routing mixes.
    ///
    /// # Shapes
    /// - `weights`: `[facets, hidden]`, `biases`: `[facets]`
    ///
    /// # Errors
    /// [`WeightsError`] if the shapes do not fit together or a number is not finite.
    pub fn facets(weights: &ArrayRef2<f32>, biases: &[f32]) -> Result<Self, WeightsError> {
        let (facets, hidden) = weights.dim();
        Self::checked(Kind::Facets { facets }, hidden, vec![from_array(weights), from_slice(biases)])
    }

    /// Weights from their numbers in the order of [`parameters`](Self::parameters).
    ///
    /// # Errors
    /// [`WeightsError`] if there are too few or too many, or one is not finite.
    pub fn from_parameters(kind: Kind, hidden: usize, parameters: &[f32]) -> Result<Self, WeightsError> {
        let expected = kind.parameters(hidden);
        if parameters.len() != expected {
            return Err(WeightsError::Width { what: "parameters", expected, got: parameters.len() });
        }
        let mut rest = parameters;
        let matrices = kind.blocks(hidden).into_iter().map(|block| {
            let (numbers, after) = rest.split_at(block.n_rows * block.cols);
            rest = after;
            Matrix::new(block.n_rows, block.cols, Numbers::F32(numbers.to_vec()))
        });
        let matrices = matrices.collect();
        Self::checked(kind, hidden, matrices)
    }

    /// All zeros: as a user's head exactly the prior head, whatever the kind but [`Kind::TwoLayer`].
    ///
    /// # Errors
    /// [`WeightsError::Empty`] if a dimension is zero.
    pub fn zeros(kind: Kind, hidden: usize) -> Result<Self, WeightsError> {
        Self::from_parameters(kind, hidden, &vec![0.0; kind.parameters(hidden)])
    }

    /// What these weights compute.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The width of the features that they take.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// What most of the numbers are stored in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.matrices[0].precision()
    }

    /// Bytes of all numbers in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.matrices.iter().map(Matrix::bytes).sum()
    }

    /// The same weights in another precision, each number within [`Precision::bound`].
    #[must_use]
    pub fn to_precision(&self, precision: Precision) -> Self {
        let blocks = self.kind.blocks(self.hidden);
        let matrices = self
            .matrices
            .iter()
            .zip(blocks)
            .map(|(matrix, block)| if block.compresses { matrix.to_precision(precision) } else { matrix.clone() });
        Self { matrices: matrices.collect(), ..*self }
    }

    /// Every number as `f32`, matrix after matrix and row after row, in the order of the constructor's arguments.
    #[must_use]
    pub fn parameters(&self) -> Vec<f32> {
        let mut parameters = Vec::with_capacity(self.kind.parameters(self.hidden));
        for matrix in &self.matrices {
            matrix.extend_f32(&mut parameters);
        }
        parameters
    }

    /// Weights from a kind's list of matrices.
    ///
    /// # Errors
    /// [`WeightsError`] if the list is not that of the kind, a dimension is zero or a number is not finite.
    pub(crate) fn checked(kind: Kind, hidden: usize, matrices: Vec<Matrix>) -> Result<Self, WeightsError> {
        let blocks = kind.blocks(hidden);
        for (matrix, block) in matrices.iter().zip(&blocks) {
            if block.n_rows == 0 || block.cols == 0 {
                return Err(WeightsError::Empty);
            }
            for (what, expected, got) in
                [("columns", block.cols, matrix.cols()), ("rows", block.n_rows, matrix.n_rows())]
            {
                if expected != got {
                    return Err(WeightsError::Width { what, expected, got });
                }
            }
            if !matrix.is_finite() {
                return Err(WeightsError::NonFinite);
            }
        }
        Ok(Self { kind, hidden, matrices })
    }

    pub(crate) fn matrices(&self) -> &[Matrix] {
        &self.matrices
    }

    /// Replaces every number of weights that are in `f32`.
    pub(crate) fn set_parameters(&mut self, parameters: &[f32]) {
        let mut rest = parameters;
        for matrix in &mut self.matrices {
            let (numbers, after) = rest.split_at(matrix.len());
            matrix.as_f32_mut().copy_from_slice(numbers);
            rest = after;
        }
    }

    /// Writes the log-odds of the job's rows to `job.out`; the inner layer stays in the job for [`gradient`](Self::gradient).
    pub(crate) fn log_odds(&self, job: &mut Job<'_>) {
        match self.kind {
            Kind::TwoLayer { .. } => two_layer::log_odds(self, job),
            Kind::Linear => linear::log_odds(self, job),
            Kind::LowRank { .. } => low_rank::log_odds(self, job),
            Kind::Routing { .. } => facets::log_odds(self, job),
            Kind::Facets { .. } => unreachable!("facets are shared and no user's head: `Shared::head` refuses them"),
        }
    }

    /// Adds `Σᵢ dᵢ ∂(log-odds of row i)/∂θ` to `gradient`, in the order of [`parameters`](Self::parameters).
    ///
    /// `job` is as [`log_odds`](Self::log_odds) left it, and is used up.
    pub(crate) fn gradient(&self, job: &mut Job<'_>, d: &[f32], gradient: &mut [f32]) {
        match self.kind {
            Kind::TwoLayer { .. } => two_layer::gradient(self, job, d, gradient),
            Kind::Linear => linear::gradient(job, d, gradient),
            Kind::LowRank { .. } => low_rank::gradient(self, job, d, gradient),
            Kind::Routing { .. } => facets::gradient(job, d, gradient),
            Kind::Facets { .. } => unreachable!("facets are shared and no user's head: `Shared::head` refuses them"),
        }
    }
}

/// Numbers that are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A dimension is zero.
    #[error("a head needs at least one row and one column in every matrix")]
    Empty,
    /// Two parts do not fit together.
    #[error("a head's {what} do not fit together: expected {expected}, got {got}")]
    Width {
        /// What was counted.
        what: &'static str,
        /// As the other parts say.
        expected: usize,
        /// As given.
        got: usize,
    },
    /// NaN or infinity.
    #[error("a head's numbers are finite: drop this head and fit it again")]
    NonFinite,
}

fn from_array(array: &ArrayRef2<f32>) -> Matrix {
    let (n_rows, cols) = array.dim();
    Matrix::new(n_rows, cols, Numbers::F32(array.iter().copied().collect()))
}

fn from_slice(row: &[f32]) -> Matrix {
    Matrix::new(1, row.len(), Numbers::F32(row.to_vec()))
}
