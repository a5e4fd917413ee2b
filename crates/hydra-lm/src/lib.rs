//! A causal language model on ONNX Runtime, in process.
//!
//! [`LanguageModel`] opens a bundle that `cargo xtask export-onnx --lm FILE.gguf` wrote and continues prompts: greedy or
//! sampled, several answers from one reading of the prompt, batches of different prompts, stop strings,
//! log-probabilities. [`LocalClient`] puts it behind [`hydra_llm::LlmClient`], so that everything that is built on that
//! trait runs without a key and without a server.
//!
//! **Who should not use it:** whoever serves many people at once. There is one request at a time here and no paging of
//! caches; vLLM or llama.cpp's server behind `hydra-openai` do that better.
//!
//! # Examples
//! ```no_run
//! use hydra_llm::{LlmClient, Message, Request, block_on};
//! use hydra_lm::{LanguageModel, LmOptions, LocalClient};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bundle = "target/hydra/smollm2-135m-instruct-int8".as_ref();
//! let client = LocalClient::new(LanguageModel::open(bundle, &LmOptions::default())?)?;
//! let answer = block_on(client.complete(Request::new(vec![Message::user("What do cats like?")])))?;
//! println!("{}", answer.text());
//! # Ok(())
//! # }
//! ```
//!
//! # What can be argued about
//! **The cache lies in memory that is bound once and written in place**, so that a step copies nothing. The price is
//! that rows of a batch have one length of memory; it grows by half when it is full.
//!
//! **Prompts are read in chunks of 64 tokens that begin at multiples of 64**, and a known beginning is used in whole
//! chunks only. Reading all at once would be a little faster, but then a prompt whose beginning is known would be
//! computed in other pieces than one that is new, and its logits would differ in the last bits: the same request would
//! not always get the same answer.
//!
//! **Requests are not batched with each other** by [`LocalClient`], for the same reason. Who has many prompts at hand
//! gives them to [`LanguageModel::generate`] together.
//!
//! # Features
//! None.

mod choices;
mod client;
mod error;
mod facts;
mod generate;
mod model;
mod prefix;
mod rows;
mod sampler;
mod shape;
mod template;
mod text;

pub use client::LocalClient;
pub use error::LmError;
pub use generate::{Answer, Piece, Prompt, TokenChoice};
pub use model::{LanguageModel, LmOptions};
pub use sampler::Sampling;
