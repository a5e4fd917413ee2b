//! The public promises of the crate.

mod bank;
