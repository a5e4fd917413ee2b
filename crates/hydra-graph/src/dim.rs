//! The size of one axis: a number, or a name for a number that is known when the model runs.

use std::fmt;
use std::sync::Arc;

/// The size of one axis of a tensor.
///
/// Two axes with the same symbol have the same size and two axes with different symbols are taken to differ, so a
/// shape error is found when the graph is built and not when it runs. Operators that join axes name the result by a
/// canonical expression, which [`Dim::sum`] and [`Dim::product`] also make: the axis that `Concat` makes of `past` and
/// `seq` is `past+seq`, and a mask that covers both is declared with that same dim.
///
/// ```
/// use hydra_graph::Dim;
///
/// let (past, seq) = (Dim::symbolic("past"), Dim::symbolic("seq"));
/// assert_eq!(seq.sum(&past).to_string(), "past+seq");
/// assert_eq!(seq.product(&Dim::Fixed(12)).to_string(), "seq*12");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// Known when the graph is built.
    Fixed(usize),
    /// Known when the graph runs.
    Symbolic(Arc<str>),
}

impl Dim {
    /// A size that is known when the graph runs, named `name`.
    #[must_use]
    pub fn symbolic(name: impl Into<Arc<str>>) -> Self {
        Self::Symbolic(name.into())
    }

    /// The number, if it is known.
    #[must_use]
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Symbolic(_) => None,
        }
    }

    /// The size of two axes joined end to end: terms in the order of their names, the known part last (at most
    /// `usize::MAX`, which no tensor has).
    #[must_use]
    pub fn sum(&self, other: &Self) -> Self {
        let mut known = 0_usize;
        let mut terms: Vec<&str> = Vec::new();
        for dim in [self, other] {
            match dim {
                Self::Fixed(size) => known = known.saturating_add(*size),
                Self::Symbolic(name) => {
                    for term in split(name, '+') {
                        match term.parse::<usize>() {
                            Ok(size) => known = known.saturating_add(size),
                            Err(_) => terms.push(term),
                        }
                    }
                }
            }
        }
        terms.sort_unstable();
        join(terms.iter().map(ToString::to_string).collect(), known, 0, "+")
    }

    /// The size of two axes merged into one: factors in the order of their names, the known part last (at most
    /// `usize::MAX`, which no tensor has).
    #[must_use]
    pub fn product(&self, other: &Self) -> Self {
        Factors::of([self, other]).dim()
    }

    /// `self / other`, if that is certain to be a whole number.
    pub(crate) fn quotient(from: &[Self], by: &[Self]) -> Option<Self> {
        let (mut numerator, denominator) = (Factors::of(from), Factors::of(by));
        for name in denominator.names {
            let at = numerator.names.iter().position(|other| *other == name)?;
            numerator.names.remove(at);
        }
        if denominator.known == 0 || !numerator.known.is_multiple_of(denominator.known) {
            return None;
        }
        numerator.known /= denominator.known;
        Some(numerator.dim())
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::symbolic(name)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbolic(name) => f.write_str(name),
        }
    }
}

/// A product as its known part and its named factors.
struct Factors {
    known: usize,
    names: Vec<String>,
}

impl Factors {
    fn of<'d>(dims: impl IntoIterator<Item = &'d Dim>) -> Self {
        let (mut known, mut names) = (1_usize, Vec::new());
        for dim in dims {
            match dim {
                Dim::Fixed(size) => known = known.saturating_mul(*size),
                Dim::Symbolic(name) if split(name, '+').len() > 1 => names.push(format!("({name})")),
                Dim::Symbolic(name) => {
                    for factor in split(name, '*') {
                        match factor.parse::<usize>() {
                            Ok(size) => known = known.saturating_mul(size),
                            Err(_) => names.push(factor.to_owned()),
                        }
                    }
                }
            }
        }
        names.sort_unstable();
        Self { known, names }
    }

    fn dim(self) -> Dim {
        if self.known == 0 {
            return Dim::Fixed(0);
        }
        if let ([only], 1) = (self.names.as_slice(), self.known) {
            let inner = only.strip_prefix('(').and_then(|name| name.strip_suffix(')'));
            return Dim::symbolic(inner.unwrap_or(only));
        }
        join(self.names, self.known, 1, "*")
    }
}

/// Names and the known part in one dim; the known part is left out where it changes nothing.
fn join(mut names: Vec<String>, known: usize, neutral: usize, sign: &str) -> Dim {
    if names.is_empty() {
        return Dim::Fixed(known);
    }
    if known != neutral {
        names.push(known.to_string());
    }
    Dim::symbolic(names.join(sign))
}

/// The parts of an expression between the `sign`s that are outside parentheses.
fn split(name: &str, sign: char) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, character) in name.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if character == sign && depth == 0 => {
                parts.push(&name[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&name[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_do_not_depend_on_the_order_of_their_parts() {
        let (a, b, two) = (Dim::from("a"), Dim::from("b"), Dim::Fixed(2));
        for (left, right, expected) in [
            (a.sum(&b).sum(&two), two.sum(&b.sum(&a)), "a+b+2"),
            (b.product(&a).product(&two), a.product(&two).product(&b), "a*b*2"),
            (a.sum(&b).product(&two), two.product(&b.sum(&a)), "(a+b)*2"),
            (two.product(&Dim::Fixed(3)), Dim::Fixed(3).sum(&Dim::Fixed(3)), "6"),
            (a.product(&Dim::Fixed(1)), a.sum(&Dim::Fixed(0)), "a"),
            (a.product(&Dim::Fixed(0)), Dim::Fixed(0), "0"),
            (a.sum(&b).product(&Dim::Fixed(1)), b.sum(&a), "a+b"),
        ] {
            assert_eq!(left, right);
            assert_eq!(left.to_string(), expected);
        }
    }

    #[test]
    fn a_quotient_exists_only_where_it_is_certain() {
        let (a, b) = (Dim::from("a"), Dim::from("b"));
        let check = |from: &[Dim], by: &[Dim], expected: Option<&str>| {
            assert_eq!(Dim::quotient(from, by).map(|dim| dim.to_string()).as_deref(), expected);
        };
        check(&[a.clone(), b.clone(), Dim::Fixed(6)], &[a.clone(), Dim::Fixed(2)], Some("b*3"));
        check(&[a.sum(&b), Dim::Fixed(4)], &[Dim::Fixed(4)], Some("a+b"));
        check(std::slice::from_ref(&a), std::slice::from_ref(&a), Some("1"));
        check(std::slice::from_ref(&a), std::slice::from_ref(&b), None);
        check(&[Dim::Fixed(7)], &[Dim::Fixed(2)], None);
    }
}
