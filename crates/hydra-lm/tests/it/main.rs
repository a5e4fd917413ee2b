//! Public behaviour, on a tiny model that PyTorch has run too. `hydra-export`'s tests hold its bundle to its GGUF file.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod client;
mod generate;
mod open;
mod serve;

use hydra_lm::{LanguageModel, LmOptions};
use hydra_onnx::SessionOptions;
use hydra_testkit::fixture;

fn model() -> LanguageModel {
    let session = SessionOptions::default().threads(std::num::NonZeroUsize::MIN);
    LanguageModel::open(&fixture("lm/tiny-llama"), &LmOptions::default().session(session)).unwrap()
}
