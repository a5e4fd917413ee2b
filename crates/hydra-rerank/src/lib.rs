//! Orders a user's records for a query, by how much each would help *this* user.
//!
//! Retrieval finds what is alike; whether a record helps to answer is another question, and the answer differs from person
//! to person. A [`Reranker`] takes requests of many users in one call, each with the records that retrieval found, and gives
//! the best of them, best first.
//!
//! | reranker | what it asks |
//! |---|---|
//! | [`PersonalReranker`] | the shared body, and the user's own head or, said out loud, the prior head |
//! | [`CrossReranker`] | a classifier that is the same for everybody |
//! | [`FirstStage`] | nobody: the order of retrieval |
//! | [`FusedReranker`] | another reranker and retrieval together |
//!
//! ```
//! use std::sync::Arc;
//! use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
//! use hydra_rerank::{PersonalReranker, RerankRequest, Reranker, Retrieved};
//! use hydra_types::{Body, Fingerprint, PairFeatures, Record, RecordId, RecordTemplate, Scope, Score, Time, UserId};
//! use hydra_types::ndarray::Array2;
//!
//! // `hydra_onnx::Encoder` in earnest. Here: does the record speak of rain, does it speak of sun?
//! struct Weather;
//! impl Body for Weather {
//!     type Error = std::convert::Infallible;
//!     fn fingerprint(&self) -> Fingerprint { Fingerprint::new([7; 32]) }
//!     fn hidden(&self) -> usize { 2 }
//!     fn rows_interact(&self) -> bool { false }
//!     fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
//!         let says = |row: usize, word| f32::from(u8::from(pairs[row].1.contains(word)));
//!         let features = Array2::from_shape_fn((pairs.len(), 2), |(row, i)| says(row, ["rain", "sun"][i]));
//!         Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
//!     }
//! }
//!
//! let template = RecordTemplate::input_only();
//! // Everybody likes the sun a little; Ada likes rain.
//! let shared = Arc::new(Shared::new(template.features_of(Weather.fingerprint()), Weights::linear(&[0.0, 0.1], 0.0)?)?);
//! let mut bank = HeadBank::new(Arc::clone(&shared));
//! let ada = Scope::acting_for(UserId::new(1));
//! bank.insert(ada.user(), shared.head(Weights::linear(&[2.0, 0.0], 0.0)?)?)?;
//!
//! let at = Time::from_unix_millis(0);
//! let records = [Record::new(RecordId::new(1), at, "a sunny day", ""), Record::new(RecordId::new(2), at, "a rainy day", "")];
//! let found: Vec<_> = records.iter().map(|record| Retrieved { record, score: Score::new(1.0).unwrap() }).collect();
//! let stranger = Scope::acting_for(UserId::new(2));
//! let mut reranker = PersonalReranker::new(Weather, bank, template)?;
//! let rankings = reranker.rerank(&[
//!     RerankRequest { scope: &ada, head: HeadChoice::Own, query: "what to wear?", records: &found, keep: 1 },
//!     RerankRequest { scope: &stranger, head: HeadChoice::Prior, query: "what to wear?", records: &found, keep: 1 },
//! ])?;
//! assert_eq!(rankings[0].ranked[0].id, RecordId::new(2));
//! assert_eq!(rankings[1].ranked[0].id, RecordId::new(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! Who wants documents of a corpus ordered for anybody: a cross-encoder alone does that, without scopes and heads. Who
//! has records in thousands: find the nearest dozens first, because every pair here is read by a transformer.
//!
//! # Whose data meets whose
//! A request carries the [`Scope`](hydra_types::Scope) that it is asked in, and the head is named from it: there is no way
//! to ask for one user's head in another's scope. Rows of different users share batches of the body only where rows do not
//! interact, that is not with a per-tensor int8 bundle, whose rows share one scale of activations: there every user gets
//! batches of their own. Export a per-row int8 or an fp32 bundle for mixed loads.
//!
//! # A decision that can be argued with
//! Rankings carry log-odds and not probabilities. A probability reads better; but 0.9999 and 0.99999 of two records that
//! are both surely right are often the same `f32`, and then a tie is broken by an id where the head had an opinion. Who
//! shows numbers to people calls [`hydra_heads::probability`].
//!
//! # Features
//! None.

mod cross;
mod error;
mod explain;
mod first_stage;
mod fusion;
mod pairs;
mod personal;
mod request;
mod reranker;

pub use cross::{CrossReranker, LogitBody};
pub use error::RerankError;
pub use explain::{Explanation, FeaturePart};
pub use first_stage::FirstStage;
pub use fusion::{FusedReranker, Fusion};
pub use personal::PersonalReranker;
pub use request::{CutRecord, Ranking, RerankRequest, Retrieved, check_rankings};
pub use reranker::Reranker;
