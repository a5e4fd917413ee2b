//! The trait behind pointers and boxes, and what capabilities admit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use hydra_llm::{
    AnswerFault, Assembler, Capabilities, Choice, Delta, End, Feature, FinishReason, LlmClient, LlmError, Request,
    RequestError, Response, ResponseFormat, ScriptedClient, StreamEvent, TokenLogprob, Usage, block_on,
};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{ask, end, piece};

#[test]
fn any_client_stands_behind_any_pointer() {
    let clients: Vec<Box<dyn LlmClient>> = vec![
        Box::new(ScriptedClient::answering(["a"])),
        Box::new(Arc::new(ScriptedClient::answering(["b"]))),
        Box::new(Arc::new(ScriptedClient::answering(["c"])) as Arc<dyn LlmClient>),
    ];
    let answers: Vec<_> = clients.iter().map(|c| block_on(c.complete(ask("?"))).unwrap().text().to_owned()).collect();
    assert_eq!(answers, ["a", "b", "c"]);
}

#[test]
fn futures_run_on_whatever_thread_polls_them() {
    let client: Arc<dyn LlmClient> = Arc::new(ScriptedClient::answering(["a", "b"]));
    let texts: Vec<_> = (0..2)
        .map(|_| {
            let client = Arc::clone(&client);
            std::thread::spawn(move || block_on(client.complete(ask("?"))).unwrap().text().to_owned())
        })
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(texts, ["a", "b"]);
}

#[test]
fn a_client_that_cannot_stream_streams_all_at_once() {
    let client = ScriptedClient::answering(["drama"]);
    let events: Vec<_> = block_on(client.stream(ask("?")).try_collect()).unwrap();
    assert!(matches!(&events[..], [StreamEvent::Delta(delta), StreamEvent::End(_)] if delta.text == "drama"));
}

#[test]
fn what_is_lacking_is_named_before_anything_is_sent() {
    let plain = ScriptedClient::answering::<&str>([]);
    type Change = fn(&mut Request);
    let cases: [(Change, Feature); 5] = [
        (|r| r.n = 2, Feature::SeveralAnswers { most: 1 }),
        (|r| r.logprobs = Some(0), Feature::Logprobs),
        (|r| r.seed = Some(1), Feature::Seed),
        (|r| r.response_format = ResponseFormat::JsonObject, Feature::JsonObject),
        (
            |r| r.response_format = ResponseFormat::JsonSchema { name: "s".into(), schema: json!({}) },
            Feature::JsonSchema,
        ),
    ];
    for (change, lacking) in cases {
        let mut request = ask("?");
        change(&mut request);
        match block_on(plain.complete(request.clone())) {
            Err(LlmError::Unsupported { feature, model }) => assert_eq!((feature, &*model), (lacking, "scripted")),
            other => panic!("{other:?}"),
        }
        let mut able = Capabilities::new("able");
        (able.max_n, able.logprobs, able.seed, able.json_object, able.json_schema) = (2, true, true, true, true);
        able.admit(&request).unwrap();
    }
    assert!(plain.asked().is_empty());
}

#[test]
fn a_request_that_no_model_could_be_asked_is_refused() {
    type Change = fn(&mut Request);
    let cases: [(Change, RequestError); 12] = [
        (|r| r.messages.clear(), RequestError::NoMessages),
        (|r| r.n = 0, RequestError::N { got: 0 }),
        (|r| r.n = 1025, RequestError::N { got: 1025 }),
        (|r| r.temperature = Some(-0.1), RequestError::Temperature { got: -0.1 }),
        (|r| r.temperature = Some(f32::INFINITY), RequestError::Temperature { got: f32::INFINITY }),
        (|r| r.top_p = Some(0.0), RequestError::TopP { got: 0.0 }),
        (|r| r.top_p = Some(1.5), RequestError::TopP { got: 1.5 }),
        (|r| r.top_p = Some(f32::NEG_INFINITY), RequestError::TopP { got: f32::NEG_INFINITY }),
        (|r| r.stop = vec!["a".into(), String::new()], RequestError::EmptyStop),
        (|r| r.max_tokens = Some(0), RequestError::NoTokens),
        (|r| r.deadline = Some(Duration::ZERO), RequestError::NoTime),
        (|r| r.temperature = Some(-f32::MAX), RequestError::Temperature { got: -f32::MAX }),
    ];
    for (change, expected) in cases {
        let mut request = ask("?");
        change(&mut request);
        assert_eq!(request.check(), Err(expected));
    }
    let mut nan = ask("?");
    nan.temperature = Some(f32::NAN);
    assert!(nan.check().is_err());
}

