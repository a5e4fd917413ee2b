//! What a run would take, before it starts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use hydra_llm::{DryRun, LlmClient, Money, Prices, Spend, TokenEstimate, block_on};
use hydra_ml::experiment::{ExperimentPlan, ExperimentTask, rehearse};
use hydra_train::Split;

use super::client::Model;
use crate::progress::Counted;

#[derive(clap::Args)]
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
    let dry_run = Arc::new(DryRun::new(model.capabilities(), all, TokenEstimate::default()));
    let (client, calls) = Counted::new(model.as_if(Arc::clone(&dry_run) as Arc<dyn LlmClient>)?);
    block_on(rehearse(split, task, plan, &client)).context("what it would take cannot be said")?;
    let priced = prices.price_in.is_some() || prices.price_out.is_some();
    Ok(Estimate { calls: calls.load(Ordering::Relaxed), spend: dry_run.estimate(), priced })
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spend { calls, usage, cost, .. } = self.spend;
        let (prompt, answers) = (usage.prompt_tokens, usage.completion_tokens);
        write!(
            f,
            "at most {} calls, {calls} of them not recorded: about {prompt} tokens in and at most {answers} out",
            self.calls
        )?;
        if self.priced { write!(f, ", at most {cost} in money") } else { Ok(()) }
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
    use super::*;

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
