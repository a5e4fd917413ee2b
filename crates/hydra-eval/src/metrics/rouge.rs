//! ROUGE.

use std::collections::BTreeMap;

/// How much two texts share, seen from both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// The share of the prediction that is in the reference.
    pub precision: f64,
    /// The share of the reference that is in the prediction.
    pub recall: f64,
}

impl Overlap {
    /// The harmonic mean of both, which is what is reported as ROUGE: in `[0, 1]`, higher is better.
    #[must_use]
    pub fn f1(self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }

    fn of(shared: usize, predicted: usize, reference: usize) -> Self {
        let share = |total: usize| shared as f64 / total.max(1) as f64;
        Self { precision: share(predicted), recall: share(reference) }
    }
}

/// ROUGE-N: shared runs of `n` words, each counted as often as both texts have it.
///
/// Words are runs of `a-z` and `0-9` of the lower-cased text: everything else separates, so a text in another script has
/// no words and scores 0. No stemming.
///
/// # Panics
/// If `n` is zero.
///
/// # Source
/// Lin (2004), as the package rouge-score 0.1.2 computes it with `use_stemmer=False`, which is what LaMP reports.
#[must_use]
pub fn rouge_n(reference: &str, prediction: &str, n: usize) -> Overlap {
    assert!(n > 0, "at least one word");
    let (reference, prediction) = (words(reference), words(prediction));
    let (expected, got) = (counts(&reference, n), counts(&prediction, n));
    let shared = expected.iter().map(|(run, count)| (*count).min(got.get(run).copied().unwrap_or(0))).sum();
    Overlap::of(shared, got.values().sum(), expected.values().sum())
}

/// ROUGE-L: the longest sequence of words that both texts have in this order, gaps allowed.
///
/// Words are those of [`rouge_n`]. The whole text is one sequence: sentences are not told apart.
///
/// # Source
/// Lin (2004), as the package rouge-score 0.1.2 computes `rougeL` with `use_stemmer=False`.
#[must_use]
pub fn rouge_l(reference: &str, prediction: &str) -> Overlap {
    let (reference, prediction) = (words(reference), words(prediction));
    Overlap::of(longest_common_subsequence(&reference, &prediction), prediction.len(), reference.len())
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let separates = |c: char| !matches!(c, 'a'..='z' | '0'..='9');
    lower.split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn counts(words: &[String], n: usize) -> BTreeMap<&[String], usize> {
    let mut counts = BTreeMap::new();
    for run in words.windows(n) {
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

/// Length of the longest common subsequence, one row of the table at a time.
fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for one in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if one == other { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}
