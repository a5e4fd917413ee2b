//! The budget: what is refused before it is sent, and what a dry run says.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hydra_llm::{
    Budget, BudgetError, BudgetLimits, Budgeted, Choice, DryRun, Ledger, Ledgered, LlmClient, LlmError, Money, Prices,
    Request, Response, ScriptedClient, TokenEstimate, Usage, VirtualClock, block_on,
};
use hydra_types::UserId;
use proptest::prelude::*;

use crate::support::{Slow, Streaming, able, ask, by_user, end, last_piece, piece, seconds, status};

/// A millionth for a token of prompt, two for one of answer.
fn prices() -> Prices {
    Prices {
        prompt: Money::from_micros(1_000_000),
        cached_prompt: Money::from_micros(500_000),
        completion: Money::from_micros(2_000_000),
    }
}

fn budget(calls: Option<u64>, tokens: Option<u64>, cost: Option<u64>) -> Budget {
    let limits = BudgetLimits { calls, tokens, cost: cost.map(Money::from_micros) };
    Budget::new(limits, prices(), TokenEstimate::upper_bound())
}

/// "hello" is at most 5 + 8 tokens, its answer at most 7.
fn hello() -> Request {
    let mut request = ask("hello");
    request.max_tokens = Some(7);
    request
}

fn replying(replies: Vec<Result<Response, LlmError>>) -> Arc<ScriptedClient> {
    Arc::new(ScriptedClient::replying(replies))
}

