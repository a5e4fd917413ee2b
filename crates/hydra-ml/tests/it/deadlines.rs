//! Who waits no longer, and who is not made to.

use std::sync::Mutex;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use hydra_ml::adapter::{AdaptError, AdaptRequest, Adapted, Adapter, FirstCandidate};
use hydra_ml::llm::{
    BoxFuture, Capabilities, Choice, Clock, LlmClient, LlmError, Request, Response, SystemClock, Usage, block_on,
};
use hydra_ml::{Answer, Ask, PersonalizeError, Personalizer};

use crate::gate::{Gate, Part};
use crate::toy::{Place, day, prompt, record, scope};

/// So short that it passes in any test, and long enough for something to begin.
const SOON: Duration = Duration::from_millis(20);

fn ask(user: u128, query: &str) -> Ask {
    Ask::new(&scope(user), query, day(9))
}

/// Comes back when the worker has done, or given up, all that it was asked until now.
fn until_idle(hydra: &Personalizer) {
    block_on(hydra.fit(&scope(99))).unwrap();
}

fn is_late(answer: &Result<Answer, PersonalizeError>) -> bool {
    matches!(answer, Err(PersonalizeError::Deadline))
}

#[test]
fn a_client_that_never_answers_costs_no_more_than_the_deadline() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    let _held = gate.hold(Part::Client);
    assert!(is_late(&block_on(hydra.answer(ask(1, "rain").within(SOON)))));
}

#[test]
fn a_busy_worker_costs_no_more_than_the_deadline() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    for busy_with in [Part::Encoder, Part::Reranker, Part::Adapter] {
        let (begun, go_on) = gate.hold(busy_with);
        std::thread::scope(|threads| {
            let other = threads.spawn(|| block_on(hydra.answer(ask(2, "sun"))).unwrap());
            block_on(begun).unwrap();
            gate.calls();
            assert!(is_late(&block_on(hydra.answer(ask(1, "rain").within(SOON)))));
            drop(go_on);
            assert_eq!(other.join().unwrap().text, "sun");
        });
        until_idle(&hydra);
        // Only what the other one's answer still needed: whoever was late was not even encoded.
        let after =
            [Part::Reranker, Part::Client, Part::Adapter].into_iter().filter(|&part| part as u8 > busy_with as u8);
        assert_eq!(gate.calls(), after.map(|part| (part, 1)).collect::<Vec<_>>());
    }
}

#[test]
fn who_is_late_is_not_encoded_beside_who_is_not() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    let asks = vec![ask(1, "late").within(Duration::from_nanos(1)), ask(1, "rain")];
    let answers = block_on(hydra.answer_many(asks));
    assert!(is_late(&answers[0]) && answers[1].is_ok());
    assert_eq!(gate.calls()[0], (Part::Encoder, 1));
}

#[test]
fn what_is_ready_together_is_picked_together() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    let answers = block_on(hydra.answer_many((0..40).map(|user| ask(user, &format!("word{user}"))).collect()));
    for (user, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().text, format!("word{user}"));
    }
    assert_eq!(gate.calls().last(), Some(&(Part::Adapter, 40)));
}

/// A client whose call of "slow" ends when the adapter has picked for somebody else.
struct Waits(Mutex<Option<oneshot::Receiver<()>>>);

struct Tells(Option<oneshot::Sender<()>>);

impl LlmClient for Waits {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("waits")
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let slow = prompt(&request).contains("slow");
            if slow {
                let picked = self.0.lock().unwrap().take().unwrap();
                picked.await.unwrap();
            }
            Ok(Response::new(vec![Choice::new(if slow { "slow" } else { "fast" })], Usage::reported(7, 1)))
        })
    }
}

impl Adapter for Tells {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        if let Some(picked) = self.0.take() {
            picked.send(()).unwrap();
        }
        FirstCandidate.adapt(requests)
    }
}

#[test]
fn a_slow_sibling_delays_nobodys_pick_and_answers_keep_their_order() {
    let place = Place::new();
    let (tell, told) = oneshot::channel();
    let hydra = place.plain_with(Waits(Mutex::new(Some(told)))).adapter(Tells(Some(tell))).build().unwrap();
    // A minute, so that a pick which waits for the slow one fails and does not hang.
    let asks = ["slow", "one", "two"].map(|query| ask(1, query).within(Duration::from_secs(60)));
    let answers = block_on(hydra.answer_many(asks.to_vec()));
    let texts: Vec<String> = answers.into_iter().map(|answer| answer.unwrap().text).collect();
    assert_eq!(texts, ["slow", "fast", "fast"]);
}

/// An adapter that takes longer than [`SOON`].
struct Slow;

impl Adapter for Slow {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        block_on(SystemClock.sleep(2 * SOON));
        FirstCandidate.adapt(requests)
    }
}

#[test]
fn what_the_adapter_made_too_late_is_late() {
    let place = Place::new();
    let hydra = place.plain_with(Gate::default()).adapter(Slow).build().unwrap();
    let answers = block_on(hydra.answer_many(vec![ask(1, "rain").within(SOON), ask(2, "sun")]));
    assert!(is_late(&answers[0]), "{answers:?}");
    assert_eq!(answers[1].as_ref().unwrap().text, "sun");
}

#[test]
fn a_dropped_future_begins_nothing_any_more() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    for user in [1, 2] {
        block_on(hydra.learn(&scope(user), vec![record(1, "rain")])).unwrap();
    }
    // Two users: each has a call of the encoder, and of the client, of their own.
    let expected = [
        (Part::Encoder, vec![(Part::Encoder, 1)]),
        (Part::Reranker, vec![(Part::Encoder, 1), (Part::Encoder, 1), (Part::Reranker, 2)]),
    ];
    for (part, calls) in expected {
        gate.calls();
        let (begun, go_on) = gate.hold(part);
        let answers = Box::pin(hydra.answer_many(vec![ask(1, "rain"), ask(2, "rain")]));
        let Either::Right((_, answers)) = block_on(select(answers, begun)) else { panic!("{part:?} is held") };
        drop(answers);
        drop(go_on);
        until_idle(&hydra);
        assert_eq!(gate.calls(), calls);
    }
    for (part, calls) in [(Part::Client, 3), (Part::Adapter, 4)] {
        gate.calls();
        let (begun, go_on) = gate.hold(part);
        let Either::Right((_, answer)) = block_on(select(Box::pin(hydra.answer(ask(1, "rain"))), begun)) else {
            panic!("{part:?} is held")
        };
        drop(answer);
        drop(go_on);
        until_idle(&hydra);
        let all = [Part::Encoder, Part::Reranker, Part::Client, Part::Adapter].map(|part| (part, 1));
        assert_eq!(gate.calls(), all[..calls]);
    }
    assert_eq!(block_on(hydra.answer(ask(1, "rain"))).unwrap().text, "rain", "the pipeline goes on");
}

#[test]
fn a_closed_pipeline_has_let_go_of_the_store() {
    let (place, gate) = (Place::new(), Gate::default());
    let hydra = gate.pipeline(&place).build().unwrap();
    let (begun, go_on) = gate.hold(Part::Encoder);
    let answer = Box::pin(hydra.answer(ask(1, "rain")));
    let Either::Right((_, answer)) = block_on(select(answer, begun)) else { panic!("the encoder is held") };
    drop(answer);
    let mut closing = Box::pin(hydra.clone().close());
    drop(hydra);
    assert!((&mut closing).now_or_never().is_none(), "the thread is still at work");
    drop(go_on);
    block_on(closing);
    place.open_again();
}
