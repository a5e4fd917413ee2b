//! The black box: one trait for language models, whether behind an endpoint or in this process, and the wrappers that
//! make one safe to depend on.
//!
//! [`LlmClient`] takes a [`Request`] and gives a [`Response`], both plain data. It is object-safe, async and of no
//! particular runtime; [`block_on`] makes it blocking in one call. Wrappers take any client and are clients again:
//!
//! | wrapper | what it adds |
//! |---|---|
//! | [`Retry`] | another attempt after 429, 408, 5xx, timeouts, broken connections; `Retry-After`; jitter by seed |
//! | [`Limited`] | calls at once, calls and tokens a minute, first come first served |
//! | [`Budgeted`] | calls, tokens and money, refused before anything is sent ([`DryRun`] estimates a whole job) |
//! | [`Cached`] | answers remembered by content; equal questions at the same moment are asked once |
//! | [`Cassette`] | answers recorded to a file and replayed, keyed by a hash of the request |
//! | [`Ledgered`] | who spent what |
//! | [`Repeat`] | several answers from a model that gives one at a time |
//!
//! An order that works, outermost first: `Repeat`, `Cached` or `Cassette`, `Ledgered`, `Retry`, `Limited`, `Budgeted`,
//! the client. What is remembered then costs nothing, every attempt counts against limits and budget, and each draw is
//! remembered for itself.
//!
//! [`Template`] builds prompts that quote a user's records as data ([`Template::render`]); [`ApiKey`] holds a key that
//! cannot be printed.
//!
//! ```
//! use std::sync::Arc;
//! use hydra_llm::{Cached, KeyScope, LlmClient, Message, Repeat, Request, ScriptedClient, VirtualClock, block_on};
//!
//! // Any client; `ScriptedClient` stands in for one in tests.
//! let model = Arc::new(ScriptedClient::answering(["drama", "comedy"]));
//! let cached = Cached::new(Arc::clone(&model), 1 << 20, KeyScope::User, VirtualClock::new());
//! let client: Arc<dyn LlmClient> = Arc::new(Repeat::new(cached, 2));
//!
//! let mut request = Request::new(vec![Message::user("a rainy day film?")]);
//! request.n = 2;
//! let first = block_on(client.complete(request.clone()))?;
//! let again = block_on(client.complete(request))?;
//! assert_eq!(first, again);
//! assert_eq!(model.asked().len(), 2);
//! # Ok::<(), hydra_llm::LlmError>(())
//! ```
//!
//! # Who should not use it
//! Who talks to one provider and wants all that it offers: tools, images, audio and agents are not here, and its own
//! SDK has them. What is here is what scoring, labelling and answering from a person's history need.
//!
//! # A decision that one may contest
//! Requests are equal when their bytes are equal, and an equal request has one remembered answer, even at temperature 1.
//! Most clients refuse to cache what is sampled. But a run that was cut off must go on where it stopped without paying
//! or drawing twice, and then the second draw has to be asked for by name: [`Request::draw`]. [`Repeat`] does that by
//! itself, so that eight candidates are eight draws, whichever wrapper lies below.
//!
//! # What it promises about texts
//! No text of a request or an answer, and no key, is in any `Debug`, `Display`, error or log line of this crate: lengths,
//! counts, ids and keys' hashes are. What a server said about an error may quote the prompt and is [`Withheld`].
//!
//! # Features
//! None.

mod blocking;
mod budget;
mod cache;
mod capabilities;
mod cassette;
mod client;
mod clock;
mod deadline;
mod dry_run;
mod error;
mod estimate;
mod key;
mod ledger;
mod limit;
mod prompt;
mod repeat;
mod request;
mod response;
mod retry;
mod scripted;
mod secret;
mod spend;
mod stream;

// Words of requests and answers: whoever implements the trait names this crate alone.
pub use hydra_types::{Generation, Score, UserId};

pub use blocking::block_on;
pub use budget::{Budget, BudgetError, BudgetLimits, Budgeted};
pub use cache::{CacheStats, Cached};
pub use capabilities::{Capabilities, Feature};
pub use cassette::{Cassette, CassetteError, CassetteMode};
pub use client::{BoxFuture, EventStream, LlmClient};
pub use clock::{Clock, SystemClock, VirtualClock};
pub use dry_run::DryRun;
pub use error::{AnswerFault, ErrorCode, LlmError, Stage, Withheld};
pub use estimate::TokenEstimate;
pub use key::{KeyScope, RequestKey};
pub use ledger::{Ledger, LedgerLine, Ledgered};
pub use limit::{Limited, Limits};
pub use prompt::{
    Cut, FenceKey, LengthLimits, OverLength, PromptError, QuotedRecord, ReadError, Rendered, Template, TemplateError,
    TemplateParts, read_history,
};
pub use repeat::Repeat;
pub use request::{Message, Request, RequestError, ResponseFormat, Role, UserTag};
pub use response::{Choice, FinishReason, Response, TokenLogprob, Usage, UsageSource};
pub use retry::{Retry, RetryPolicy};
pub use scripted::ScriptedClient;
pub use secret::{ApiKey, ApiKeyError};
pub use spend::{Money, Prices, Spend};
pub use stream::{Assembler, Delta, End, StreamEvent};
