//! Embeddings and reranking.

use hydra_llm::{AnswerFault, LlmError, UsageSource, block_on};
use serde_json::json;

use crate::server::{Server, Step, answer, json as json_answer};

/// What comes of this body, asked for the vectors of two texts.
fn embed(body: &str) -> Result<(Vec<Vec<f32>>, UsageSource), LlmError> {
    let server = Server::answering(vec![json_answer(body)]);
    block_on(server.client().embed(&["a film", "a book"], None)).map(|e| (e.vectors, e.usage.source))
}

#[test]
fn vectors_are_read_in_every_form_and_put_in_order() {
    let expected = vec![vec![0.5, -1.25, 3.0], vec![0.0, 1.0, 2.0]];
    for (issue, body) in [
        (
            "as documented",
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.25,3]},{"object":"embedding","index":1,"embedding":[0,1,2]}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#,
        ),
        ("in another order", r#"{"data":[{"index":1,"embedding":[0,1,2]},{"index":0,"embedding":[0.5,-1.25,3]}]}"#),
        // By Python: base64.b64encode(struct.pack("<3f", 0.5, -1.25, 3.0)).
        (
            "huggingface/text-embeddings-inference#288",
            r#"{"data":[{"index":0,"embedding":"AAAAPwAAoL8AAEBA"},{"index":1,"embedding":[0,1,2]}]}"#,
        ),
        (
            "vllm-project/vllm#5935",
            r#"{"data":[{"index":0,"embedding":[[0.5,-1.25,3]]},{"index":1,"embedding":[[0,1,2]]}]}"#,
        ),
        ("without numbers", r#"{"data":[{"embedding":[0.5,-1.25,3]},{"embedding":[0,1,2]}]}"#),
        ("bare", "[[0.5,-1.25,3],[0,1,2]]"),
    ] {
        let (vectors, source) = embed(body).unwrap_or_else(|error| panic!("{issue}: {error:?}"));
        assert_eq!(vectors, expected, "{issue}");
        let counted = if issue == "as documented" { UsageSource::Reported } else { UsageSource::Estimated };
        assert_eq!(source, counted, "{issue}");
    }
}

#[test]
fn vectors_that_do_not_fit_the_texts_are_refused() {
    for body in [
        // plastic-labs/honcho#938
        r#"{"data":[]}"#,
        r#"{"data":null}"#,
        r#"{"data":[{"index":0,"embedding":[1]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[2]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#,
        r#"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[NaN]}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1e39]}]}"#,
        r#"{"data":[{"index":0,"embedding":"!"},{"index":1,"embedding":"AAAA"}]}"#,
        r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2]},{"index":2,"embedding":[3]}]}"#,
    ] {
        let error = embed(body).unwrap_err();
        assert!(matches!(error, LlmError::BadAnswer(AnswerFault::Field { field: "data" })), "{body}: {error:?}");
    }
    assert!(matches!(embed(r#"{"error":{"message":"no","code":429}}"#), Err(LlmError::Status { status: 429, .. })));
}

#[test]
fn an_embeddings_call_is_sent_as_the_api_documents_it() {
    let server = Server::answering(vec![json_answer(r#"{"data":[{"index":0,"embedding":[1]}]}"#)]);
    let client = server.client();
    block_on(client.embed(&["a film"], None)).unwrap();
    assert!(block_on(client.embed(&[], None)).unwrap().vectors.is_empty());
    let received = server.received();
    assert_eq!((received.len(), received[0].path()), (1, "/v1/embeddings"));
    assert_eq!(received[0].json(), json!({"model": "m", "input": ["a film"], "encoding_format": "float"}));
}

fn scores(body: &str) -> Result<Vec<f32>, LlmError> {
    let server = Server::answering(vec![json_answer(body)]);
    let scores = block_on(server.client().rerank("films", &["a film", "a book"], None))?;
    Ok(scores.into_iter().map(hydra_llm::Score::get).collect())
}

#[test]
fn scores_are_read_in_every_form_and_put_in_order() {
    for (issue, body) in [
        // ggml-org/llama.cpp#9510: logits, in the order of the documents.
        (
            "llama.cpp",
            r#"{"model":"m","object":"list","usage":{"prompt_tokens":9},"results":[{"index":0,"relevance_score":3.5},{"index":1,"relevance_score":-8.25}]}"#,
        ),
        (
            "huggingface/text-embeddings-inference#683",
            r#"{"results":[{"index":1,"relevance_score":-8.25},{"index":0,"relevance_score":3.5,"document":{"text":"a film"}}]}"#,
        ),
        ("CrispStrobe/CrispEmbed#51", r#"{"results":[{"index":0,"score":3.5},{"index":1,"score":-8.25}]}"#),
        (
            "Voyage",
            r#"{"object":"list","data":[{"index":0,"relevance_score":3.5},{"index":1,"relevance_score":-8.25}]}"#,
        ),
        ("Text Embeddings Inference", r#"[{"index":0,"score":3.5},{"index":1,"score":-8.25}]"#),
    ] {
        assert_eq!(scores(body).unwrap(), [3.5, -8.25], "{issue}");
    }
    for body in [
        r#"{"results":[{"index":0,"score":1}]}"#,
        r#"{"results":[{"index":0,"score":1},{"index":0,"score":1}]}"#,
        r#"{"results":[{"index":0,"score":1},{"index":1,"score":null}]}"#,
        r#"{"results":[{"index":0,"score":1},{"index":1,"score":NaN}]}"#,
        r#"{"results":"no"}"#,
    ] {
        let error = scores(body).unwrap_err();
        assert!(matches!(error, LlmError::BadAnswer(AnswerFault::Field { field: "results" })), "{body}: {error:?}");
    }
}

#[test]
fn a_server_that_reranks_outside_of_v1_is_found() {
    let server = Server::start(|_, request| {
        let found = request.path() == "/rerank";
        vec![Step::Send(if found {
            json_answer(r#"[{"index":0,"score":0.5}]"#)
        } else {
            answer(404, "application/json", br#"{"error":"no such route"}"#)
        })]
    });
    let scores = block_on(server.client().rerank("films", &["a film"], None)).unwrap();
    assert_eq!(scores[0].get(), 0.5);
    let received = server.received();
    assert_eq!((received[0].path(), received[1].path()), ("/v1/rerank", "/rerank"));
    assert_eq!(received[0].json(), json!({"model": "m", "query": "films", "documents": ["a film"], "top_n": 1}));
    assert_eq!(received[1].json()["texts"], json!(["a film"]));
    assert!(block_on(server.client().rerank("films", &[], None)).unwrap().is_empty());

    let gone = Server::answering(vec![answer(404, "application/json", b"{}")]);
    let error = block_on(gone.client().rerank("films", &["a film"], None)).unwrap_err();
    assert!(matches!(error, LlmError::Status { status: 404, .. }));
}
