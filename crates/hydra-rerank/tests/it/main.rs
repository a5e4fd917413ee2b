//! What every reranker promises, and what each of them adds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod conformance;
mod cross;
mod exported;
mod fusion;
mod personal;
mod planted;
mod prior;
mod real_body;
mod toy;
