//! Adapters that know nobody: what a personal one has to beat at equal cost.

use hydra_types::Score;

use crate::request::{Distinct, distinct};
use crate::{AdaptError, AdaptRequest, Adapted, Adapter, Standing};

/// Picks the candidate that the language model proposed most often.
///
/// # Scores
/// The share of the candidates that are this text: above 0, at most 1, higher is better; comparable among requests with
/// as many candidates. The [confidence](Adapted::confidence) is the winner's share.
///
/// # Source
/// Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning", arXiv:2203.11171, section 2, unweighted.
#[derive(Clone, Copy, Debug, Default)]
pub struct MajorityVote;

/// Picks the candidate that came first, as if only one had been asked for.
///
/// # Scores
/// 1 for the first candidate and 0 for all others. The [confidence](Adapted::confidence) is the share of the candidates
/// that are its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstCandidate;

impl Adapter for MajorityVote {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        by(requests, |_, share| share)
    }
}

impl Adapter for FirstCandidate {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        by(requests, |seen, _| if seen.candidate == 0 { 1.0 } else { 0.0 })
    }
}

/// Scores from where a candidate stands and from its share of all.
fn by(requests: &[AdaptRequest<'_>], score: impl Fn(Distinct, f32) -> f32) -> Result<Vec<Adapted>, AdaptError> {
    let adapted = |(request, seen): (&AdaptRequest<'_>, Vec<Distinct>)| {
        let share = |count: usize| count as f32 / request.candidates.len() as f32;
        let standing = |seen: Distinct| Standing {
            candidate: seen.candidate,
            count: seen.count,
            score: Score::new(score(seen, share(seen.count))).expect("a share is finite"),
            cut: 0,
        };
        Adapted::new(seen.into_iter().map(standing).collect(), |best| share(best.count))
    };
    Ok(requests.iter().zip(distinct(requests)?).map(adapted).collect())
}
