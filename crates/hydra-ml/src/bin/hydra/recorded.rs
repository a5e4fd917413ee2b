//! How much the cassette in the repository holds the answers to.

use hydra_ml::experiment::Labelling;

/// Of each of the training users.
pub(crate) const TRAIN: Labelling = Labelling { rerank_queries: 2, tried: 4, adapt_queries: 6 };
/// Of each of the test users' own past.
pub(crate) const TEST: Labelling = Labelling { rerank_queries: 1, tried: 3, adapt_queries: 5 };
pub(crate) const TRAIN_USERS: usize = 100;
pub(crate) const TEST_USERS: usize = 300;
