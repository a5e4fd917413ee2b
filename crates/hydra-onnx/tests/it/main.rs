//! What a caller sees of hydra-onnx, on bundles of a few kilobytes.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "functions of tests are tests")]

mod bundle;
mod check;
mod encode;
mod golden;
mod onnx_writer;
mod session;

use hydra_onnx::Bundle;
use hydra_testkit::fixture;

/// A committed bundle.
fn bundle(name: &str) -> Bundle {
    Bundle::open(&fixture("bundles").join(name)).expect("the fixture is a bundle")
}

/// An error with all its causes, as an application would show it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
