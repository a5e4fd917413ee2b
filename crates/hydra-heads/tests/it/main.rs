//! The public promises of the crate.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod allocation;
mod bank;
mod fit;
mod golden;
mod population;
mod resident;
