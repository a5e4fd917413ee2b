//! The public interface, one topic a module.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod budget;
mod cache;
mod canary;
mod cassette;
mod client;
mod injection;
mod limit;
mod prompt;
mod repeat;
mod retry;
mod support;
