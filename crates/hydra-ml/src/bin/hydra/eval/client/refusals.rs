//! Requests that a model refuses for good.

use hydra_llm::{BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Request, Response, Usage};

/// A client that answers without a choice where the model says that it will never answer this request: a cassette above it
/// remembers that, and the run repeats, refusals included.
pub(super) struct Refusals<C> {
    inner: C,
}

impl<C: LlmClient> Refusals<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner }
    }
}

impl<C: LlmClient> LlmClient for Refusals<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            match self.inner.complete(request).await {
                Err(error) if is_final(&error) => Ok(Response::new(Vec::new(), Usage::default())),
                answer => answer,
            }
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.inner.stream(request)
    }
}

/// Only what is certain: a bad request may be the fault of an option, which the next run has right.
fn is_final(error: &LlmError) -> bool {
    match error {
        LlmError::ContextOverflow { .. } => true,
        LlmError::Status { code: Some(code), .. } => FILTERED.contains(&code.as_str()),
        _ => false,
    }
}

/// How servers call a prompt, or an answer, that a filter stopped: Azure and OpenAI, OpenAI's older name, and Alibaba.
const FILTERED: [&str; 3] = ["content_filter", "content_policy_violation", "data_inspection_failed"];

#[cfg(test)]
mod tests {
    use hydra_llm::{Cassette, CassetteMode, Choice, ErrorCode, KeyScope, Message, ScriptedClient, Withheld, block_on};

    use super::*;

    #[test]
    fn a_refusal_is_recorded_and_a_bad_request_is_not() {
        let said = || Withheld::new("no");
        let status =
            |code| LlmError::Status { status: 400, code: ErrorCode::parse(code), retry_after: None, said: said() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.cassette");
        let record = |replies: Vec<Result<Response, LlmError>>| {
            let script = Refusals::new(ScriptedClient::replying(replies));
            Cassette::open(script, &path, CassetteMode::Record, KeyScope::User).unwrap()
        };
        let ask = |client: &Cassette<_>, text| block_on(client.complete(Request::new(vec![Message::user(text)])));
        let replies =
            vec![Err(LlmError::ContextOverflow { said: said() }), Err(status("content_filter")), Err(status("bad"))];
        let first = record(replies);
        for text in ["long", "rude"] {
            assert_eq!(ask(&first, text).unwrap().choices, []);
        }
        assert!(ask(&first, "odd").is_err());
        drop(first);
        // Only the last one is asked again: the script has one answer.
        let second = record(vec![Ok(Response::new(vec![Choice::new("yes")], Usage::reported(1, 1)))]);
        for (text, choices) in [("long", 0), ("rude", 0), ("odd", 1)] {
            assert_eq!(ask(&second, text).unwrap().choices.len(), choices, "{text}");
        }
    }
}
