//! The public face of hydra-export.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod decoder;
mod encoder;
mod families;
mod gate;
mod gguf;
mod golden;
mod hostile;
mod prior;
mod reference;
