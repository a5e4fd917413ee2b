//! A body whose features are made once.

use std::collections::HashMap;

use hydra_types::ndarray::{Array2, ArrayView1};
use hydra_types::{Body, Fingerprint, PairFeatures};

/// Remembers what a body made of each pair: an experiment asks for the same pairs by many methods.
///
/// What is remembered tells about the texts. In an experiment all users are the experimenter's; nothing that serves people
/// may do this.
pub(super) struct Remembered<B> {
    body: B,
    /// Features, and how many tokens were cut off.
    made: HashMap<(String, String), (Vec<f32>, usize)>,
}

impl<B: Body> Remembered<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, made: HashMap::new() }
    }
}

impl<B: Body> Body for Remembered<B> {
    type Error = B::Error;

    fn fingerprint(&self) -> Fingerprint {
        self.body.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.body.hidden()
    }

    fn rows_interact(&self) -> bool {
        self.body.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, B::Error> {
        let mut missing: Vec<(String, String)> =
            pairs.iter().filter(|pair| !self.made.contains_key(*pair)).cloned().collect();
        missing.sort_unstable();
        missing.dedup();
        let new = self.body.pair_features(&missing)?;
        for ((pair, features), cut) in missing.into_iter().zip(new.features.rows()).zip(&new.cut) {
            self.made.insert(pair, (features.to_vec(), *cut));
        }
        let mut all = PairFeatures {
            features: Array2::zeros((pairs.len(), self.hidden())),
            cut: Vec::with_capacity(pairs.len()),
            tokens: new.tokens,
        };
        for (mut row, pair) in all.features.rows_mut().into_iter().zip(pairs) {
            let (features, cut) = &self.made[pair];
            row.assign(&ArrayView1::from(features));
            all.cut.push(*cut);
        }
        Ok(all)
    }
}
