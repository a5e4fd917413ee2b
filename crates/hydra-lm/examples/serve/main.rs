//! The model behind the OpenAI chat protocol, on loopback, with streaming.
//!
//! `cargo run --release -p hydra-lm --example serve -- [BUNDLE] [ADDRESS]`: enough to try a client against, and nothing
//! to put before the world.
#![allow(clippy::print_stderr, reason = "an example says where it listens")]

mod protocol;

use std::net::TcpListener;

use anyhow::{Context, Result};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let bundle = arguments.next().unwrap_or_else(|| "target/hydra/smollm2-135m-instruct-int8".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let model = LanguageModel::open(bundle.as_ref(), &LmOptions::default()).with_context(|| {
        format!("no model at {bundle}: run `cargo xtask setup`, then `cargo xtask export-onnx --lm`")
    })?;
    let listener = TcpListener::bind(&address)?;
    eprintln!("http://{}/v1", listener.local_addr()?);
    protocol::listen(&listener, LocalClient::new(model)?, |error| eprintln!("{error:#}"))
}
