//! The cache: one call for equal requests, also for those that wait at the same time.

use std::sync::Arc;

use futures_util::future::{join, join_all, select};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hydra_llm::{Cached, Clock, KeyScope, LlmClient, LlmError, ScriptedClient, StreamEvent, VirtualClock, block_on};
use hydra_types::{Generation, UserId};

use crate::support::{Slow, Streaming, ask, by_user, end, last_piece, piece, seconds, status};

fn cached<C: LlmClient>(model: C, scope: KeyScope) -> Cached<C> {
    Cached::new(model, 1 << 20, scope, VirtualClock::new())
}

#[test]
fn an_equal_request_is_asked_once_and_failures_are_not_remembered() {
    let replies = [
        Err(status(500, None)),
        Ok(hydra_llm::Response::new(vec![hydra_llm::Choice::new("a")], hydra_llm::Usage::reported(1, 1))),
    ];
    let client = cached(ScriptedClient::replying(replies), KeyScope::User);
    assert!(block_on(client.complete(ask("?"))).is_err());
    let first = block_on(client.complete(ask("?"))).unwrap();
    let mut later = ask("?");
    later.deadline = Some(seconds(1));
    assert_eq!(block_on(client.complete(later)).unwrap(), first);
    let stats = client.stats();
    assert_eq!((stats.hits, stats.misses, stats.answers), (1, 2, 1));
}

#[test]
fn users_and_generations_are_kept_apart_unless_shared() {
    let ask_both = |scope| {
        let model = Arc::new(ScriptedClient::answering(["a", "b", "c", "d"]));
        let client = cached(Arc::clone(&model), scope);
        let mut renewed = by_user("?", 1);
        renewed.user.as_mut().unwrap().generation = Generation::FIRST.next();
        for request in [by_user("?", 1), by_user("?", 2), ask("?"), renewed, by_user("?", 1)] {
            block_on(client.complete(request)).unwrap();
        }
        model.asked().len()
    };
    assert_eq!(ask_both(KeyScope::User), 4);
    assert_eq!(ask_both(KeyScope::Shared), 1);
}

#[test]
fn a_forgotten_user_has_no_answers_left_and_the_others_keep_theirs() {
    let model = Arc::new(ScriptedClient::answering(["a", "b", "c"]));
    let client = cached(Arc::clone(&model), KeyScope::User);
    block_on(client.complete(by_user("?", 1))).unwrap();
    block_on(client.complete(by_user("?", 2))).unwrap();
    client.forget(UserId::new(1));
    assert_eq!(client.stats().answers, 1);
    block_on(client.complete(by_user("?", 2))).unwrap();
    assert_eq!(model.asked().len(), 2);
    block_on(client.complete(by_user("?", 1))).unwrap();
    assert_eq!(model.asked().len(), 3);
}

#[test]
fn an_answer_under_way_when_its_user_is_forgotten_is_given_and_not_kept() {
    let clock = VirtualClock::new();
    let client = cached(Slow::new(&clock, seconds(1)), KeyScope::User);
    clock.block_on(async {
        let mut call = client.complete(by_user("?", 1));
        assert!((&mut call).now_or_never().is_none());
        client.forget(UserId::new(1));
        assert_eq!(call.await.unwrap().text(), "?");
    });
    assert_eq!((client.stats().answers, client.stats().bytes), (0, 0));
}

#[test]
fn callers_at_the_same_moment_share_one_call_and_its_error() {
    let clock = VirtualClock::new();
    let slow = Slow::new(&clock, seconds(5));
    let client = Cached::new(&slow, 1 << 20, KeyScope::User, clock.clone());
    let answers = clock.block_on(join_all((0..10).map(|_| client.complete(ask("?")))));
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "?"));
    assert_eq!((slow.begun().len(), clock.now()), (1, seconds(5)));
    assert_eq!((client.stats().hits, client.stats().misses), (9, 1));
}

#[test]
fn when_the_one_who_asks_gives_up_another_asks() {
    let clock = VirtualClock::new();
    let slow = Slow::new(&clock, seconds(5));
    let client = Cached::new(&slow, 1 << 20, KeyScope::User, clock.clone());
    clock.block_on(async {
        let asking = client.complete(ask("?"));
        let waiting = client.complete(ask("?"));
        let gives_up = select(asking, clock.sleep(seconds(2)));
        let (_, answer) = join(async { drop(gives_up.await) }, waiting).await;
        assert_eq!(answer.unwrap().text(), "?");
    });
    assert_eq!(slow.begun(), [0, 2].map(seconds));
    assert_eq!(clock.now(), seconds(7));
}

#[test]
fn a_deadline_is_each_callers_own() {
    let clock = VirtualClock::new();
    let slow = Slow::new(&clock, seconds(5));
    let client = Cached::new(&slow, 1 << 20, KeyScope::User, clock.clone());
    let within = |limit| {
        let mut request = ask("?");
        request.deadline = Some(seconds(limit));
        client.complete(request)
    };
    // The first asks and runs out of time; the second waits, then asks itself; the third cannot wait that long.
    let results = clock.block_on(join_all([within(2), within(20), within(1)]));
    assert!(matches!(results[0], Err(LlmError::Timeout { limit }) if limit == seconds(2)));
    assert!(results[1].is_ok());
    assert!(matches!(results[2], Err(LlmError::Timeout { limit }) if limit == seconds(1)));
    assert_eq!(slow.begun(), [0, 2].map(seconds));
}

#[test]
fn the_least_recently_used_answer_goes_first_and_the_byte_budget_holds() {
    let texts: Vec<_> = (0..40).map(|i| format!("{i:0200}")).collect();
    let model = Arc::new(ScriptedClient::answering(texts.clone()));
    let client = Cached::new(Arc::clone(&model), 4000, KeyScope::User, VirtualClock::new());
    block_on(client.complete(ask("first"))).unwrap();
    for i in 0..20 {
        block_on(client.complete(ask(&format!("{i}")))).unwrap();
        block_on(client.complete(ask("first"))).unwrap();
        assert!(client.stats().bytes <= 4000);
    }
    assert_eq!(model.asked().len(), 21, "what is used stays");
    block_on(client.complete(ask("0"))).unwrap();
    assert_eq!(model.asked().len(), 22, "what is not used has gone");
    assert!((2..20).contains(&client.stats().answers));

    let tiny = Cached::new(ScriptedClient::answering(["a", "b"]), 10, KeyScope::User, VirtualClock::new());
    block_on(tiny.complete(ask("?"))).unwrap();
    assert_eq!(tiny.stats().answers, 0);
}

#[test]
fn a_whole_stream_fills_the_cache_and_a_broken_one_does_not() {
    let model =
        Streaming::new(vec![vec![piece("a"), Err(status(500, None))], vec![piece("a"), last_piece("b"), end(1, 2)]]);
    let client = cached(&model, KeyScope::User);
    let broken: Vec<_> = block_on(client.stream(ask("?")).collect());
    assert!(broken[1].is_err());
    let whole: Vec<StreamEvent> = block_on(client.stream(ask("?")).try_collect()).unwrap();
    assert_eq!((whole.len(), model.left()), (3, 0));
    assert_eq!(block_on(client.complete(ask("?"))).unwrap().text(), "ab");
    let replayed: Vec<StreamEvent> = block_on(client.stream(ask("?")).try_collect()).unwrap();
    assert_eq!(replayed.len(), 2);
}
