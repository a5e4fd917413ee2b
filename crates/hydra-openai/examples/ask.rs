//! Asks a model and prints its answer as it comes:
//! `cargo run -p hydra-openai --example ask -- http://localhost:8080 MODEL "a rainy day film?"`.
//!
//! The key, if one is needed, is taken from `OPENAI_API_KEY`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Write as _;

use futures_util::StreamExt;
use hydra_llm::{ApiKey, LlmClient, Message, Request, Retry, RetryPolicy, StreamEvent, SystemClock, block_on};
use hydra_openai::OpenAiClient;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, model, question] = arguments.as_slice() else {
        return Err("give an address, a model and a question".into());
    };
    let mut builder = OpenAiClient::builder(address, model.as_str());
    if let Ok(key) = std::env::var("OPENAI_API_KEY") {
        builder = builder.api_key(ApiKey::new(key)?);
    }
    let client = Retry::new(builder.build()?, RetryPolicy::default(), SystemClock);
    block_on(async {
        let mut events = client.stream(Request::new(vec![Message::user(question.as_str())]));
        while let Some(event) = events.next().await {
            match event? {
                StreamEvent::Delta(delta) => print!("{}", delta.text),
                StreamEvent::End(end) => println!("\n({} tokens)", end.usage.total_tokens()),
                _ => {}
            }
            std::io::stdout().flush()?;
        }
        Ok(())
    })
}
