//! What turns pairs of texts into features.

use std::collections::BTreeMap;

use ndarray::{Array2, Axis};

use crate::{Fingerprint, UserId};

/// The shared encoder, as those see it who only need its features: pairs of texts in, one vector a pair out.
///
/// `hydra-onnx` implements it for its encoder. It is a trait because training, ranking and choosing must be testable
/// without a model, and because features may come from a server.
pub trait Body {
    /// Why features could not be made.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Which body.
    fn fingerprint(&self) -> Fingerprint;

    /// How many numbers the features of a pair have.
    fn hidden(&self) -> usize;

    /// Whether the features of a pair depend, beyond the rounding of sums, on which other pairs are in the same call.
    fn rows_interact(&self) -> bool;

    /// Features of pairs of texts, in the order of the pairs.
    ///
    /// # Shapes
    /// - returns: `features`: `[pairs, hidden]`, finite; `cut`: `[pairs]`
    ///
    /// # Errors
    /// Whatever keeps it from encoding one of the pairs; nothing is then returned of any.
    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error>;

    /// As [`pair_features`](Self::pair_features), for pairs of several users: where rows interact, pairs of different
    /// users never go into one call, so that nobody's features tell anything about anybody else.
    ///
    /// # Shapes
    /// - `owners`: one for each pair
    ///
    /// # Errors
    /// As [`pair_features`](Self::pair_features).
    ///
    /// # Panics
    /// If there are not as many owners as pairs.
    fn pair_features_of(&mut self, owners: &[UserId], pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        assert_eq!(owners.len(), pairs.len(), "one owner for each pair");
        if !self.rows_interact() {
            return self.pair_features(pairs);
        }
        let mut places: BTreeMap<UserId, Vec<usize>> = BTreeMap::new();
        for (place, &owner) in owners.iter().enumerate() {
            places.entry(owner).or_default().push(place);
        }
        let mut all = PairFeatures {
            features: Array2::zeros((pairs.len(), self.hidden())),
            cut: vec![0; pairs.len()],
            ..PairFeatures::default()
        };
        for places in places.into_values() {
            let own: Vec<_> = places.iter().map(|&place| pairs[place].clone()).collect();
            let made = self.pair_features(&own)?;
            if made.check(own.len(), self.hidden()).is_err() {
                // No row of it can be told whose it is. The caller's own check sees that nothing was made.
                return Ok(PairFeatures::default());
            }
            for (row, &place) in places.iter().enumerate() {
                all.features.index_axis_mut(Axis(0), place).assign(&made.features.row(row));
                all.cut[place] = made.cut[row];
            }
            all.tokens += made.tokens;
        }
        Ok(all)
    }
}

macro_rules! through_a_pointer {
    ($($pointer:ty),+) => {$(
        impl<B: Body + ?Sized> Body for $pointer {
            type Error = B::Error;

            fn fingerprint(&self) -> Fingerprint {
                (**self).fingerprint()
            }

            fn hidden(&self) -> usize {
                (**self).hidden()
            }

            fn rows_interact(&self) -> bool {
                (**self).rows_interact()
            }

            fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
                (**self).pair_features(pairs)
            }
        }
    )+};
}

through_a_pointer!(&mut B, Box<B>);

/// Features of some pairs of texts, and what was left out of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairFeatures {
    /// `[pairs, hidden]`, row-major and finite.
    pub features: Array2<f32>,
    /// `[pairs]`: how many tokens of each pair were cut off because they did not fit; 0 means that all was read.
    pub cut: Vec<usize>,
    /// How many tokens were read in all.
    pub tokens: usize,
}

/// What a body made is not what [`Body::pair_features`] promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "the body made {rows} rows of {columns} numbers and {counts} counts of cut tokens for {pairs} pairs: make one row of {hidden} numbers and one count for each pair"
)]
pub struct PairFeaturesError {
    /// How many pairs it was given.
    pub pairs: usize,
    /// How many numbers the features of a pair have.
    pub hidden: usize,
    /// Rows of `features`.
    pub rows: usize,
    /// Columns of `features`.
    pub columns: usize,
    /// Numbers in `cut`.
    pub counts: usize,
}

impl PairFeatures {
    /// Whether there is one row and one count for each pair: asked by whoever pairs them up again with users.
    ///
    /// # Errors
    /// [`PairFeaturesError`] if there are more or fewer, or rows are not `hidden` wide.
    pub fn check(&self, pairs: usize, hidden: usize) -> Result<(), PairFeaturesError> {
        let ((rows, columns), counts) = (self.features.dim(), self.cut.len());
        if (rows, counts) == (pairs, pairs) && (columns == hidden || pairs == 0) {
            return Ok(());
        }
        Err(PairFeaturesError { pairs, hidden, rows, columns, counts })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Features that say how many pairs were in the call, as a body with one scale a batch would leak it.
    struct Leaky {
        calls: Vec<usize>,
    }

    impl Body for Leaky {
        type Error = Infallible;

        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::new([1; 32])
        }

        fn hidden(&self) -> usize {
            2
        }

        fn rows_interact(&self) -> bool {
            true
        }

        fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
            self.calls.push(pairs.len());
            let number = |text: &str| text.parse::<f32>().unwrap();
            let features = Array2::from_shape_fn((pairs.len(), 2), |(row, column)| {
                [number(&pairs[row].0), pairs.len() as f32][column]
            });
            Ok(PairFeatures { features, cut: pairs.iter().map(|pair| pair.1.len()).collect(), tokens: pairs.len() })
        }
    }

    #[test]
    fn where_rows_interact_users_never_share_a_call_and_the_order_is_kept() {
        let pairs: Vec<_> =
            ["0", "1", "2", "3", "4"].map(|text| (text.to_owned(), "x".repeat(text.parse().unwrap()))).to_vec();
        let owners = [7, 3, 7, 7, 3].map(UserId::new);
        let mut body = Leaky { calls: Vec::new() };
        let made = body.pair_features_of(&owners, &pairs).unwrap();
        assert_eq!(body.calls, [2, 3]);
        assert_eq!(made.features.column(0).to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(made.features.column(1).to_vec(), [3.0, 2.0, 3.0, 3.0, 2.0]);
        assert_eq!((made.cut, made.tokens), (vec![0, 1, 2, 3, 4], 5));
        assert_eq!(body.pair_features_of(&[], &[]).unwrap().check(0, 2), Ok(()));
    }

    /// Forgets the last pair of every call.
    struct Short;

    impl Body for Short {
        type Error = Infallible;

        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::new([1; 32])
        }

        fn hidden(&self) -> usize {
            2
        }

        fn rows_interact(&self) -> bool {
            true
        }

        fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
            let rows = pairs.len() - 1;
            Ok(PairFeatures { features: Array2::zeros((rows, 2)), cut: vec![0; rows], tokens: 0 })
        }
    }

    #[test]
    fn what_is_not_one_row_a_pair_is_seen() {
        let pairs = vec![(String::new(), String::new()); 3];
        let error = Short.pair_features(&pairs).unwrap().check(3, 2).unwrap_err();
        assert_eq!((error.pairs, error.hidden, error.rows, error.columns, error.counts), (3, 2, 2, 2, 2));
        let made = Short.pair_features_of(&[7, 3, 7].map(UserId::new), &pairs).unwrap();
        assert!(made.check(3, 2).is_err(), "{made:?}");
        let narrow = PairFeatures { features: Array2::zeros((3, 1)), cut: vec![0; 3], tokens: 0 };
        assert!(narrow.check(3, 2).is_err() && narrow.check(3, 1).is_ok());
    }
}
