//! Makes `src/proto/onnx.rs` from `proto/onnx.proto`, or with `--check` says whether it is up to date.
#![allow(clippy::print_stdout)]

use std::path::Path;

use anyhow::{Context as _, Result, bail};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/proto/onnx.rs");
    let generated = generate(&root.join("proto"))?;
    match std::env::args().nth(1).as_deref() {
        None => {
            std::fs::write(&committed, generated).context("writing src/proto/onnx.rs")?;
            println!("wrote src/proto/onnx.rs");
        }
        Some("--check") => {
            if std::fs::read_to_string(&committed).unwrap_or_default() != generated {
                bail!("src/proto/onnx.rs is out of date: run `{FIX}`");
            }
            println!("src/proto/onnx.rs is up to date");
        }
        Some(other) => bail!("unknown argument {other}: the only one is --check"),
    }
    Ok(())
}

/// The Rust types of `onnx.proto`, without its comments: they are written for another language and break rustdoc.
fn generate(proto: &Path) -> Result<String> {
    let descriptors = protox::compile([proto.join("onnx.proto")], [proto])?;
    let mut config = prost_build::Config::new();
    config.disable_comments(["."]);
    let requests = descriptors
        .file
        .into_iter()
        .map(|file| (prost_build::Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let modules = config.generate(requests)?;
    let [body] = modules.into_values().collect::<Vec<_>>().try_into().ok().context("onnx.proto is one package")?;
    Ok(format!("{HEADER}{body}"))
}

const FIX: &str = "cargo run -p hydra-graph --features codegen --bin generate-proto";
const HEADER: &str = "// Generated from proto/onnx.proto by `generate-proto`. Do not edit.\n";
