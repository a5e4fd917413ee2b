//! One body, a million heads: the small models that make an encoder that everybody shares personal.
//!
//! A **body** turns a text pair into features, one vector of `hidden` numbers. A **head** turns features into one number:
//! how likely this record or this candidate helps *this* user. Every user has a head; it is a small change of the
//! **prior head**, which serves everybody about whom nothing is known yet. With no change at all it is the prior head, bit
//! for bit.
//!
//! - [`HeadBank`] scores rows of hundreds of users in one call. What it costs depends on the rows, not on how many users there are.
//! - [`Fit`] makes a user's head from a hundred labelled rows in milliseconds, or says that the rows teach nothing.
//! - [`fit_facets`] trains a few heads that all share, and the [`Router`] that reads off a history which of them a user is: a
//!   head for whoever was never fitted.
//! - [`Calibration`] turns scores into probabilities that can be acted on, for everybody and for each user.
//! - [`pack()`] and [`unpack`] turn heads into a few KiB and back; [`ResidentHeads`] keeps those in memory that are needed.
//!
//! ```
//! use std::sync::Arc;
//! use hydra_heads::{ClassWeights, Features, Fit, FitRows, HeadBank, HeadName, Shared, Strength, Weights};
//! use hydra_types::{Fingerprint, UserId, ndarray::array};
//!
//! let body = Fingerprint::new([7; 32]);
//! let shared = Arc::new(Shared::new(body, Weights::linear(&[0.1, 0.1], 0.0)?)?);
//!
//! // One user was helped by the first kind of row and not by the second.
//! let history = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 0.9]];
//! let rows = FitRows::new(Features::new(body, &history)?, &[true, true, false, false], ClassWeights::Equal)?;
//! let fitted = Fit::linear().strength(Strength::Fixed(0.5)).run(&shared, &rows)?;
//!
//! let mut bank = HeadBank::new(Arc::clone(&shared));
//! let user = UserId::new(1);
//! bank.insert(user, fitted.head)?;
//!
//! // Rows of this user and of a stranger in one call.
//! let new = array![[1.0, 0.1], [0.1, 1.0], [1.0, 0.1], [0.1, 1.0]];
//! let names = [HeadName::User(user), HeadName::User(user), HeadName::Prior, HeadName::Prior];
//! let scores = bank.scores(&names, &Features::new(body, &new)?)?;
//! assert!(scores[0] > scores[1]);
//! assert_eq!(scores[2], scores[3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which head
//! | kind | a user's numbers at `hidden` = 384 | for |
//! |---|---|---|
//! | [`Kind::Linear`] | 385: 0.5 KiB in int8 | the default; one minimum, exact in milliseconds |
//! | [`Kind::LowRank`] | 3,457 at rank 4: 3.5 KiB in int8 | tastes that bend what the prior head sees |
//! | [`Kind::Routing`] | 8: 0.1 KiB | users who were never fitted, by a mix of shared facets |
//! | [`Kind::TwoLayer`] | 148,610: 145 KiB in int8 | parity with the HYDRA paper |
//!
//! # Who should not use it
//! Whoever wants to change what the body sees: that is fine-tuning, per-user LoRA weights inside the encoder, and needs an
//! encoder pass for each user. And whoever has one model for everybody: a matrix product does.
//!
//! # A decision that can be argued with
//! A user's head is *added* to the prior head, where the paper gives every user a full head of their own. A full head can
//! say more; but one user has a hundred rows, which teach a few directions and not 148,610 numbers. The sum makes the
//! stranger's score and the fitted user's continuous, makes the linear fit convex, lets a batch share the prior head's
//! product, and is smaller by two orders of magnitude. On the generated population of this crate's bench the added heads have the
//! lower held-out loss; the full head is there for whoever wants to compare.
//!
//! # Features
//! None.

mod bank;
mod calibration;
mod facets;
mod features;
mod fit;
mod head;
mod heads;
mod kernel;
mod matrix;
mod pack;
mod precision;
mod resident;
mod shared;
mod weights;

pub use bank::{HeadBank, ScoreError, Scratch, probability};
pub use calibration::{
    Calibration, CalibrationError, Curve, CurveKind, ECE_BINS, Outcomes, UserCalibration, expected_calibration_error,
};
pub use facets::{FacetError, FacetOptions, FacetUser, FittedFacets, Router, RouterError, fit_facets};
pub use features::{Features, FeaturesError};
pub use fit::{
    AdamW, ClassWeights, Fit, FitError, FitRows, Fitted, HeldOut, Outcome, Reason, RowsError, Strength,
    loss_and_gradient,
};
pub use head::{Head, HeadChoice, HeadName};
pub use heads::Heads;
pub use pack::{Stamp, UnpackError, pack, pack_shared, unpack, unpack_shared};
pub use precision::Precision;
pub use resident::{HeadSource, Resident, ResidentError, ResidentHeads, ResidentStats};
pub use shared::{BindError, Shared, SharedError};
pub use weights::{Kind, Weights, WeightsError};
