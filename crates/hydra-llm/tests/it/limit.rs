//! Limits of rate and of calls at a time, on a simulated clock.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hydra_llm::{Clock, Limited, Limits, LlmClient, LlmError, TokenEstimate, VirtualClock};

use crate::support::{Slow, ask, seconds};

fn limited(clock: &VirtualClock, takes: u64, limits: Limits) -> (Arc<Slow>, Limited<Arc<Slow>>) {
    let model = Arc::new(Slow::new(clock, seconds(takes)));
    let client = Limited::new(Arc::clone(&model), limits, TokenEstimate::default(), clock.clone());
    (model, client)
}

fn at_once(n: usize) -> Limits {
    Limits { at_once: Some(n), ..Limits::default() }
}

#[test]
fn no_more_run_at_once_than_allowed_and_first_come_is_first_served() {
    let clock = VirtualClock::new();
    let (model, client) = limited(&clock, 5, at_once(2));
    let names: Vec<_> = (0..7).map(|i| format!("{i}")).collect();
    clock.block_on(join_all(names.iter().map(|name| client.complete(ask(name)))));
    let state = model.state.lock().unwrap();
    assert_eq!(state.most_running, 2);
    assert_eq!(state.order, names);
    assert_eq!(state.begun, [0, 0, 5, 5, 10, 10, 15].map(seconds));
}

#[test]
fn who_gives_up_leaves_the_place_to_the_next() {
    let clock = VirtualClock::new();
    let (model, client) = limited(&clock, 5, at_once(1));
    clock.block_on(async {
        let first = client.complete(ask("first"));
        let mut second = client.complete(ask("second"));
        let third = client.complete(ask("third"));
        let mut both = Box::pin(join(first, third));
        assert!((&mut both).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(second);
        let (first, third) = both.await;
        assert!(first.is_ok() && third.is_ok());
    });
    assert_eq!(model.state.lock().unwrap().order, ["first", "third"]);
}

#[test]
fn waiting_counts_towards_the_deadline() {
    let clock = VirtualClock::new();
    let (model, client) = limited(&clock, 5, at_once(1));
    let mut hurried = ask("hurried");
    hurried.deadline = Some(seconds(3));
    let (patient, hurried) = clock.block_on(join(client.complete(ask("patient")), client.complete(hurried)));
    assert!(patient.is_ok());
    assert!(matches!(hurried, Err(LlmError::Timeout { limit }) if limit == seconds(3)));
    assert_eq!(model.begun(), [Duration::ZERO]);
}

#[test]
fn calls_are_spaced_after_a_burst_of_a_sixth() {
    let clock = VirtualClock::new();
    let limits = Limits { calls_per_minute: Some(12), ..Limits::default() };
    let (model, client) = limited(&clock, 0, limits);
    // Ten seconds of quiet are worth two calls of five seconds.
    clock.block_on(clock.sleep(seconds(60)));
    clock.block_on(join_all((0..6).map(|_| client.complete(ask("?")))));
    assert_eq!(model.begun(), [60, 60, 60, 65, 70, 75].map(seconds));
}

#[test]
fn tokens_are_counted_and_a_giant_makes_the_next_wait() {
    let clock = VirtualClock::new();
    let limits = Limits { tokens_per_minute: Some(60), ..Limits::default() };
    let (model, client) = limited(&clock, 0, limits);
    let mut giant = ask("?");
    // One token of text, eight for the message: 100 in all, 100 seconds' worth.
    giant.max_tokens = Some(91);
    let mut hurried = giant.clone();
    hurried.deadline = Some(seconds(99));
    clock.block_on(client.complete(giant.clone())).unwrap();
    let refused = clock.block_on(client.complete(hurried));
    assert!(matches!(refused, Err(LlmError::Timeout { .. })), "{refused:?}");
    assert_eq!(clock.now(), Duration::ZERO, "nobody waits for nothing");
    clock.block_on(client.complete(giant)).unwrap();
    assert_eq!(model.begun(), [0, 100].map(seconds), "what was refused has booked nothing");
}

#[test]
fn a_stream_holds_its_place_until_it_is_dropped() {
    let clock = VirtualClock::new();
    let (model, client) = limited(&clock, 1, at_once(1));
    clock.block_on(async {
        let mut stream = client.stream(ask("streamed"));
        stream.next().await.unwrap().unwrap();
        let mut waiting = client.complete(ask("waiting"));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(model.begun().len(), 1);
        let rest: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(rest.len(), 1);
        waiting.await.unwrap();
    });
    assert_eq!(model.begun().len(), 2);
}
