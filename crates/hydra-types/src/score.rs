//! Scores and distances: finite, totally ordered, never mixed up.

use std::cmp::Ordering;

/// How good something is: finite, and higher is better.
///
/// A score may be compared only with scores that the same scorer made for the same query; each scorer documents its
/// range. Negative zero is stored as zero, so that equal numbers are equal scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score(f32);

impl Score {
    /// The score with this value.
    ///
    /// # Errors
    /// [`NonFinite`] if `value` is NaN or infinite.
    pub fn new(value: f32) -> Result<Self, NonFinite> {
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err(NonFinite { value }) }
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// How far apart two things are: finite, at least zero, and lower is nearer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Distance(f32);

impl Distance {
    /// The distance with this value.
    ///
    /// # Errors
    /// [`InvalidDistance`] if `value` is NaN, infinite or below zero.
    pub fn new(value: f32) -> Result<Self, InvalidDistance> {
        if value.is_finite() && value >= 0.0 { Ok(Self(value + 0.0)) } else { Err(InvalidDistance { value }) }
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl Eq for Distance {}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A thing and its score. Sorts best first; equal scores sort by id, smallest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scored<I> {
    /// What was scored.
    pub id: I,
    /// How good it is.
    pub score: Score,
}

impl<I> Scored<I> {
    /// `id` with `score`.
    #[must_use]
    pub const fn new(id: I, score: Score) -> Self {
        Self { id, score }
    }
}

impl<I: Ord> PartialOrd for Scored<I> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<I: Ord> Ord for Scored<I> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.cmp(&self.score).then_with(|| self.id.cmp(&other.id))
    }
}

/// A number that cannot be a [`Score`].
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("a score is a finite number, got {value}")]
pub struct NonFinite {
    /// What was given.
    pub value: f32,
}

/// A number that cannot be a [`Distance`].
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("a distance is a finite number and at least zero, got {value}")]
pub struct InvalidDistance {
    /// What was given.
    pub value: f32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_finite_is_no_score() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(Score::new(value).is_err());
            assert!(Distance::new(value).is_err());
        }
        assert!(Distance::new(-f32::MIN_POSITIVE).is_err());
    }

    #[test]
    fn zero_has_one_sign() {
        let (plus, minus) = (Score::new(0.0).unwrap(), Score::new(-0.0).unwrap());
        assert_eq!(plus.cmp(&minus), Ordering::Equal);
        assert_eq!(minus.get().to_bits(), 0);
        assert_eq!(Distance::new(-0.0).unwrap().get().to_bits(), 0);
    }

    proptest! {
        #[test]
        fn order_agrees_with_equality_and_with_the_numbers(a in -1e30f32..1e30, b in -1e30f32..1e30) {
            let (x, y) = (Score::new(a).unwrap(), Score::new(b).unwrap());
            prop_assert_eq!(x == y, x.cmp(&y) == Ordering::Equal);
            prop_assert_eq!(a < b, x < y);
        }

        #[test]
        fn a_ranking_does_not_depend_on_the_order_of_arrival(mut scores in prop::collection::vec(-3i8..3, 0..40)) {
            let rank = |scores: &[(usize, i8)]| {
                let mut all: Vec<_> =
                    scores.iter().map(|&(id, s)| Scored::new(id, Score::new(f32::from(s)).unwrap())).collect();
                all.sort_unstable();
                all
            };
            let forward: Vec<_> = scores.drain(..).enumerate().collect();
            let backward: Vec<_> = forward.iter().rev().copied().collect();
            prop_assert_eq!(rank(&forward), rank(&backward));
        }
    }
}
