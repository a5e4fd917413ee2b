//! What is tried again, when, and for how long.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use hydra_llm::{
    Clock, KeyScope, LlmClient, LlmError, RequestKey, Retry, RetryPolicy, ScriptedClient, StreamEvent, VirtualClock,
};
use proptest::prelude::*;

use crate::support::{Slow, Streaming, ask, end, last_piece, piece, quota, seconds, status};

fn exact() -> RetryPolicy {
    RetryPolicy {
        attempts: 4,
        first_pause: seconds(1),
        longest_pause: seconds(3),
        jitter: 0.0,
        ..RetryPolicy::default()
    }
}

fn answer(text: &str) -> Result<hydra_llm::Response, LlmError> {
    Ok(hydra_llm::Response::new(vec![hydra_llm::Choice::new(text)], hydra_llm::Usage::reported(1, 1)))
}

/// What comes of these replies, after how many calls, and how much later.
fn run(
    replies: Vec<Result<hydra_llm::Response, LlmError>>,
    policy: RetryPolicy,
    deadline: Option<Duration>,
) -> (Result<String, LlmError>, usize, Duration) {
    let clock = VirtualClock::new();
    let model = Arc::new(ScriptedClient::replying(replies));
    let client = Retry::new(Arc::clone(&model), policy, clock.clone());
    let mut request = ask("?");
    request.deadline = deadline;
    let result = clock.block_on(client.complete(request)).map(|response| response.text().to_owned());
    (result, model.asked().len(), clock.now())
}

#[test]
fn pauses_double_up_to_the_longest() {
    let replies = vec![Err(status(500, None)), Err(status(429, None)), Err(status(503, None)), answer("a")];
    let (result, calls, took) = run(replies, exact(), None);
    assert_eq!((result.unwrap().as_str(), calls, took), ("a", 4, seconds(1 + 2 + 3)));
}

#[test]
fn the_last_error_is_given_when_the_attempts_are_used_up() {
    let replies = [408, 409, 425, 529].map(|code| Err(status(code, None))).to_vec();
    let (result, calls, _) = run(replies, exact(), None);
    assert!(matches!(result, Err(LlmError::Status { status: 529, .. })));
    assert_eq!(calls, 4);
}

#[test]
fn what_waiting_does_not_mend_is_not_tried_again() {
    for error in [status(400, None), status(401, None), status(404, None), status(501, None), quota()] {
        let (result, calls, took) = run(vec![Err(error)], exact(), None);
        assert!(result.is_err());
        assert_eq!((calls, took), (1, Duration::ZERO));
    }
}

#[test]
fn the_server_is_waited_for_as_long_as_it_asks_but_not_for_ever() {
    let (result, _, took) = run(vec![Err(status(429, Some(20))), answer("a")], exact(), None);
    assert_eq!((result.unwrap().as_str(), took), ("a", seconds(20)));
    let (result, calls, took) = run(vec![Err(status(429, Some(3600)))], exact(), None);
    assert!(matches!(result, Err(LlmError::Status { status: 429, .. })));
    assert_eq!((calls, took), (1, Duration::ZERO));
}

#[test]
fn a_pause_that_leaves_no_time_is_not_begun() {
    let replies = vec![Err(status(500, None)), Err(status(500, None))];
    let (result, calls, took) = run(replies, exact(), Some(seconds(3)));
    // After the pause of one second the next would end exactly at the deadline.
    assert!(matches!(result, Err(LlmError::Status { status: 500, .. })));
    assert_eq!((calls, took), (2, seconds(1)));
}

#[test]
fn each_attempt_gets_what_is_left_of_the_deadline() {
    let clock = VirtualClock::new();
    let model = Arc::new(Slow::new(&clock, seconds(60)));
    let client = Retry::new(Arc::clone(&model), exact(), clock.clone());
    let mut request = ask("?");
    request.deadline = Some(seconds(10));
    let result = clock.block_on(client.complete(request));
    assert!(matches!(result, Err(LlmError::Timeout { .. })), "{result:?}");
    assert_eq!((model.begun(), clock.now()), (vec![Duration::ZERO], seconds(10)));
}

#[test]
fn a_stream_is_begun_again_only_before_its_first_event() {
    let clock = VirtualClock::new();
    let model = Streaming::new(vec![
        vec![Err(status(503, None))],
        vec![piece("a"), last_piece("b"), end(1, 2)],
        vec![piece("a"), Err(status(503, None))],
    ]);
    let client = Retry::new(&model, exact(), clock.clone());
    let events: Vec<StreamEvent> = clock.block_on(client.stream(ask("?")).try_collect()).unwrap();
    assert_eq!((events.len(), model.left(), clock.now()), (3, 1, seconds(1)));
    let broken: Result<Vec<_>, _> = clock.block_on(client.stream(ask("?")).try_collect());
    assert!(matches!(broken, Err(LlmError::Status { status: 503, .. })));
    assert_eq!(clock.now(), seconds(1));
}

#[test]
fn the_same_seed_gives_the_same_pauses_and_another_gives_others() {
    let key = |text| RequestKey::of("m", &ask(text), KeyScope::User);
    let pause = |seed, key: &RequestKey| {
        let policy = RetryPolicy { seed, ..RetryPolicy::default() };
        policy.pause(key, 1, &status(500, None)).unwrap()
    };
    let (a, b) = (key("a"), key("b"));
    assert_eq!(pause(1, &a), pause(1, &a));
    assert_ne!(pause(1, &a), pause(2, &a));
    assert_ne!(pause(1, &a), pause(1, &b));
}

proptest! {
    #[test]
    fn a_pause_lies_between_its_bounds(attempt in 1u32..70, jitter in 0.0f64..=1.0, seed: u64, text in ".*") {
        let policy = RetryPolicy { attempts: 100, jitter, seed, ..RetryPolicy::default() };
        let key = RequestKey::of("m", &ask(&text), KeyScope::User);
        let pause = policy.pause(&key, attempt, &status(500, None)).unwrap().as_secs_f64();
        let full = (0.5 * 2f64.powi(i32::try_from(attempt).unwrap() - 1)).min(30.0);
        prop_assert!(pause <= full + 1e-9 && pause >= full * (1.0 - jitter) - 1e-9, "{} of {}", pause, full);
    }
}
