//! Picks one of several candidates for a user.
//!
//! A language model that is asked eight times gives several answers; which of them *this* person would have chosen is what
//! the model cannot know. An [`Adapter`] weighs the candidates of many requests of many users in one call.
//!
//! | adapter | what it asks |
//! |---|---|
//! | [`PersonalAdapter`] | the shared body, and the user's own head or, said out loud, the prior head |
//! | [`MajorityVote`] | how often each candidate was proposed |
//! | [`FirstCandidate`] | nothing: the answer that a single call would have given |
//!
//! Around it: [`Sampling`] with a [`StopPolicy`] draws no more candidates than are needed and says what that saved;
//! [`Judge`] turns the winner's confidence into a calibrated probability and abstains below a threshold.
//!
//! ```
//! use hydra_adapter::{AdaptRequest, Adapter, MajorityVote};
//! use hydra_heads::HeadChoice;
//! use hydra_types::{Scope, UserId};
//!
//! let scope = Scope::acting_for(UserId::new(1));
//! let candidates = ["comedy", "drama", "drama\n"].map(str::to_owned);
//! let request = AdaptRequest {
//!     scope: &scope, head: HeadChoice::Prior, query: "a tag?", history: &[], candidates: &candidates,
//! };
//! let adapted = MajorityVote.adapt(&[request])?.remove(0);
//! assert_eq!(adapted.best(), 1);
//! assert_eq!(adapted.standings()[0].count, 2);
//! # Ok::<(), hydra_adapter::AdaptError>(())
//! ```
//!
//! # Who should not use it
//! Who can check an answer, by running it or looking it up, should: an adapter knows what a person prefers, not what is
//! true. Who gets one candidate and no more has nothing to pick.
//!
//! # Whose data meets whose
//! A request carries the [`Scope`](hydra_types::Scope) that it is asked in, and the head is named from it: there is no way
//! to ask for one user's head in another's scope. Rows of different users share batches of the body only where rows do not
//! interact; with a per-tensor int8 bundle every user gets batches of their own.
//!
//! # A decision that can be argued with
//! The personal adapter does not count votes: a candidate proposed five times scores as if it had been proposed once. Votes
//! say what the language model finds likely for everybody, and mixing them in would need a weight that nobody has chosen on
//! anybody's data. They are handed out in [`Standing::count`] for whoever has.
//!
//! # Features
//! None.

mod adapter;
mod error;
mod judge;
mod personal;
mod request;
mod sampling;
mod votes;

pub use adapter::Adapter;
pub use error::AdaptError;
pub use judge::{Judge, Verdict};
pub use personal::PersonalAdapter;
pub use request::{AdaptRequest, Adapted, Standing, check_adapted};
pub use sampling::{MarginStop, Next, Sampling, SamplingCost, StopPolicy, VoteStop};
pub use votes::{FirstCandidate, MajorityVote};
