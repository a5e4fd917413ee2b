//! The words that every Hydra crate shares: ids, times, records, scores, fingerprints and axis names.
//!
//! Nothing here computes, but for the two texts that a body gets to see of a query and a record or a candidate: whoever
//! fits a head and whoever scores with it must agree on them to the letter. A type is in this crate when two rooms of the
//! workspace must agree on what it means, and each is built so that a value that exists is valid: a [`Score`] is finite,
//! a [`Fingerprint`] is 32 bytes, an id is
//! never mistaken for another kind of id.
//!
//! ```
//! use hydra_types::{Record, RecordId, Score, Scored, Time};
//!
//! let record = Record::new(RecordId::new(7), Time::from_unix_millis(1_700_000_000_000), "a rainy day film?", "drama");
//! let mut ranking = vec![
//!     Scored::new(RecordId::new(9), Score::new(0.5)?),
//!     Scored::new(record.id(), Score::new(0.5)?),
//!     Scored::new(RecordId::new(3), Score::new(0.75)?),
//! ];
//! ranking.sort();
//! // Best first; ties by id.
//! assert_eq!(ranking.iter().map(|s| s.id.get()).collect::<Vec<_>>(), [3, 7, 9]);
//! // Texts of a record never reach a log.
//! assert!(!format!("{record:?}").contains("rainy"));
//! # Ok::<(), hydra_types::NonFinite>(())
//! ```
//!
//! # Features
//! - `serde`: `Serialize` and `Deserialize`, through the same validating constructors.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod axis;
mod body;
mod fingerprint;
mod id;
mod record;
mod scope;
mod score;
#[cfg(feature = "serde")]
mod serde_impls;
mod template;
mod time;

pub use body::{Body, PairFeatures, PairFeaturesError};
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use id::{Generation, ParseUserIdError, RecordId, UserId};
pub use ndarray;
pub use record::Record;
pub use scope::Scope;
pub use score::{Distance, InvalidDistance, NonFinite, Score, Scored};
pub use template::{CandidateTemplate, PairTemplateError, RecordTemplate};
pub use time::Time;
