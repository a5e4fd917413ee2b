//! Tests of the public interface.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod fitting;
mod journal;
mod labels;
mod planted;
mod population;
