//! Forgets a person, and shows that nothing of them is left and nothing of anybody else is gone.
//!
//! `cargo run -p hydra-ml --example forget-me`
#![allow(clippy::print_stdout, reason = "an example answers on standard output")]

use std::sync::Arc;

use hydra_ml::llm::{FenceKey, ScriptedClient, Template, block_on};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::{Record, RecordId, Scope, Time, UserId};
use hydra_ml::{Ask, Feedback, Personalizer};

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::create(&folder.path().join("store"), &StoreKey::create_file(&folder.path().join("key"))?)?;
    let store = Arc::new(store);
    let template: Template = serde_json::from_str(
        r#"{"system": "", "user": "{{history}}\n{{query}}", "input_name": "film", "output_name": "note"}"#,
    )?;
    // Any client does: what is shown here is the store.
    let client = ScriptedClient::answering(["drama"; 4]);
    let hydra = Personalizer::builder(Arc::clone(&store), client, template, FenceKey::new([7; 32]))
        .candidates(1, 0.0)
        .build()?;

    let day = |n: i64| Time::from_unix_millis(n * 86_400_000);
    let (ada, ben) = (Scope::acting_for(UserId::new(1)), Scope::acting_for(UserId::new(2)));
    for user in [&ada, &ben] {
        block_on(hydra.learn(user, vec![Record::new(RecordId::new(1), day(1), "a quiet film about rain", "drama")]))?;
        block_on(hydra.feedback(user, Feedback::record("rain", RecordId::new(1), true)))?;
    }
    let shown =
        |user: &Scope| block_on(hydra.answer(Ask::new(user, "rain", day(2)))).map(|answer| answer.trace.shown.len());
    println!("before: {} of ada's records shown, {} of ben's", shown(&ada)?, shown(&ben)?);
    block_on(hydra.forget(&ada))?;
    println!("after:  {} of ada's records shown, {} of ben's", shown(&ada)?, shown(&ben)?);
    let report = store.check()?;
    println!("the store is whole: {}; users: {}", report.is_whole(), store.users()?.len());
    Ok(())
}
