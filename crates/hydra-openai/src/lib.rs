//! Language models behind an OpenAI-compatible HTTP API: the LLM-client trait of `hydra-llm` over chat completions and
//! their streams, and embeddings and reranking beside it.
//!
//! ```no_run
//! use hydra_llm::{ApiKey, LlmClient, Message, Request, Retry, RetryPolicy, SystemClock, block_on};
//! use hydra_openai::OpenAiClient;
//!
//! let client = OpenAiClient::builder("http://localhost:8080", "a-model")
//!     .api_key(ApiKey::new(std::env::var("OPENAI_API_KEY")?)?)
//!     .build()?;
//! let client = Retry::new(client, RetryPolicy::default(), SystemClock);
//! let answer = block_on(client.complete(Request::new(vec![Message::user("a rainy day film?")])))?;
//! println!("{} ({} tokens)", answer.text(), answer.usage.total_tokens());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Strict in what it sends, lenient in what it takes
//! "OpenAI-compatible" means something else at every server. Answers without usage, with null choices, with texts in
//! parts, with reasoning under three names, with `NaN`, with errors inside a 200, with keep-alives inside events and
//! with characters cut in two are read for what they plainly mean; the tests name the public issue of each. Fields
//! without a place are kept in `extra`. What cannot be read is a typed error that quotes nothing of it.
//!
//! # Who should not use it
//! Who needs tools, images, audio, or another API than chat completions: the providers' own clients have them. It does
//! not speak HTTP/2 and takes no SOCKS proxy.
//!
//! # A decision that one may contest
//! HTTP needs a runtime, and the LLM-client trait must not: clients share one thread of the process that runs a small
//! one (tokio) and does nothing but input and output. That is a thread more than an application on tokio needs. In
//! return every executor, and none, can use a client, and a stuck caller cannot stall another's timers.
//!
//! # Promises
//! - A redirect is followed only to the same scheme, host and port, and only if it keeps the request as it is (307,
//!   308): neither key nor prompt goes elsewhere. Anything else is [`LlmError::Status`](hydra_llm::LlmError::Status).
//! - The key is in no error, log line or debug output, also when the server quotes it.
//! - A call ends: at its deadline, after a silence, at a size. Dropping a future or a stream aborts its call.
//! - Nothing about users is sent unless [`OpenAiBuilder::user_pseudonym`] says so.
//!
//! # Features
//! None.

mod address;
mod builder;
mod chat_stream;
mod client;
mod embed;
mod fault;
mod json;
mod read;
mod rerank;
mod sse;
mod transport;
mod wire;

pub use builder::{BuildError, OpenAiBuilder, TokenLimitField};
pub use client::OpenAiClient;
pub use embed::Embeddings;
