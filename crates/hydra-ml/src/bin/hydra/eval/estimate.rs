//! What a run would take, before it starts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use hydra_llm::{
    BoxFuture, Capabilities, DryRun, EventStream, LlmClient, LlmError, Money, Prices, Request, Response, Spend,
    TokenEstimate, block_on,
};
use hydra_ml::experiment::{ExperimentPlan, ExperimentTask, rehearse};
use hydra_train::Split;

use super::client::Model;
use crate::progress::Counted;

#[derive(Default, clap::Args)]
pub(super) struct PriceArgs {
    /// What a million tokens of prompts cost, in any currency
    #[arg(long, value_name = "MONEY", value_parser = money)]
    price_in: Option<Money>,

    /// What a million tokens of answers cost
    #[arg(long, value_name = "MONEY", value_parser = money)]
    price_out: Option<Money>,
}

/// At most: answers are taken to be as long as they may be.
pub(super) struct Estimate {
    /// Of all methods and labels, recorded ones included.
    pub(super) calls: u64,
    /// Of those that are not recorded.
    spend: Spend,
    /// The same, if the endpoint gives one answer however many it is asked for.
    one_by_one: Option<Spend>,
    priced: bool,
}

/// Asks everything of nobody, recorded answers aside.
pub(super) fn of(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    model: &Model,
    prices: &PriceArgs,
) -> Result<Estimate> {
    let (prompt, completion) = (prices.price_in.unwrap_or_default(), prices.price_out.unwrap_or_default());
    let all = Prices { prompt, cached_prompt: prompt, completion };
    let nobody = || Arc::new(DryRun::new(model.capabilities(), all, TokenEstimate::default()));
    let rehearsed = |client: Arc<dyn LlmClient>| -> Result<u64> {
        let (client, calls) = Counted::new(model.as_if(client)?);
        block_on(rehearse(split, task, plan, &client)).context("what it would take cannot be said")?;
        Ok(calls.load(Ordering::Relaxed))
    };
    let dry_run = nobody();
    let calls = rehearsed(Arc::clone(&dry_run) as Arc<dyn LlmClient>)?;
    let one_by_one = if model.is_endpoint() {
        let dry_run = nobody();
        rehearsed(Arc::new(OneAnswer(Arc::clone(&dry_run))))?;
        Some(dry_run.estimate())
    } else {
        None
    };
    let priced = prices.price_in.is_some() || prices.price_out.is_some();
    Ok(Estimate { calls, spend: dry_run.estimate(), one_by_one, priced })
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = |Spend { usage, cost, .. }: Spend| {
            let cost = if self.priced { format!(", at most {cost} in money") } else { String::new() };
            let (prompt, answers) = (usage.prompt_tokens, usage.completion_tokens);
            format!("about {prompt} tokens in and at most {answers} out{cost}")
        };
        let Spend { calls, .. } = self.spend;
        write!(f, "at most {} calls, {calls} of them not recorded: {}", self.calls, amount(self.spend))?;
        match self.one_by_one {
            Some(all) if all.calls > calls => write!(
                f,
                "\nif the endpoint gives one answer a call, whatever it is asked for: at most {} calls, {}",
                all.calls,
                amount(all)
            ),
            _ => Ok(()),
        }
    }
}

/// One answer, however many are wanted: what many servers give.
struct OneAnswer(Arc<DryRun>);

impl LlmClient for OneAnswer {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn complete(&self, mut request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        request.n = 1;
        self.0.complete(request)
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.0.stream(request)
    }
}

/// A decimal number with up to six digits behind the point.
fn money(text: &str) -> Result<Money, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let micros = (digits(whole) && digits(part) && part.len() <= 6 && !whole.is_empty())
        .then(|| format!("{whole}{part:0<6}").parse().ok())
        .flatten();
    micros.map(Money::from_micros).ok_or_else(|| "give a number such as 0.15".to_owned())
}

#[cfg(test)]
mod tests {
    use hydra_train::{History, Splitter};
    use hydra_types::{Generation, Record, RecordId, Scope, Time, UserId};

    use super::*;

    #[test]
    fn calls_are_counted_for_an_endpoint_that_gives_one_answer_a_call() {
        let record = |user: u64, at: u64| {
            let text = format!("film {at} of {user}");
            Record::new(RecordId::new(at), Time::from_unix_millis(at.cast_signed()), text, "4")
        };
        let history = |user: u64| {
            let records = (0..6).map(|at| record(user, at)).collect();
            History::new(Scope::acting_for(UserId::new(user.into())), Generation::FIRST, records).unwrap()
        };
        let split = Splitter::new(2, 1, 0).split((0..4).map(history).collect()).unwrap();
        let (task, folder) = (ExperimentTask::movielens().unwrap(), tempfile::tempdir().unwrap());
        let mut plan = ExperimentPlan::default();
        (plan.train.rerank_queries, plan.test.rerank_queries) = (0, 0);
        (plan.train.adapt_queries, plan.test.adapt_queries) = (3, 3);
        let model = Model::of_an_endpoint(folder.path().join("none.cassette"));
        let estimate = of(&split, &task, &plan, &model, &PriceArgs::default()).unwrap();
        // Eight candidates: of three labelled queries of each of the four users, and two times of each of the two queries.
        let (requests, with_candidates) = (4 * 3 + 2 * 11, 4 * 3 + 2 * 2);
        assert_eq!((estimate.calls, estimate.spend.calls), (requests, requests));
        assert_eq!(estimate.one_by_one.unwrap().calls, requests + 7 * with_candidates);
        let said = estimate.to_string();
        assert!(said.contains("one answer a call, whatever it is asked for: at most 146 calls"), "{said}");
    }

    #[test]
    fn money_is_read_to_the_millionth() {
        for (text, micros) in [("0.15", 150_000), ("3", 3_000_000), ("12.000001", 12_000_001), ("2.", 2_000_000)] {
            assert_eq!(money(text), Ok(Money::from_micros(micros)), "{text}");
        }
        for text in ["", ".5", "-1", "1e3", "0.0000001", "99999999999999999999"] {
            assert!(money(text).is_err(), "{text}");
        }
    }
}
