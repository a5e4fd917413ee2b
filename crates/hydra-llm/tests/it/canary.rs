//! A text and a key that must not be seen are sent through everything, and looked for wherever something can be seen.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::StreamExt;
use hydra_llm::{
    AnswerFault, ApiKey, ApiKeyError, Assembler, Budget, BudgetLimits, Budgeted, Cached, Cassette, CassetteMode,
    Choice, ErrorCode, FenceKey, KeyScope, Ledger, Ledgered, LengthLimits, Limited, Limits, LlmClient, LlmError,
    Message, Prices, Repeat, Request, Response, ResponseFormat, Retry, RetryPolicy, ScriptedClient, Template,
    TemplateParts, TokenEstimate, TokenLogprob, Usage, VirtualClock, Withheld, block_on, read_history,
};
use hydra_testkit::Seen;
use hydra_types::{Record, RecordId, Time};

const CANARY: &str = "canary-4f81d2";

#[test]
fn no_text_of_a_request_or_an_answer_is_seen_anywhere() {
    let seen = Seen::default();
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    tracing::subscriber::with_default(seen.clone(), || {
        let scripts = [
            vec![Ok(answer())],
            vec![Err(status(400)); 2],
            vec![Err(status(500)), Err(status(429)), Ok(answer()), Ok(answer())],
            vec![Err(AnswerFault::CutShort.into()); 10],
            vec![Ok(Response::new(Vec::new(), Usage::default())); 5],
        ];
        for (number, replies) in (0..).zip(scripts) {
            for streamed in [false, true] {
                let clock = VirtualClock::new();
                let model = ScriptedClient::replying(replies.clone());
                let retry = Retry::new(model, RetryPolicy::default(), clock.clone());
                let limited = Limited::new(
                    retry,
                    Limits { at_once: Some(1), ..Limits::default() },
                    TokenEstimate::default(),
                    clock.clone(),
                );
                let budget = Budget::new(
                    BudgetLimits { calls: Some(2), ..BudgetLimits::default() },
                    Prices::default(),
                    TokenEstimate::default(),
                );
                let spent = Ledgered::new(Budgeted::new(limited, budget.clone()), Ledger::new(), Prices::default());
                let recorded = Cassette::open(spent, &tape, CassetteMode::Record, KeyScope::User).unwrap();
                let client = Repeat::new(Cached::new(recorded, 1 << 20, KeyScope::User, clock.clone()), 1);
                let mut request = request();
                // Each script has its own place on the tape.
                request.draw = 2 * number + u64::from(streamed);
                for _ in 0..2 {
                    if streamed {
                        clock.block_on(async {
                            let mut events = client.stream(request.clone());
                            let mut assembler = Assembler::default();
                            while let Some(event) = events.next().await {
                                seen.note(&event);
                                match event {
                                    Ok(event) => assembler.push(event).unwrap(),
                                    Err(error) => seen.error(&error),
                                }
                            }
                            seen.note(&assembler);
                        });
                    } else {
                        match clock.block_on(client.complete(request.clone())) {
                            Ok(response) => seen.note(&response),
                            Err(error) => seen.error(&error),
                        }
                    }
                }
                seen.note(&(budget, request));
            }
        }
    });
    assert!(seen.text().contains("Response"), "the net catches something");
    assert!(seen.text().contains("trying again"), "log lines are caught");
    seen.holds_no(CANARY);
    let tape = fs::read(&tape).unwrap();
    assert!(!tape.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}

#[test]
fn no_text_of_a_prompt_is_seen_in_what_it_fails_with() {
    let seen = Seen::default();
    let parts = |user: &str| TemplateParts {
        system: String::new(),
        user: user.into(),
        input_name: "input".into(),
        output_name: CANARY.into(),
    };
    seen.error(&Template::new(parts("{{query}}")).unwrap_err());
    let template =
        Template::new(TemplateParts { output_name: "output".into(), ..parts("{{history}}{{query}}") }).unwrap();
    let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), CANARY, CANARY);
    let small = LengthLimits { query_bytes: 3, ..LengthLimits::default() };
    let key = FenceKey::new([1; 32]);
    seen.error(&template.render(&[&record], CANARY, &key, &small).unwrap_err());
    let prompt = template.render(&[&record], CANARY, &key, &LengthLimits::default()).unwrap();
    seen.note(&prompt);
    seen.note(&read_history(&template, &prompt.messages, prompt.fence()));
    seen.error(&read_history(&template, &prompt.messages, CANARY).unwrap_err());
    seen.holds_no(CANARY);
    seen.holds_no(prompt.fence());
}

#[test]
fn a_panic_of_a_script_says_nothing_of_the_request() {
    let client = ScriptedClient::answering::<&str>([]);
    let panic = catch_unwind(AssertUnwindSafe(|| block_on(client.complete(request())))).unwrap_err();
    let message =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
    let message = message.unwrap();
    assert!(message.contains("script") && !message.contains(CANARY), "{message}");
}

#[test]
fn a_key_is_used_in_one_place_and_scrubbed_from_what_others_say() {
    let key = ApiKey::new(format!(" sk-{CANARY}\n")).unwrap();
    assert_eq!(key.expose(), format!("sk-{CANARY}"));
    let said = key.scrub(&format!("incorrect key provided: sk-{CANARY}. try again"));
    assert_eq!(said, "incorrect key provided: [key]. try again");
    let seen = Seen::default();
    for bad in ["", " \n", "sk-ü", "a\nb", "a b"] {
        match ApiKey::new(bad) {
            Err(error @ (ApiKeyError::Empty | ApiKeyError::NotVisibleAscii)) => seen.error(&error),
            _ => panic!("{bad:?} is no key"),
        }
    }
    seen.note(&ErrorCode::parse(&format!("sk-{CANARY}-and-more-of-it")));
    seen.holds_no(CANARY);
}

#[test]
fn a_code_is_a_word_and_no_place_to_hide_a_text_in() {
    for code in ["rate_limit_exceeded", "429", "InternalServerError", "model.not.found"] {
        assert_eq!(ErrorCode::parse(code).unwrap().to_string(), code);
    }
    for text in ["", "two words", "a\nb", "ünknown", "sk-proj-0123456789abcdefghij", &"a".repeat(65)] {
        assert_eq!(ErrorCode::parse(text), None, "{text}");
    }
}

fn request() -> Request {
    let mut request = Request::new(vec![Message::system(CANARY), Message::user(CANARY)]);
    request.stop = vec!["never".into()];
    request.response_format = ResponseFormat::Text;
    request
}

fn answer() -> Response {
    let mut choice = Choice::new(CANARY);
    choice.reasoning = Some(CANARY.into());
    choice.logprobs =
        Some(vec![TokenLogprob { token: CANARY.into(), logprob: -0.1, top: vec![(CANARY.into(), -0.1)] }]);
    choice.extra.insert("refusal".into(), CANARY.into());
    let mut response = Response::new(vec![choice], Usage::default());
    response.extra.insert("note".into(), CANARY.into());
    response
}

fn status(status: u16) -> LlmError {
    LlmError::Status { status, code: ErrorCode::parse("some_code"), retry_after: None, said: Withheld::new(CANARY) }
}
