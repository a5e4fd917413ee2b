//! What a user of the crate relies on, from outside.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod build;
mod check;
mod contrib;
mod files;
mod inference;
mod interpret;
mod passes;
