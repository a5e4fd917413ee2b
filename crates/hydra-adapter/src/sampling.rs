//! Asking for no more candidates than are needed.

use crate::{AdaptError, Adapted};

/// What to do after some candidates were weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Another candidate may still change the outcome: ask for one.
    More,
    /// It is decided, or all have been drawn.
    Stop,
}

/// Decides from the standings so far whether another candidate is worth its tokens.
pub trait StopPolicy {
    /// What to do after `drawn` of at most `most` candidates; `drawn` is at least 1 and less than `most`.
    fn next(&self, so_far: &Adapted, drawn: usize, most: usize) -> Next;
}

impl<P: StopPolicy + ?Sized> StopPolicy for &P {
    fn next(&self, so_far: &Adapted, drawn: usize, most: usize) -> Next {
        (**self).next(so_far, drawn, most)
    }
}

/// Stops when the best candidate's score is far enough above the second best's; if all candidates so far are one text,
/// when it is that far above 0, even odds. For adapters whose scores are log-odds.
///
/// It may miss a better candidate that was not drawn yet: the larger the margin, the rarer. Choose it where held-out
/// queries lose no quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginStop {
    least: usize,
    margin: f32,
}

impl MarginStop {
    /// Stops at this margin of log-odds, but not before `least` candidates.
    ///
    /// # Errors
    /// [`AdaptError::Margin`] if the margin is below 0 or not a number; infinity never stops.
    pub fn new(least: usize, margin: f32) -> Result<Self, AdaptError> {
        if margin >= 0.0 { Ok(Self { least, margin }) } else { Err(AdaptError::Margin { margin }) }
    }
}

impl StopPolicy for MarginStop {
    fn next(&self, so_far: &Adapted, drawn: usize, _most: usize) -> Next {
        let best = so_far.standings()[0].score.get();
        let second = so_far.standings().get(1).map_or(0.0, |standing| standing.score.get());
        if drawn >= self.least && best - second >= self.margin { Next::Stop } else { Next::More }
    }
}

/// Stops when no candidate still to come can change who wins the majority: exact, the pick is always the one of the full
/// vote. For [`MajorityVote`](crate::MajorityVote).
#[derive(Clone, Copy, Debug, Default)]
pub struct VoteStop;

impl StopPolicy for VoteStop {
    fn next(&self, so_far: &Adapted, drawn: usize, most: usize) -> Next {
        let left = most - drawn;
        let (leader, others) = so_far.standings().split_first().expect("there is a candidate");
        // A text that was not seen yet stands behind the leader, so that it must have more votes.
        let safe_from_new = left <= leader.count;
        let safe = others.iter().all(|other| {
            let at_most = other.count + left;
            at_most < leader.count || (at_most == leader.count && leader.candidate < other.candidate)
        });
        if safe_from_new && safe { Next::Stop } else { Next::More }
    }
}

/// Candidates as they are drawn, and what it took. It asks nobody itself: whoever talks to the language model, blocking or
/// async, goes round the loop.
///
/// ```
/// use hydra_adapter::{AdaptRequest, Adapter, MajorityVote, Next, Sampling, VoteStop};
/// use hydra_heads::HeadChoice;
/// use hydra_types::{Scope, UserId};
///
/// let mut model = ["drama", "comedy", "drama", "drama", "drama", "horror", "drama", "comedy"].into_iter();
/// let scope = Scope::acting_for(UserId::new(1));
/// let mut sampling = Sampling::new(8);
/// let best = loop {
///     sampling.push(model.next().unwrap(), 3);
///     let request = AdaptRequest {
///         scope: &scope, head: HeadChoice::Prior, query: "a tag?", history: &[], candidates: sampling.candidates(),
///     };
///     let adapted = MajorityVote.adapt(&[request])?.remove(0);
///     if sampling.next(&VoteStop, &adapted) == Next::Stop {
///         break adapted.best();
///     }
/// };
/// assert_eq!(sampling.candidates()[best], "drama");
/// assert_eq!((sampling.cost().drawn, sampling.cost().tokens_saved), (5, 9));
/// # Ok::<(), hydra_adapter::AdaptError>(())
/// ```
#[derive(Clone)]
pub struct Sampling {
    most: usize,
    candidates: Vec<String>,
    tokens: u64,
}

/// What drawing candidates took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingCost {
    /// How many candidates were drawn.
    pub drawn: usize,
    /// How many would have been drawn at most.
    pub most: usize,
    /// Tokens of the candidates that were drawn.
    pub tokens: u64,
    /// Tokens of those that were not: estimated, the mean of the drawn ones for each.
    pub tokens_saved: u64,
}

impl Sampling {
    /// No candidate yet, and at most `most` of them.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, candidates: Vec::new(), tokens: 0 }
    }

    /// Adds a candidate that took this many tokens.
    pub fn push(&mut self, candidate: impl Into<String>, tokens: u64) {
        self.candidates.push(candidate.into());
        self.tokens += tokens;
    }

    /// All candidates so far, in the order of arrival.
    #[must_use]
    pub fn candidates(&self) -> &[String] {
        &self.candidates
    }

    /// What to do now that the candidates so far were weighed.
    pub fn next(&self, policy: &impl StopPolicy, so_far: &Adapted) -> Next {
        let drawn = self.candidates.len();
        if drawn >= self.most { Next::Stop } else { policy.next(so_far, drawn, self.most) }
    }

    /// What it took so far.
    #[must_use]
    pub fn cost(&self) -> SamplingCost {
        let drawn = self.candidates.len();
        let not_drawn = self.most.saturating_sub(drawn) as u64;
        let tokens_saved = if drawn == 0 { 0 } else { self.tokens * not_drawn / drawn as u64 };
        SamplingCost { drawn, most: self.most, tokens: self.tokens, tokens_saved }
    }
}

impl std::fmt::Debug for Sampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sampling").field("cost", &self.cost()).finish_non_exhaustive()
    }
}
