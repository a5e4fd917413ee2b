//! Answers from a person's own past, with a language model in this process.
//!
//! `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8`, then
//! `cargo run --release -p hydra-ml --features lm --example quickstart`
#![allow(clippy::print_stdout, reason = "an example answers on standard output")]

use std::sync::Arc;

use hydra_ml::llm::{FenceKey, Template, block_on};
use hydra_ml::lm::{LanguageModel, LmOptions, LocalClient};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::{Record, RecordId, Scope, Time, UserId};
use hydra_ml::{Ask, Personalizer};

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::create(&folder.path().join("store"), &StoreKey::create_file(&folder.path().join("key"))?)?;
    let bundle = "target/hydra/smollm2-135m-instruct-int8";
    let model = LocalClient::new(LanguageModel::open(bundle.as_ref(), &LmOptions::default())?)?;
    let template: Template = serde_json::from_str(
        r#"{"system": "You know which films a person likes.", "user": "{{history}}\n{{query}}", "input_name": "film", "output_name": "note"}"#,
    )?;
    let hydra = Personalizer::builder(Arc::new(store), model, template, FenceKey::new([7; 32]))
        .candidates(1, 0.0)
        .max_tokens(24)
        .build()?;

    let (ada, day) = (Scope::acting_for(UserId::new(1)), |n: i64| Time::from_unix_millis(n * 86_400_000));
    let notes =
        [("Alien", "too loud"), ("Paterson", "loved it, quiet"), ("Heat", "too long"), ("Old Joy", "quiet, lovely")];
    let record = |(id, (film, note)): (u64, (&str, &str))| Record::new(RecordId::new(id), day(1), film, note);
    block_on(hydra.learn(&ada, (1..).zip(notes).map(record).collect()))?;

    let answer = block_on(hydra.answer(Ask::new(&ada, "Which kind of film does this person like?", day(2))))?;
    println!("{}", answer.text.trim());
    println!("{} records were shown, {} tokens used", answer.trace.shown.len(), answer.trace.usage.prompt_tokens);
    Ok(())
}
