//! What tests of several crates share: where files lie, how near is near enough, and children that are killed.
//!
//! A dev-dependency only, never published. Files that are committed come from [`fixture`]; files that
//! `cargo xtask setup` fetches come from [`fetched`], which fails with the command to run.

mod files;
mod killed;
mod seen;
mod tolerance;

pub use files::{fetched, fixture, workspace_root};
pub use killed::{acknowledge, kill_after};
pub use seen::Seen;
pub use tolerance::{Difference, Tolerance};
