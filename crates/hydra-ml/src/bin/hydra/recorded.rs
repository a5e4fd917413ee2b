//! What the cassette in the repository holds the answers to.

use hydra_ml::experiment::Labelling;

/// Of each of the training users.
pub(crate) const TRAIN: Labelling = Labelling { rerank_queries: 2, tried: 4, adapt_queries: 6 };
/// Of each of the test users' own past.
pub(crate) const TEST: Labelling = Labelling { rerank_queries: 1, tried: 3, adapt_queries: 5 };
pub(crate) const TRAIN_USERS: usize = 100;
pub(crate) const TEST_USERS: usize = 300;
/// What each of the test users is asked.
pub(crate) const TARGETS: usize = 1;
/// From the root of the checkout.
pub(crate) const CASSETTE: &str = "fixtures/movielens/answers.cassette";
/// The bundle of the model that was asked, from the root of the checkout.
pub(crate) const LANGUAGE_MODEL: &str = "target/hydra/smollm2-135m-instruct";
/// As it names itself, in whatever precision.
pub(crate) const MODEL_NAME: &str = "Smollm2 135M 8k Lc100K Mix1 Ep2";
