//! Several answers made of repeated calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt;
use hydra_llm::{
    AnswerFault, Cached, Choice, KeyScope, LlmClient, LlmError, Repeat, Response, ScriptedClient, Usage, VirtualClock,
    block_on,
};

use crate::support::{Slow, able, ask, seconds, status};

fn choices(texts: &[&str]) -> Result<Response, LlmError> {
    Ok(Response::new(texts.iter().map(|&text| Choice::new(text)).collect(), Usage::reported(10, 1)))
}

fn texts(response: &Response) -> Vec<&str> {
    response.choices.iter().map(|choice| choice.text.as_str()).collect()
}

#[test]
fn a_model_of_one_answer_is_asked_n_times_with_its_own_draw_and_seed() {
    let mut seeded = able("one");
    seeded.max_n = 1;
    let script = (0..4).map(|i| choices(&[["a", "b", "c", "d"][i]]));
    let model = Arc::new(ScriptedClient::replying(script).with_capabilities(seeded));
    let client = Repeat::new(Arc::clone(&model), 2);
    let mut request = ask("?");
    (request.n, request.seed, request.draw) = (4, Some(u64::MAX - 1), 2);
    let response = block_on(client.complete(request)).unwrap();
    assert_eq!(texts(&response), ["a", "b", "c", "d"]);
    assert_eq!(response.usage, Usage::reported(40, 4));
    let asked = model.asked();
    assert!(asked.iter().all(|request| request.n == 1));
    assert_eq!(asked.iter().filter_map(|request| request.seed).collect::<Vec<_>>(), [u64::MAX - 1, u64::MAX, 0, 1]);
    assert_eq!(asked.iter().map(|request| request.draw).collect::<Vec<_>>(), [4096, 4097, 4098, 4099]);
}

#[test]
fn a_server_that_ignores_n_is_asked_for_the_rest() {
    let model = Arc::new(
        ScriptedClient::replying([choices(&["a"]), choices(&["b"]), choices(&["c", "spare"])])
            .with_capabilities(able("ignores n")),
    );
    let mut request = ask("?");
    (request.n, request.seed) = (3, Some(100));
    let response = block_on(Repeat::new(Arc::clone(&model), 8).complete(request)).unwrap();
    assert_eq!(texts(&response), ["a", "b", "c"]);
    assert_eq!(model.asked().iter().map(|request| request.n).collect::<Vec<_>>(), [3, 1, 1]);
    // None of the seeds that the server may have used for the first three is used again.
    assert_eq!(model.asked().iter().filter_map(|request| request.seed).collect::<Vec<_>>(), [100, 104, 105]);
}

#[test]
fn more_answers_than_a_server_gives_at_once_come_in_parts() {
    let script = [choices(&["a"; 8]), choices(&["b"; 8]), choices(&["c"; 4])];
    let model = Arc::new(ScriptedClient::replying(script).with_capabilities(able("eight")));
    let mut request = ask("?");
    request.n = 20;
    assert_eq!(block_on(Repeat::new(Arc::clone(&model), 1).complete(request)).unwrap().choices.len(), 20);
    assert_eq!(model.asked().iter().map(|request| request.n).collect::<Vec<_>>(), [8, 8, 4]);
}

#[test]
fn an_answer_without_choices_and_an_error_end_it() {
    let mut request = ask("?");
    request.n = 2;
    let empty = Repeat::new(ScriptedClient::replying([choices(&[])]).with_capabilities(able("m")), 1);
    let result = block_on(empty.complete(request.clone()));
    assert!(matches!(result, Err(LlmError::BadAnswer(AnswerFault::Empty))));
    let broken = ScriptedClient::replying([choices(&["a"]), Err(status(500, None))]);
    assert!(block_on(Repeat::new(broken, 1).complete(request)).is_err());
}

#[test]
fn draws_of_one_request_run_at_once_and_no_more_than_allowed() {
    let clock = VirtualClock::new();
    let slow = Slow::new(&clock, seconds(1));
    struct One<'a>(&'a Slow);
    impl LlmClient for One<'_> {
        fn capabilities(&self) -> hydra_llm::Capabilities {
            hydra_llm::Capabilities::new("one")
        }
        fn complete(&self, request: hydra_llm::Request) -> hydra_llm::BoxFuture<'_, Result<Response, LlmError>> {
            self.0.complete(request)
        }
    }
    let mut request = ask("?");
    request.n = 6;
    clock.block_on(Repeat::new(One(&slow), 3).complete(request)).unwrap();
    assert_eq!(slow.state.lock().unwrap().most_running, 3);
}

#[test]
fn a_cache_below_keeps_the_draws_apart() {
    let model = Arc::new(ScriptedClient::answering(["a", "b", "c", "d"]));
    let cached = Cached::new(Arc::clone(&model), 1 << 20, KeyScope::User, VirtualClock::new());
    let client = Repeat::new(cached, 4);
    let mut request = ask("?");
    request.n = 3;
    let first = block_on(client.complete(request.clone())).unwrap();
    assert_eq!(texts(&first).into_iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(block_on(client.complete(request.clone())).unwrap(), first);
    request.draw = 1;
    request.n = 1;
    assert_eq!(texts(&block_on(client.complete(request)).unwrap()), ["d"]);
}

#[test]
fn several_answers_stream_when_all_are_there() {
    let model = ScriptedClient::answering(["a", "b"]);
    let mut request = ask("?");
    request.n = 2;
    let events: Vec<_> = block_on(Repeat::new(model, 1).stream(request).try_collect()).unwrap();
    assert_eq!(events.len(), 3);
}
