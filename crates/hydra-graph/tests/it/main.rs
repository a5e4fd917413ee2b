//! What a user of the crate relies on, from outside.

mod build;
mod check;
mod files;
mod inference;
mod interpret;
mod passes;
