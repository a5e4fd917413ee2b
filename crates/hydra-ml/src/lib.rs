//! The Hydra crates that serve, under one name, and [`Personalizer`], the pipeline composed.
//!
//! A language model that cannot be tuned answers everybody alike. A [`Personalizer`] finds the records of a person's
//! history that matter for a query, orders them by how much they help *this* person, asks the model for several
//! candidates, and picks the one that this person would have chosen. Each answer says how it came about.
//!
//! ```
//! use std::sync::Arc;
//! use hydra_ml::llm::{FenceKey, ScriptedClient, Template, block_on};
//! use hydra_ml::store::{Store, StoreKey};
//! use hydra_ml::types::{Record, RecordId, Scope, Time, UserId};
//! use hydra_ml::{Ask, Personalizer};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let key = StoreKey::create_file(&folder.join("store.key"))?;
//! let store = Arc::new(Store::create(&folder.join("store"), &key)?);
//! let template: Template = serde_json::from_str(
//!     r#"{"system": "You tag films.", "user": "{{history}}\nTag this one: {{query}}", "input_name": "film", "output_name": "tag"}"#,
//! )?;
//! // `hydra_ml::openai` or `hydra_ml::lm` in earnest.
//! let client = ScriptedClient::answering(["drama"]);
//! let hydra = Personalizer::builder(store, client, template, FenceKey::new([7; 32])).candidates(1, 0.0).build()?;
//!
//! let (ada, day) = (Scope::acting_for(UserId::new(1)), |n: i64| Time::from_unix_millis(n * 86_400_000));
//! let record = Record::new(RecordId::new(1), day(1), "a quiet film about rain", "drama");
//! block_on(hydra.learn(&ada, vec![record]))?;
//! let answer = block_on(hydra.answer(Ask::new(&ada, "a film about rain and trains", day(2))))?;
//! assert_eq!(answer.text, "drama");
//! assert_eq!(answer.trace.shown, [RecordId::new(1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! Who needs one part: every crate below is useful alone, and depends on less.
//!
//! # A decision that can be argued with
//! One thread does all work on the processor, one call after the other. Models use all cores for a batch already, so that
//! a second thread would take from the first; and what runs one at a time needs no locks. Calls that come together are
//! better made one call of [`Personalizer::answer_many`]. Who has processors to spare makes several personalizers.
//!
//! # Features
//! - `openai`: [`hydra_openai`](https://docs.rs/hydra-openai) as `openai`, language models over HTTP.
//! - `lm`: [`hydra_lm`](https://docs.rs/hydra-lm) as `lm`, a language model in this process.
//! - `experiment`: [`experiment`], HYDRA against every simpler way on a task, in one table.
//! - `cuda`: sessions on CUDA devices.

pub use hydra_adapter as adapter;
#[cfg(feature = "experiment")]
pub use hydra_eval as eval;
pub use hydra_heads as heads;
pub use hydra_llm as llm;
#[cfg(feature = "lm")]
pub use hydra_lm as lm;
pub use hydra_onnx as onnx;
#[cfg(feature = "openai")]
pub use hydra_openai as openai;
pub use hydra_rerank as rerank;
pub use hydra_retrieval as retrieval;
pub use hydra_store as store;
#[cfg(feature = "experiment")]
pub use hydra_train as train;
pub use hydra_types as types;

mod ask;
mod builder;
mod call;
mod error;
#[cfg(feature = "experiment")]
pub mod experiment;
mod heads_in_store;
mod learning;
mod memory;
mod models;
mod personalizer;
mod stages;
mod worker;

pub use ask::{Answer, Ask, CandidateTrace, HeadTrace, OnFailure, Stage, StageHeads, Times, Trace};
pub use builder::{BuildError, Builder, Retrieval};
pub use error::{BodyError, PersonalizeError};
pub use learning::{Feedback, FitReport, FittedStage};
pub use models::TextEncoder;
pub use personalizer::Personalizer;