fn used(prompt: u64, completion: u64) -> Result<Response, LlmError> {
    Ok(Response::new(vec![Choice::new("a")], Usage::reported(prompt, completion)))
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    let cases = [
        (budget(Some(1), None, None), BudgetError::Calls { limit: 1 }),
        (budget(None, Some(29), None), BudgetError::Tokens { limit: 29, taken: 10, needed: 20 }),
        (
            budget(None, None, Some(38)),
            BudgetError::Cost {
                limit: Money::from_micros(38),
                taken: Money::from_micros(12),
                needed: Money::from_micros(27),
            },
        ),
    ];
    for (budget, expected) in cases {
        let model = replying(vec![used(8, 2)]);
        let client = Budgeted::new(Arc::clone(&model), budget.clone());
        block_on(client.complete(hello())).unwrap();
        match block_on(client.complete(hello())) {
            Err(LlmError::Budget(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(model.asked().len(), 1);
        assert_eq!(budget.spent().usage.total_tokens(), 10);
    }
}

#[test]
fn calls_under_way_count_at_their_most() {
    let clock = VirtualClock::new();
    let model = Slow::new(&clock, seconds(1));
    let budget = budget(None, Some(45), None);
    let client = Budgeted::new(&model, budget.clone());
    let results = clock.block_on(join_all((0..5).map(|_| client.complete(hello()))));
    // Two of at most 20 fit; they used 15 each, so that later none of 20 fits any more.
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    assert_eq!(budget.spent().usage.total_tokens(), 30);
    assert!(clock.block_on(client.complete(hello())).is_err());
}

#[test]
fn a_refusal_costs_a_call_and_a_call_that_was_given_up_costs_its_prompt() {
    let purse = budget(None, None, None);
    let refused = Budgeted::new(replying(vec![Err(status(400, None))]), purse.clone());
    assert!(block_on(refused.complete(hello())).is_err());
    assert_eq!((purse.spent().calls, purse.spent().usage.total_tokens()), (1, 0));

    let failed = Budgeted::new(replying(vec![Err(status(500, None))]), purse.clone());
    assert!(block_on(failed.complete(hello())).is_err());
    assert_eq!((purse.spent().failed_calls, purse.spent().usage.prompt_tokens), (2, 13));

    let clock = VirtualClock::new();
    let slow = Slow::new(&clock, seconds(1));
    let client = Budgeted::new(&slow, purse.clone());
    clock.block_on(async {
        let mut call = client.complete(hello());
        assert!((&mut call).now_or_never().is_none());
    });
    assert_eq!((purse.spent().failed_calls, purse.spent().usage.prompt_tokens), (3, 26));
}

#[test]
fn a_stream_pays_what_it_says_at_its_end_or_what_had_arrived() {
    let model = Streaming::new(vec![
        vec![piece("abc"), last_piece("d"), end(9, 4)],
        vec![piece("abc"), last_piece("d"), end(9, 4)],
    ]);
    let purse = budget(None, None, None);
    let client = Budgeted::new(&model, purse.clone());
    let events: Vec<_> = block_on(client.stream(hello()).try_collect()).unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(purse.spent().usage, Usage::reported(9, 4));
    let mut given_up = client.stream(hello());
    block_on(given_up.next()).unwrap().unwrap();
    drop(given_up);
    assert_eq!((purse.spent().usage.prompt_tokens, purse.spent().usage.completion_tokens), (9 + 13, 4 + 3));

    let before = purse.spent();
    drop(client.stream(hello()));
    assert_eq!(purse.spent(), before, "a stream that was never polled was never sent");

    let poor = Budgeted::new(&model, budget(Some(0), None, None));
    let refused: Result<Vec<_>, _> = block_on(poor.stream(hello()).try_collect());
    assert!(matches!(refused, Err(LlmError::Budget(BudgetError::Calls { limit: 0 }))));
}

#[test]
fn cached_tokens_cost_less_and_fractions_are_rounded_up() {
    let mut usage = Usage::reported(10, 1);
    usage.cached_tokens = 3;
    // 7 * 1 + 3 * 0.5 + 1 * 2 = 10.5
    assert_eq!(prices().cost(&usage), Money::from_micros(11));
    assert_eq!(Money::from_micros(1_234_567).to_string(), "1.234567");
    usage.cached_tokens = 11;
    assert_eq!(prices().cost(&usage), Money::from_micros(7), "no more can be cached than was read");
}

#[test]
fn a_dry_run_checks_and_adds_up_and_sends_nothing() {
    let dry_run = DryRun::new(able("m"), prices(), TokenEstimate::upper_bound());
    let mut eight = hello();
    eight.n = 8;
    assert_eq!(block_on(dry_run.complete(eight)).unwrap().choices.len(), 8);
    block_on(dry_run.complete(hello())).unwrap();
    let mut bad = hello();
    bad.logprobs = Some(1);
    assert!(block_on(dry_run.complete(bad)).is_err());
    let estimate = dry_run.estimate();
    assert_eq!((estimate.calls, estimate.usage.prompt_tokens, estimate.usage.completion_tokens), (2, 26, 9 * 7));
    assert_eq!(estimate.cost, Money::from_micros(26 + 2 * 63));
}

#[test]
fn the_ledger_knows_who_spent_what() {
    let ledger = Ledger::new();
    let model = replying(vec![used(10, 1), used(20, 2), Err(status(500, None)), used(40, 4)]);
    let client = Ledgered::new(model, ledger.clone(), prices());
    for request in [by_user("a", 2), by_user("b", 1), by_user("c", 2), ask("nobody")] {
        let _ = block_on(client.complete(request));
    }
    let lines: Vec<_> = ledger
        .lines()
        .into_iter()
        .map(|(line, spend)| (line.user.map(UserId::get), spend.calls, spend.failed_calls, spend.usage.prompt_tokens))
        .collect();
    assert_eq!(lines, [(None, 1, 0, 40), (Some(1), 1, 0, 20), (Some(2), 2, 1, 10)]);
    assert_eq!(ledger.total().cost, Money::from_micros(70 + 14));

    let streaming = Ledgered::new(
        Streaming::new(vec![vec![last_piece("d"), end(5, 6)], vec![piece("a")]]),
        ledger.clone(),
        prices(),
    );
    let _: Vec<_> = block_on(streaming.stream(ask("?")).collect());
    let _: Vec<_> = block_on(streaming.stream(ask("?")).collect());
    drop(streaming.stream(ask("never polled")));
    let total = ledger.total();
    assert_eq!((total.calls, total.failed_calls, total.usage.prompt_tokens), (6, 2, 75));
}

proptest! {
    /// Whatever the calls and however they end: with an upper bound for an estimate, nothing is overdrawn.
    #[test]
    fn no_budget_is_overdrawn(
        calls in prop::collection::vec((".{0,40}", 1u32..30, 0u64..100, 0u8..4), 1..30),
        tokens in 0u64..400,
        cost in 0u64..600,
        most_calls in 0u64..12,
    ) {
        let limits = BudgetLimits { calls: Some(most_calls), tokens: Some(tokens), cost: Some(Money::from_micros(cost)) };
        let purse = Budget::new(limits, prices(), TokenEstimate::upper_bound());
        for (text, max_tokens, share, end) in calls {
            let mut request = ask(&text);
            request.max_tokens = Some(max_tokens);
            let most = TokenEstimate::upper_bound().most(&request);
            // A real tokenizer and a real answer use some share of the most.
            let usage = Usage::reported(most.prompt_tokens * share / 100, u64::from(max_tokens) * share / 100);
            let reply = match end {
                0 => Err(status(400, None)),
                1 => Err(status(500, None)),
                _ => Ok(Response::new(vec![Choice::new("a")], usage)),
            };
            let _ = block_on(Budgeted::new(replying(vec![reply]), purse.clone()).complete(request));
            let spent = purse.spent();
            prop_assert!(spent.calls <= most_calls);
            prop_assert!(spent.usage.total_tokens() <= tokens);
            prop_assert!(spent.cost <= Money::from_micros(cost));
        }
    }
}
