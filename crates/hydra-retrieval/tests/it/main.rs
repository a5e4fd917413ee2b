//! What every retriever promises, and what a history promises its user.
#![allow(clippy::unwrap_used)] // In tests a panic is the report.

mod conformance;
mod crash;
mod history;
#[cfg(feature = "store")]
mod stored;
