//! Features that are made once.

use std::collections::BTreeMap;

use hydra_types::ndarray::{Array2, ArrayView1};
use hydra_types::{Body, Fingerprint};
use sha2::{Digest, Sha256};

use super::FittingError;

/// Features of one user's pairs, kept by content: for refits, when feedback has arrived or labels have changed.
///
/// Keys are hashes of body, template and both texts; no text is kept. Features tell about the texts they were made of: give
/// every user a cache of their own, and drop it with their data.
#[derive(Clone, Default)]
pub struct FeatureCache {
    features: BTreeMap<[u8; 32], Vec<f32>>,
    made: usize,
    reused: usize,
}

impl FeatureCache {
    /// Without any features.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows of features the body had to make.
    #[must_use]
    pub fn made(&self) -> usize {
        self.made
    }

    /// How many rows were wanted and were there already.
    #[must_use]
    pub fn reused(&self) -> usize {
        self.reused
    }

    /// Features of all pairs; the body sees each pair once.
    ///
    /// # Shapes
    /// - returns: `[pairs, hidden]`
    pub(super) fn features<B: Body>(
        &mut self,
        body: &mut B,
        features_of: Fingerprint,
        pairs: &[(String, String)],
    ) -> Result<Array2<f32>, FittingError> {
        let keys: Vec<[u8; 32]> = pairs.iter().map(|pair| key(features_of, pair)).collect();
        let missing: BTreeMap<[u8; 32], usize> = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !self.features.contains_key(*key))
            .map(|(place, key)| (*key, place))
            .collect();
        // In the order of the pairs, whatever their hashes.
        let mut places: Vec<usize> = missing.values().copied().collect();
        places.sort_unstable();
        if !places.is_empty() {
            let new: Vec<_> = places.iter().map(|&place| pairs[place].clone()).collect();
            let made = body.pair_features(&new).map_err(|error| FittingError::Body(Box::new(error)))?;
            made.check(new.len(), body.hidden())?;
            for (row, &place) in made.features.rows().into_iter().zip(&places) {
                self.features.insert(keys[place], row.to_vec());
            }
        }
        self.made += places.len();
        self.reused += pairs.len() - places.len();
        let mut all = Array2::zeros((pairs.len(), body.hidden()));
        for (mut row, key) in all.rows_mut().into_iter().zip(&keys) {
            row.assign(&ArrayView1::from(&self.features[key]));
        }
        Ok(all)
    }
}

impl std::fmt::Debug for FeatureCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { features, made, reused } = self;
        f.debug_struct("FeatureCache")
            .field("rows", &features.len())
            .field("made", made)
            .field("reused", reused)
            .finish()
    }
}

fn key(features_of: Fingerprint, (first, second): &(String, String)) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"hydra pair");
    hash.update(features_of.as_bytes());
    hash.update((first.len() as u64).to_le_bytes());
    hash.update(first);
    hash.update(second);
    hash.finalize().into()
}
