//! Tests of the public interface.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[cfg(feature = "cli")]
mod command_line;
mod fitting;
mod golden;
mod joint;
mod journal;
mod labels;
mod loss;
mod model;
mod planted;
mod population;
mod training;
