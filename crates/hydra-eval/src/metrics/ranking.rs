//! Rankings against judgements, as trec_eval does it.

use std::collections::BTreeMap;

/// What is known about one query: a grade for some of the items. Above zero is relevant; an item without a grade is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgements {
    grades: BTreeMap<String, i32>,
}

impl Judgements {
    /// Grades by item. Of two grades of one item the later counts.
    pub fn new(grades: impl IntoIterator<Item = (String, i32)>) -> Self {
        Self { grades: grades.into_iter().collect() }
    }

    fn grade(&self, item: &str) -> i32 {
        self.grades.get(item).copied().unwrap_or(0)
    }

    fn relevant(&self) -> usize {
        self.grades.values().filter(|grade| **grade > 0).count()
    }
}

/// One ranking for one query, judged: the grades of its items, best item first.
///
/// Every metric is in `[0, 1]`, higher is better, and 0 for a query without relevant items.
///
/// ```
/// use hydra_eval::{Judgements, Ranking};
///
/// let judgements = Judgements::new([("a".to_owned(), 2), ("b".to_owned(), 1)]);
/// let ranking = Ranking::new(&judgements, [("x".to_owned(), 0.9), ("a".to_owned(), 0.8)]);
/// assert_eq!(ranking.reciprocal_rank(), 0.5);
/// assert_eq!(ranking.precision(2), 0.5);
/// assert_eq!(ranking.recall(2), 0.5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    grades: Vec<i32>,
    /// Grades above zero of all judged items, highest first.
    ideal: Vec<i32>,
    relevant: usize,
}

impl Ranking {
    /// Ranks items by score, highest first; ties by item, the one that is last in byte order first.
    ///
    /// That tie rule is trec_eval's: it cannot be gamed by the order in which a system lists its results. A score that is
    /// not a number ranks last.
    pub fn new(judgements: &Judgements, scored: impl IntoIterator<Item = (String, f32)>) -> Self {
        let mut scored: Vec<(String, f32)> = scored.into_iter().collect();
        let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 };
        scored.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)).then_with(|| b.0.cmp(&a.0)));
        let mut ideal: Vec<i32> = judgements.grades.values().copied().filter(|grade| *grade > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            grades: scored.iter().map(|(item, _)| judgements.grade(item)).collect(),
            ideal,
            relevant: judgements.relevant(),
        }
    }

    /// The normalised discounted cumulative gain of the first `k` items, with the grade itself as gain.
    ///
    /// # Source
    /// Järvelin and Kekäläinen (2002), with the discount `log2(rank + 1)`, as `ndcg_cut` of trec_eval.
    /// **Differs** from the variant with gain `2^grade - 1`, which gives other numbers.
    #[must_use]
    pub fn ndcg(&self, k: usize) -> f64 {
        let ideal = discounted(&self.ideal, k);
        if ideal == 0.0 { 0.0 } else { discounted(&self.grades, k) / ideal }
    }

    /// One over the rank of the first relevant item; 0 if there is none.
    #[must_use]
    pub fn reciprocal_rank(&self) -> f64 {
        self.grades.iter().position(|&grade| grade > 0).map_or(0.0, |index| 1.0 / (index + 1) as f64)
    }

    /// The mean, over all relevant items, of the precision at each one's rank; 0 for those that were not found.
    #[must_use]
    pub fn average_precision(&self) -> f64 {
        let (mut found, mut sum) = (0.0, 0.0);
        for (index, _) in self.grades.iter().enumerate().filter(|(_, grade)| **grade > 0) {
            found += 1.0;
            sum += found / (index + 1) as f64;
        }
        if self.relevant == 0 { 0.0 } else { sum / self.relevant as f64 }
    }

    /// The share of the first `k` places that hold a relevant item; missing places count as misses.
    ///
    /// # Panics
    /// If `k` is zero.
    #[must_use]
    pub fn precision(&self, k: usize) -> f64 {
        assert!(k > 0, "at least one place");
        self.hits(k) / k as f64
    }

    /// The share of relevant items that are among the first `k`.
    #[must_use]
    pub fn recall(&self, k: usize) -> f64 {
        if self.relevant == 0 { 0.0 } else { self.hits(k) / self.relevant as f64 }
    }

    fn hits(&self, k: usize) -> f64 {
        self.grades.iter().take(k).filter(|grade| **grade > 0).count() as f64
    }
}

/// Grades below zero gain nothing.
fn discounted(grades: &[i32], k: usize) -> f64 {
    let gain = |(index, &grade): (usize, &i32)| f64::from(grade.max(0)) / ((index + 2) as f64).log2();
    grades.iter().take(k).enumerate().map(gain).sum()
}
