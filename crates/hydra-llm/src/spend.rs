//! What was spent: calls, tokens, money.

use std::fmt;
use std::iter::Sum;

use crate::Usage;

/// An amount of money in millionths of a currency unit, so that a token's price is a whole number.
///
/// Which currency is the caller's business: it is that of the [`Prices`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Money(u64);

impl Money {
    /// This many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// How many millionths.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What a million tokens cost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Prices {
    /// A million tokens of prompt.
    pub prompt: Money,
    /// A million tokens of prompt that the server had read before.
    pub cached_prompt: Money,
    /// A million tokens of answer.
    pub completion: Money,
}

impl Prices {
    /// What `usage` costs, rounded up to the next millionth.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Money {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let millionths = [
            (usage.prompt_tokens - cached, self.prompt),
            (cached, self.cached_prompt),
            (usage.completion_tokens, self.completion),
        ]
        .into_iter()
        .map(|(tokens, price)| u128::from(tokens) * u128::from(price.0))
        .sum::<u128>();
        Money(u64::try_from(millionths.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// Calls, tokens and money, spent or about to be.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Spend {
    /// Calls that were made.
    pub calls: u64,
    /// Of these, calls without an answer.
    pub failed_calls: u64,
    /// Tokens, prompt and answers.
    pub usage: Usage,
    /// What they cost.
    pub cost: Money,
}

impl Spend {
    /// One call that used `usage` at these prices.
    #[must_use]
    pub fn of_call(usage: Usage, prices: &Prices) -> Self {
        Self { calls: 1, failed_calls: 0, usage, cost: prices.cost(&usage) }
    }

    /// One call that failed and may still have used `usage`.
    #[must_use]
    pub fn of_failure(usage: Usage, prices: &Prices) -> Self {
        Self { failed_calls: 1, ..Self::of_call(usage, prices) }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed_calls: self.failed_calls.saturating_add(other.failed_calls),
            usage: self.usage.plus(other.usage),
            cost: self.cost.plus(other.cost),
        }
    }
}

impl Sum for Spend {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::plus)
    }
}
