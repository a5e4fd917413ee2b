//! Asks the model one question and prints the answer as it comes.
//!
//! `cargo run --release -p hydra-lm --example chat -- "What do cats like?" [BUNDLE]`
#![allow(clippy::print_stdout, reason = "an example answers on standard output")]

use std::io::{Write, stdout};
use std::ops::ControlFlow;

use anyhow::{Context, Result};
use hydra_llm::Message;
use hydra_lm::{LanguageModel, LmOptions, Prompt};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let question = arguments.next().unwrap_or_else(|| "What do cats like?".to_owned());
    let bundle = arguments.next().unwrap_or_else(|| "target/hydra/smollm2-135m-instruct-int8".to_owned());
    let mut model = LanguageModel::open(bundle.as_ref(), &LmOptions::default()).with_context(|| {
        format!("no model at {bundle}: run `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8`")
    })?;
    let prompt = Prompt::new(model.chat_tokens(&[Message::user(question)])?);
    let mut written = Ok(());
    model.generate(&[prompt], |piece| {
        written = write!(stdout(), "{}", piece.text).and_then(|()| stdout().flush());
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    println!();
    Ok(written?)
}
