//! Makes bodies and heads: labels from a language model, joint training, fitting a new user.
//!
//! What is personal is small: a head is fitted in milliseconds on rows of features that the frozen body made once. The work
//! lies in getting rows that teach what they should, and this crate does it in three steps that cannot see what a user will be
//! judged by: a [`Splitter`] makes [`FitView`]s, [`rerank_labels`] and [`adapt_labels`] ask a language model about their past,
//! [`fit_reranker`] and [`fit_adapter`] turn the rows into a packed head.
//!
//! ```
//! use hydra_heads::{Shared, Weights};
//! use hydra_llm::{FenceKey, ScriptedClient, Template, TemplateParts, block_on};
//! use hydra_train::{
//!     FeatureCache, FitView, HeadPlan, History, LabelPlan, LabelSet, Marking, PseudoQuery, fit_reranker, rerank_labels,
//! };
//! use hydra_types::{Body, Fingerprint, Generation, PairFeatures, Record, RecordId, RecordTemplate, Scope, Time, UserId};
//! use hydra_types::ndarray::Array2;
//!
//! // A new user's history: three films and the tags they gave.
//! let record = |id, film: &str, tag: &str| Record::new(RecordId::new(id), Time::from_unix_millis(id as i64), film, tag);
//! let records = vec![record(1, "Heat", "crime"), record(2, "Ronin", "crime"), record(3, "Big", "comedy")];
//! let view = FitView::of_all(History::new(Scope::acting_for(UserId::new(1)), Generation::FIRST, records)?);
//!
//! // Each of them is asked again with each older record as an example; in earnest of a model behind a `Journal`.
//! let model = ScriptedClient::answering(["crime", "crime", "comedy"]);
//! let template = Template::new(TemplateParts {
//!     system: "Answer with one tag.".into(),
//!     user: "{{history}}\n{{query}}".into(),
//!     input_name: "film".into(),
//!     output_name: "tag".into(),
//! })?;
//! let plan = LabelPlan::paper(template, FenceKey::new([7; 32]));
//! let tags = LabelSet::new(["crime", "comedy"])?;
//! let mut newest =
//!     |query: &PseudoQuery<'_>, most: usize| Ok(query.earlier().iter().rev().take(most).map(Record::id).collect());
//! let views = [view];
//! let labels = block_on(rerank_labels(&model, &views, &mut newest, &plan, Marking::Classes(&tags)))?;
//! assert_eq!(labels.rows.iter().map(|row| row.label).collect::<Vec<_>>(), [true, false, true]);
//!
//! // `hydra_onnx::Encoder` in earnest. Here: how long the two texts are.
//! struct Lengths;
//! impl Body for Lengths {
//!     type Error = std::convert::Infallible;
//!     fn fingerprint(&self) -> Fingerprint { Fingerprint::new([7; 32]) }
//!     fn hidden(&self) -> usize { 2 }
//!     fn rows_interact(&self) -> bool { false }
//!     fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
//!         let length = |row: usize, at| [pairs[row].0.len(), pairs[row].1.len()][at] as f32;
//!         let features = Array2::from_shape_fn((pairs.len(), 2), |(row, at)| length(row, at));
//!         Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
//!     }
//! }
//! let pairs = RecordTemplate::with_output();
//! let shared = Shared::new(pairs.features_of(Lengths.fingerprint()), Weights::linear(&[0.0, 0.0], 0.0)?)?;
//! let mut cache = FeatureCache::new();
//! let packed =
//!     fit_reranker(&views[0], &labels.rows, (&mut Lengths, &pairs), &shared, &mut cache, &HeadPlan::default())?;
//! assert_eq!(packed.stamp.user, UserId::new(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What everybody shares is trained too: a [`Model`] is a BERT-like encoder or a cross-encoder opened from the folder that it
//! was published in, a [`Trainer`] takes it through AdamW one step at a time, and [`Model::save`] writes a folder that
//! `hydra-export` takes.
//!
//! # Who should not use it
//! Who has clicks, ratings or choices: they are better labels than any language model's, and [`hydra_heads::Fit`] takes them
//! as they are.
//!
//! # A decision that can be argued with
//! A pseudo-query is only ever shown what is strictly older. The paper leaves out nothing but the query itself, so that the
//! future answers for the past and more rows are had; but a head that was fitted so has seen a user whom no query will ever
//! come from.
//!
//! Of the training framework only tensors and gradients are used. Weights, moments and checkpoints are plain arrays and the
//! optimiser is thirty lines: that is code to own, and it is what lets a run that was interrupted end in the same bytes, and
//! a step be cut into passes without changing what it computes. Both are tested, and six steps are those of PyTorch.
//!
//! # Features
//! - `cli`: the binary `hydra-train`, which `cargo xtask train` runs.
//! - `cuda`: makes [`Device::Cuda`] work. Burn's build fetches a compiler for it, which needs a network; the driver is looked
//!   for at run time.

mod file;
mod fitting;
mod journal;
mod labels;
mod leak;
mod model;
mod split;
mod train;

pub use fitting::{FeatureCache, FittingError, HeadPlan, HeadSlot, PackedHead, fit_adapter, fit_reranker};
pub use journal::Journal;
pub use labels::{
    AdaptRow, CandidateFrom, LabelError, LabelFailure, LabelFault, LabelPlan, LabelReport, LabelSet, LabelSetError,
    Labels, Marking, RerankRow, Retrieve, TextRecipe, UserLabels, adapt_labels, rerank_labels,
};
pub use leak::{Audit, Leak, Shown};
pub use model::{Config, Family, Model, ModelError, Sequence, Task, Tokens, TokensError};
pub use split::{EvalView, FitView, History, PseudoQuery, Question, Split, SplitError, Splitter, Target, TestUser};
pub use train::{
    CheckpointError, Curve, CurveError, CurvePoint, Device, DeviceError, Example, Examples, Frozen, Loss, OptionsError,
    Schedule, StepReport, TrainError, TrainOptions, Trainer, UserHeads,
};
