//! What every retriever promises, and what a history promises its user.

mod conformance;
mod history;
