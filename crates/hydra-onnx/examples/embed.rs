//! Embeds three sentences and prints how alike they are: `cargo run -p hydra-onnx --example embed [BUNDLE]`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use hydra_onnx::{Bundle, Encoder, EncoderOptions};

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/hydra/all-minilm-l6-v2".to_owned());
    let bundle = Bundle::open(folder.as_ref())?;
    let mut encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
    let sentences = ["A man is eating food.", "Somebody is having a meal.", "The stock market fell today."];
    let features = encoder.encode(&sentences)?.features;
    // The bundle normalises its features, so that their product is the cosine of their angle.
    let cosines = features.dot(&features.t());
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        println!("{:.2}  {} | {}", cosines[[i, j]], sentences[i], sentences[j]);
    }
    Ok(())
}
