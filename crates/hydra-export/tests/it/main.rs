//! The public face of hydra-export.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod encoder;
mod families;
mod gate;
mod golden;
mod hostile;
mod reference;
