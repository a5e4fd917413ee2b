//! Isotonic regression.

/// A rising curve through the centres of blocks, straight between them, flat outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    /// `(score, probability)`, both rising; never empty.
    knots: Vec<(f64, f64)>,
}

/// Neighbouring rows that share one probability.
#[derive(Clone, Copy)]
struct Block {
    rows: f64,
    scores: f64,
    right: f64,
}

impl Steps {
    /// The rising curve with the least squared error on `rows`, by pooling adjacent violators. Rows must not be empty.
    ///
    /// Each block counts one right and one wrong row more than it holds, in the proportion of the whole, so that no
    /// probability is ever exactly 0 or 1 on the word of a few rows.
    ///
    /// # Source
    /// Barlow et al., *Statistical Inference under Order Restrictions* (1972); for probabilities, Zadrozny and Elkan
    /// (2002). **Differs:** straight lines between the blocks' centres, and the smoothing of each block.
    pub(super) fn fit(mut rows: Vec<(f64, bool)>) -> Self {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let blocks = pool(&rows);
        let total: Block = blocks.iter().copied().reduce(Block::merged).expect("there is a row");
        let base = (total.right + 1.0) / (total.rows + 2.0);
        let knots =
            blocks.iter().map(|block| (block.scores / block.rows, (block.right + base) / (block.rows + 1.0))).collect();
        Self { knots: rising(knots) }
    }

    /// The probability at `score`.
    pub(super) fn at(&self, score: f64) -> f64 {
        let above = self.knots.partition_point(|&(knot, _)| knot <= score);
        match (above.checked_sub(1).map(|below| self.knots[below]), self.knots.get(above)) {
            (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * ((score - x0) / (x1 - x0)),
            (Some((_, y)), None) | (None, Some(&(_, y))) => y,
            (None, None) => unreachable!("a curve has a knot"),
        }
    }
}

impl Block {
    fn mean(self) -> f64 {
        self.right / self.rows
    }

    fn merged(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, scores: self.scores + other.scores, right: self.right + other.right }
    }
}

/// Pools rows, sorted by score, until means rise strictly. Rows of equal score are one block from the start.
fn pool(rows: &[(f64, bool)]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for same in rows.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let one = |&(score, label): &(f64, bool)| Block { rows: 1.0, scores: score, right: f64::from(u8::from(label)) };
        let mut block = same.iter().map(one).reduce(Block::merged).expect("a chunk has a row");
        while let Some(last) = blocks.pop_if(|last| last.mean() >= block.mean()) {
            block = last.merged(block);
        }
        blocks.push(block);
    }
    blocks
}

/// Smoothing pulls small blocks more than large ones and may bend the curve down: carry the highest value on.
fn rising(mut knots: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut highest = 0.0_f64;
    for (_, probability) in &mut knots {
        highest = highest.max(*probability);
        *probability = highest;
    }
    knots
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The least-squares rising fit has a closed form: `max over j <= i of min over k >= i of mean(j..=k)`.
        #[test]
        fn pooling_agrees_with_the_closed_form(labels in prop::collection::vec(any::<bool>(), 1..40)) {
            let rows: Vec<(f64, bool)> = labels.iter().enumerate().map(|(i, &label)| (i as f64, label)).collect();
            let mean = |j: usize, k: usize| {
                labels[j..=k].iter().filter(|&&label| label).count() as f64 / (k - j + 1) as f64
            };
            let (mut fitted, mut before) = (Vec::new(), 0.0);
            for block in pool(&rows) {
                while (fitted.len() as f64) < block.rows + before {
                    fitted.push(block.mean());
                }
                before += block.rows;
            }
            for (i, got) in fitted.into_iter().enumerate() {
                let lowest = |j: usize| (i..labels.len()).map(|k| mean(j, k)).fold(f64::INFINITY, f64::min);
                let expected = (0..=i).map(lowest).fold(f64::NEG_INFINITY, f64::max);
                prop_assert!((got - expected).abs() < 1e-12, "row {i}: {got} instead of {expected}");
            }
        }

        #[test]
        fn the_curve_rises_and_is_a_probability(rows in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 1..60)) {
            let steps = Steps::fit(rows);
            let values: Vec<f64> = (0..=100).map(|i| steps.at(f64::from(i) / 100.0)).collect();
            prop_assert!(values.iter().all(|p| (0.0..=1.0).contains(p)));
            prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
