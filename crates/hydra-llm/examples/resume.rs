//! A labelling job that is cut off after three calls and goes on where it stopped: `cargo run -p hydra-llm --example resume`.
//!
//! The model is scripted, so that the example needs no endpoint: put any other client in its place.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use hydra_llm::{
    Budget, BudgetLimits, Budgeted, Cassette, CassetteMode, FenceKey, KeyScope, LengthLimits, LlmClient, LlmError,
    Money, Prices, Request, ScriptedClient, Template, TemplateParts, TokenEstimate, block_on,
};
use hydra_types::{Record, RecordId, Time};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("labels.cassette");
    let requests = requests()?;

    println!("first run: {} calls are paid for", label(&requests, &path, 3)?);
    println!("second run: {} more are", label(&requests, &path, 100)?);
    println!("third run: {} more are", label(&requests, &path, 0)?);
    Ok(())
}

/// Asks everything, as far as a budget of `calls` goes; says how many calls it took.
fn label(requests: &[Request], path: &Path, calls: u64) -> Result<u64, Box<dyn Error>> {
    let limits = BudgetLimits { calls: Some(calls), ..BudgetLimits::default() };
    let prices =
        Prices { prompt: Money::from_micros(500_000), completion: Money::from_micros(1_500_000), ..Prices::default() };
    let budget = Budget::new(limits, prices, TokenEstimate::default());
    let model = ScriptedClient::answering(["drama", "comedy", "drama", "horror", "comedy"]);
    let client = Cassette::open(Budgeted::new(model, budget.clone()), path, CassetteMode::Record, KeyScope::User)?;
    for request in requests {
        match block_on(client.complete(request.clone())) {
            Ok(_) => {}
            Err(LlmError::Budget(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(budget.spent().calls)
}

fn requests() -> Result<Vec<Request>, Box<dyn Error>> {
    let template = Template::new(TemplateParts {
        system: "Answer with one tag.".into(),
        user: "{{history}}\nWhich tag has this film?\n{{query_data}}".into(),
        input_name: "description".into(),
        output_name: "tag".into(),
    })?;
    let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "A cop and a dog.", "comedy");
    let key = FenceKey::new([7; 32]);
    ["A train.", "A wedding.", "A war.", "A house.", "A twin."]
        .into_iter()
        .map(|film| {
            let prompt = template.render(&[&record], film, &key, &LengthLimits::default())?;
            Ok(Request::new(prompt.messages))
        })
        .collect()
}
