//! What every adapter promises, and what each of them and their helpers add.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod conformance;
mod judge;
mod personal;
mod real_body;
mod sampling;
mod toy;
