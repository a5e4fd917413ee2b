//! Which features of prior head and own head moved a score.

use hydra_heads::{Features, HeadName, Heads, Scratch};
use hydra_types::Fingerprint;
use hydra_types::ndarray::{Array2, ArrayView1, s};

use crate::RerankError;

/// Why a record got the score that it got.
///
/// A feature's part is what the log-odds lose when that feature alone is set to zero. For linear heads that is exact,
/// up to the rounding of sums: the parts and [`baseline`](Self::baseline) add up to the score. For heads with an inner
/// layer features act together, and [`rest`](Self::rest) says how much of the score no single feature accounts for.
///
/// # Source
/// Occlusion with a baseline of zero: Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2, on features in place of
/// pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The head that scored.
    pub head: HeadName,
    /// Log-odds under that head: the reranker's score.
    pub score: f32,
    /// Log-odds under the prior head; the difference is what is personal about the score.
    pub prior: f32,
    /// Log-odds under that head with every feature at zero.
    pub baseline: f32,
    /// Every feature's part, largest effect first; equal ones by number.
    pub parts: Vec<FeaturePart>,
}

/// What one feature did to a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeaturePart {
    /// Which number of the body's features.
    pub feature: usize,
    /// Its part in the prior head's log-odds.
    pub prior: f32,
    /// Its part in what the user's own head changes about them; 0 if the head is the prior head.
    pub own: f32,
}

impl Explanation {
    /// What of the score is neither the baseline nor any single feature's part: zero up to rounding for linear heads.
    #[must_use]
    pub fn rest(&self) -> f32 {
        let parts: f32 = self.parts.iter().map(|part| part.prior + part.own).sum();
        self.score - self.baseline - parts
    }
}

/// Explains the score of one row of features, `[hidden]`.
pub(crate) fn explain<H: Heads>(
    fingerprint: Fingerprint,
    heads: &mut H,
    head: HeadName,
    row: &ArrayView1<'_, f32>,
) -> Result<Explanation, RerankError> {
    let hidden = row.len();
    // The row as it is, the row of zeros, and the row without each feature.
    let mut rows = Array2::zeros((hidden + 2, hidden));
    rows.row_mut(0).assign(row);
    rows.slice_mut(s![2.., ..]).assign(row);
    for feature in 0..hidden {
        rows[[feature + 2, feature]] = 0.0;
    }
    let features = Features::new(fingerprint, &rows)?;
    let mut log_odds = |name| {
        let mut out = vec![0.0; hidden + 2];
        heads.log_odds_into(&vec![name; hidden + 2], &features, &mut Scratch::new(), &mut out)?;
        Ok::<_, RerankError>(out)
    };
    let (own, prior) = (log_odds(head)?, log_odds(HeadName::Prior)?);
    let part = |feature| {
        let lost = |of: &[f32]| of[0] - of[feature + 2];
        FeaturePart { feature, prior: lost(&prior), own: lost(&own) - lost(&prior) }
    };
    let mut parts: Vec<FeaturePart> = (0..hidden).map(part).collect();
    let size = |part: &FeaturePart| (part.prior + part.own).abs();
    parts.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.feature.cmp(&b.feature)));
    Ok(Explanation { head, score: own[0], prior: prior[0], baseline: own[1], parts })
}
