//! A language model of your own behind the pipeline: implement one trait. This one is no model, it repeats what it was shown,
//! which is enough to see who is shown what.
//!
//! `cargo run -p hydra-ml --example bring-your-own-llm`
#![allow(clippy::print_stdout, reason = "an example answers on standard output")]

use std::sync::Arc;

use hydra_ml::llm::{
    BoxFuture, Capabilities, Choice, FenceKey, LlmClient, LlmError, Request, Response, Template, Usage, block_on,
};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::{Record, RecordId, Scope, Time, UserId};
use hydra_ml::{Ask, Personalizer};

struct Parrot;

impl LlmClient for Parrot {
    fn capabilities(&self) -> Capabilities {
        // One answer a call, no log-probabilities, no seed: whoever asks for more gets a typed error.
        Capabilities::new("parrot")
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            // Refuses what is lacking before anything is sent.
            self.capabilities().admit(&request)?;
            let shown = request.messages.iter().flat_map(|message| message.text.lines());
            let records: Vec<&str> = shown.filter(|line| line.starts_with('{')).collect();
            Ok(Response::new(vec![Choice::new(records.join("\n"))], Usage::reported(0, 0)))
        })
    }
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::create(&folder.path().join("store"), &StoreKey::create_file(&folder.path().join("key"))?)?;
    let template: Template = serde_json::from_str(
        r#"{"system": "", "user": "{{history}}\n{{query}}", "input_name": "film", "output_name": "note"}"#,
    )?;
    let hydra = Personalizer::builder(Arc::new(store), Parrot, template, FenceKey::new([7; 32]))
        .candidates(1, 0.0)
        .show(1)
        .build()?;
    let day = |n: i64| Time::from_unix_millis(n * 86_400_000);
    for (user, note) in [(1, "loved it"), (2, "fell asleep")] {
        let user = Scope::acting_for(UserId::new(user));
        block_on(hydra.learn(&user, vec![Record::new(RecordId::new(1), day(1), "a quiet film about rain", note)]))?;
    }
    for user in [1, 2, 3] {
        let user = Scope::acting_for(UserId::new(user));
        let answer = block_on(hydra.answer(Ask::new(&user, "a film about rain", day(2))))?;
        println!("user {}: {:?}", user.user().get(), answer.text);
    }
    Ok(())
}
