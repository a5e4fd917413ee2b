//! The pipeline over a real store, with models that only drive our own logic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod answer;
mod deadlines;
#[cfg(feature = "cli")]
mod evaluation;
#[cfg(feature = "experiment")]
mod experiment;
mod gate;
#[cfg(feature = "experiment")]
mod install;
mod isolation;
mod learning;
mod parts;
mod recorded;
#[cfg(feature = "experiment")]
mod tasks;
mod toy;