#[test]
fn a_stream_without_an_end_is_cut_short_and_one_that_goes_on_is_refused() {
    let mut assembler = Assembler::default();
    assembler.push(piece("a").unwrap()).unwrap();
    assert!(matches!(assembler.finish(), Err(LlmError::BadAnswer(AnswerFault::CutShort))));

    let mut assembler = Assembler::default();
    assembler.push(end(1, 1).unwrap()).unwrap();
    let after = assembler.push(piece("a").unwrap());
    assert!(matches!(after, Err(LlmError::BadAnswer(AnswerFault::AfterTheEnd))));

    let mut assembler = Assembler::default();
    let far = StreamEvent::Delta(Delta { choice: usize::MAX, ..Delta::default() });
    assert!(matches!(assembler.push(far), Err(LlmError::BadAnswer(AnswerFault::TooLarge))));
}

fn any_response() -> impl Strategy<Value = Response> {
    let token = (".{0,3}", -9.0f32..0.0).prop_map(|(token, logprob)| TokenLogprob {
        token: token.clone(),
        logprob,
        top: vec![(token, logprob)],
    });
    let choice = (".*", prop::option::of(".*"), prop::option::of(prop::collection::vec(token, 0..3)), any::<bool>())
        .prop_map(|(text, reasoning, logprobs, whole)| {
            let mut choice = Choice::new(text);
            choice.reasoning = reasoning;
            choice.logprobs = logprobs;
            choice.finish = if whole { FinishReason::Stop } else { FinishReason::Length };
            choice.extra.insert("k".into(), json!([1, "ü"]));
            choice
        });
    (prop::collection::vec(choice, 0..4), any::<u32>(), any::<u32>(), prop::option::of(".*")).prop_map(
        |(choices, prompt, completion, model)| {
            let mut response = Response::new(choices, Usage::reported(prompt.into(), completion.into()));
            response.model = model;
            response.extra.insert("id".into(), json!("x"));
            response
        },
    )
}

proptest! {
    #[test]
    fn a_response_survives_being_streamed(response in any_response()) {
        let mut assembler = Assembler::default();
        for event in response.clone().into_events() {
            assembler.push(event).unwrap();
        }
        prop_assert_eq!(assembler.finish().unwrap(), response);
    }

    #[test]
    fn a_response_survives_json(response in any_response()) {
        let json = serde_json::to_string(&response).unwrap();
        prop_assert_eq!(serde_json::from_str::<Response>(&json).unwrap(), response);
    }

    #[test]
    fn pieces_make_the_same_text_however_they_are_cut(text in ".{0,30}", cuts in prop::collection::vec(0usize..30, 0..6)) {
        let chars: Vec<char> = text.chars().collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(chars.len())).chain([0, chars.len()]).collect();
        cuts.sort_unstable();
        let mut assembler = Assembler::default();
        for pair in cuts.windows(2) {
            assembler.push(piece(&chars[pair[0]..pair[1]].iter().collect::<String>()).unwrap()).unwrap();
        }
        prop_assert_eq!(assembler.text_bytes(), text.len());
        assembler.push(StreamEvent::End(End::default())).unwrap();
        let response = assembler.finish().unwrap();
        prop_assert_eq!(response.text(), text);
    }
}
