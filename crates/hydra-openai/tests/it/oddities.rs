//! What real servers send. Each case names the public issue or pull request that it is made after.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use hydra_llm::{
    AnswerFault, Assembler, ErrorCode, FinishReason, LlmClient, LlmError, Request, Response, StreamEvent, UsageSource,
    block_on,
};
use serde_json::json;

use crate::server::{Server, answer, ask, json as json_answer};

/// One way to be odd, and what it means.
struct Oddity {
    issue: &'static str,
    asked: Asked,
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    means: Means,
}

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Whole,
    Streamed,
}

enum Means {
    Answer(&'static str, FinishReason, fn(&Response)),
    Error(fn(&LlmError) -> bool),
}

/// An answer that was asked for as a whole.
fn whole(issue: &'static str, body: &str) -> Oddity {
    Oddity {
        issue,
        asked: Asked::Whole,
        status: 200,
        content_type: "application/json",
        body: body.as_bytes().to_vec(),
        means: Means::Error(|_| false),
    }
}

/// An answer that was asked for as a stream.
fn streamed(issue: &'static str, body: &str) -> Oddity {
    Oddity { asked: Asked::Streamed, content_type: "text/event-stream", ..whole(issue, body) }
}

impl Oddity {
    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    fn says(self, text: &'static str) -> Self {
        self.ends(text, FinishReason::Stop)
    }

    fn ends(self, text: &'static str, finish: FinishReason) -> Self {
        self.and(text, finish, |_| {})
    }

    fn and(mut self, text: &'static str, finish: FinishReason, check: fn(&Response)) -> Self {
        self.means = Means::Answer(text, finish, check);
        self
    }

    fn fails(mut self, is: fn(&LlmError) -> bool) -> Self {
        self.means = Means::Error(is);
        self
    }
}

fn oddities() -> Vec<Oddity> {
    use FinishReason::{Length, Stop, ToolCalls, Unknown};
    [whole_answers(Stop, Length, Unknown), errors(), frames(Stop), streams(Stop, Unknown, ToolCalls)]
        .into_iter()
        .flatten()
        .collect()
}

/// Fields that are missing, null, of another type, or new.
fn whole_answers(stop: FinishReason, length: FinishReason, unknown: FinishReason) -> Vec<Oddity> {
    vec![
        whole("64bit/async-openai#352", r#"{"id":"x","choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}]}"#).says("A"),
        whole("aallam/openai-kotlin#412", r#"{"choices":[{"finish_reason":"stop","index":0,"message":{"content":"A","role":"assistant"}}],"created":1736837,"model":"gemini-1.5-flash","object":"chat.completion","usage":{"completion_tokens":1,"prompt_tokens":5,"total_tokens":6}}"#)
            .and("A", stop, |r| assert_eq!((r.model.as_deref(), r.usage.total_tokens()), (Some("gemini-1.5-flash"), 6))),
        whole("64bit/async-openai#283", r#"{"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#)
            .and("A", stop, |r| assert_eq!((r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.source), (5, 7, UsageSource::Reported))),
        whole("agentgateway/agentgateway#2371", r#"{"choices":[{"finish_reason":"stop","message":{"content":"A","role":"assistant"}},{"finish_reason":"stop","message":{"content":"B"}}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[1].text, "B")),
        whole("64bit/async-openai#46", r#"{"choices":[{"message":{"role":"assistant","content":"A"},"finish_reason":null,"index":0}],"usage":{"prompt_tokens":1898,"completion_tokens":1040}}"#).ends("A", unknown),
        whole("64bit/async-openai#457", r#"{"id":"chat04","object":"chat.completion","created":1761988004,"model":"moonshotai/kimi-k2","choices":[{"index":0,"message":{"role":"assistant","content":"A"},"logprobs":null,"finish_reason":"stop"}],"usage":{"queue_time":0.24,"prompt_tokens":368,"prompt_time":0.04,"completion_tokens":268,"total_tokens":636},"usage_breakdown":null,"x_groq":{"id":"req"},"service_tier":"on_demand"}"#)
            .and("A", stop, |r| {
                assert_eq!((r.usage.prompt_tokens, r.usage.completion_tokens), (368, 268));
                assert_eq!(r.extra["service_tier"], "on_demand");
                assert_eq!(r.extra["x_groq"], json!({"id": "req"}));
            }),
        whole("spiceai/spiceai#5418", r#"{"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"A","role":"assistant"}}],"created":1744857525.254391,"usage":{"completion_tokens":1,"is_last_response":true,"prompt_tokens":49,"stop_reason":"stop","total_latency":0.06,"total_tokens":50}}"#)
            .and("A", stop, |r| assert_eq!(r.usage.prompt_tokens, 49)),
        whole("64bit/async-openai#586", r#"{"created":234234234.0,"choices":[{"index":0.0,"message":{"content":"A"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12.0,"completion_tokens":"3"}}"#)
            .and("A", stop, |r| assert_eq!((r.usage.prompt_tokens, r.usage.completion_tokens), (12, 3))),
        whole("meilisearch/meilisearch#6327", r#"{"choices":[{"index":0,"message":{"content":[{"type":"reference","reference_ids":[1]},{"type":"text","text":"A "},{"type":"text","text":"B"}]},"finish_reason":"stop"}]}"#).says("A B"),
        whole("tghamm/Mistral.SDK#35", r#"{"choices":[{"index":0,"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"A"}]},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].reasoning.as_deref(), Some("hm"))),
        whole("vllm-project/vllm#12473", r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"A","reasoning_content":"hm"},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].reasoning.as_deref(), Some("hm"))),
        whole("xtekky/gpt4free#3135", r#"{"choices":[{"index":0,"message":{"content":"A","reasoning":"hm","reasoning_content":"hm"},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].reasoning.as_deref(), Some("hm"))),
        whole("0xPlaygrounds/rig#1172", r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"A","refusal":null,"reasoning":null},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!((r.choices[0].reasoning.as_deref(), r.choices[0].extra.len()), (None, 0))),
        whole("QwenLM/qwen-code#9884", r#"{"choices":[{"message":{"role":"assistant"},"index":0,"finish_reason":"MAX_TOKENS"}],"usage":{"completion_tokens":5,"prompt_tokens":9,"total_tokens":14},"id":"chat","object":"chat.completion.chunk"}"#).ends("", length),
        whole("foundation-model-stack/fms-guardrails-orchestrator#452", r#"{"choices":[{"index":0,"message":{"content":"A","tool_calls":[]},"logprobs":null,"finish_reason":"stop","stop_reason":13}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].extra["stop_reason"], 13)),
        whole("ai-dynamo/dynamo#13984", r#"{"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"error"}]}"#)
            .and("A", unknown, |r| assert_eq!(r.choices[0].extra["finish_reason"], "error")),
        whole("vllm-project/vllm#4149", r#"{"choices":[{"index":0,"message":{"content":"A"},"logprobs":{"content":[{"token":"A","logprob":-0.25,"top_logprobs":[{"token":"A","logprob":-0.25},{"token":"NaN","logprob":-Infinity}]}]},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].logprobs.as_ref().unwrap()[0].top, [("A".into(), -0.25), ("NaN".into(), -9999.0)])),
        whole("huggingface/trl#5803", r#"{"choices":[{"index":0,"message":{"content":"A"},"logprobs":{"content":[{"token":"A","bytes":null,"logprob":null}]},"finish_reason":"stop"}]}"#)
            .and("A", stop, |r| assert_eq!(r.choices[0].logprobs.as_ref().unwrap()[0].logprob, -9999.0)),
        whole("vllm-project/vllm#3707", r#"{"object":"text_completion","choices":[{"text":"A B","index":0,"logprobs":{"tokens":["A"," B"],"token_logprobs":[-0.5,-1.5],"top_logprobs":null,"text_offset":[0,1]},"finish_reason":"length"}]}"#)
            .and("A B", length, |r| assert_eq!(r.choices[0].logprobs.as_ref().unwrap()[1].logprob, -1.5)),
        whole("BoundaryML/baml#1746", r#"{"completed":1.0,"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}],"usage":{"input_tokens":4.0,"output_tokens":2.0}}"#)
            .and("A", stop, |r| assert_eq!(r.usage.total_tokens(), 6)),
    ]
}

/// Errors that come as answers, and answers that come as errors.
fn errors() -> Vec<Oddity> {
    fn is(error: &LlmError, expected: u16, expected_code: Option<&str>) -> bool {
        matches!(error, LlmError::Status { status, code, .. } if *status == expected && code.as_ref().map(ErrorCode::as_str) == expected_code)
    }
    vec![
        whole("langfuse/langfuse-python#1741", r#"{"id":"x","choices":null,"object":"chat.completion"}"#)
            .fails(|e| matches!(e, LlmError::BadAnswer(AnswerFault::Empty))),
        whole("openai/openai-agents-python#604", r#"{"error":{"message":"Rate limit exceeded","code":429},"choices":null}"#)
            .fails(|e| is(e, 429, None) && e.is_transient()),
        whole("UKGovernmentBEIS/inspect_ai#3687", r#"{"status":"ok"}"#)
            .fails(|e| matches!(e, LlmError::BadAnswer(AnswerFault::Field { field: "choices" }))),
        whole("microsoft/autogen#757", r#"{"error":"Authorization failed: there was a problem with the API key."}"#)
            .status(401)
            .fails(|e| is(e, 401, None) && !e.is_transient()),
        whole("weaviate/weaviate#4068", r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"500"}}"#)
            .status(500)
            .fails(|e| is(e, 500, Some("invalid_request_error"))),
        whole("openai/openai-dotnet#669", r#"{"requestid":"1b7c","code":400,"message":"Validation error at #/max_completion_tokens: Extra inputs are not permitted"}"#)
            .status(400)
            .fails(|e| is(e, 400, None)),
        whole("jagmarques/asqav-sdk#205", r#"{"detail":[{"loc":["body","reason"],"msg":"must match pattern"}]}"#)
            .status(422)
            .fails(|e| is(e, 422, None)),
        whole("imbue-ai/sculptor#363", r#"{"detail":"Testing model is only available when testing"}"#)
            .status(422)
            .fails(|e| matches!(e, LlmError::Status { said, .. } if said.reveal().starts_with("Testing"))),
        whole("Lissy93/web-check#268", r#"<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head></html>"#)
            .content_type("text/html")
            .fails(|e| matches!(e, LlmError::BadAnswer(AnswerFault::WebPage))),
        whole("typescriptlibs/tsl-mastodon-api#42", "\n    <!DOCTYPE html>\n    <html lang=\"en\"><body>503</body></html>")
            .status(503)
            .content_type("text/html")
            .fails(|e| is(e, 503, None) && e.is_transient()),
        whole("xyOz-dev/Saturn#46", r#"{"error":{"message":"no model","code":"model_not_loaded"}}"#)
            .status(404)
            .fails(|e| is(e, 404, Some("model_not_loaded"))),
        whole("sgl-project/sglang#32808", r#"{"object":"error","message":"This model's maximum context length is 4096 tokens","type":"BadRequestError","param":null,"code":400}"#)
            .status(400)
            .fails(|e| matches!(e, LlmError::ContextOverflow { .. })),
        streamed("ggml-org/llama.cpp#14566", "error: {\"code\":400,\"message\":\"the request exceeds the available context size\",\"type\":\"exceed_context_size_error\"}\n\ndata: {\"error\":{\"code\":400,\"message\":\"the request exceeds the available context size\",\"type\":\"exceed_context_size_error\"}}\n\n")
            .fails(|e| matches!(e, LlmError::ContextOverflow { .. })),
        streamed("BerriAI/litellm#40578", "data: {\"error\":{\"message\":\"queue full\",\"type\":\"overloaded\",\"code\":503}}\n\ndata: [DONE]\n\n")
            .fails(|e| is(e, 503, Some("overloaded")) && e.is_transient()),
        streamed("zendev-sh/goai#110", "data: {\"choices\":[{\"delta\":{\"content\":\"A\"}}]}\n\ndata: {\"error\":{\"message\":\"Compute error.\"},\"message\":\"Compute error.\"}\n\n")
            .fails(|e| is(e, 500, None)),
        streamed("exo-explore/exo#1758", "data: {\"error\": {\"message\": \"out of memory\", \"type\": \"InternalServerError\", \"code\": 500}}\n\n")
            .fails(|e| is(e, 500, Some("InternalServerError"))),
        streamed("openai/openai-dotnet#849", "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\"error\":{\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\",\"message\":\"Your input exceeds the context window\"}}\n\n")
            .fails(|e| matches!(e, LlmError::ContextOverflow { .. })),
        streamed("anomalyco/opencode#43882", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"A\"},\"finish_reason\":null}]}\n\n")
            .fails(|e| matches!(e, LlmError::BadAnswer(AnswerFault::CutShort)) && e.is_transient()),
    ]
}

/// Framings: which bytes lie between the pieces, and around them.
fn frames(stop: FinishReason) -> Vec<Oddity> {
    const A: &str = r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":null}]}"#;
    const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let framed = |issue, before: &str, between: &str, after: &str| {
        streamed(issue, &format!("{before}data: {A}{between}data: {END}{after}")).ends("A", stop)
    };
    vec![
        framed("mnfst/llm-gateway#2053", "data: : OPENROUTER PROCESSING\n\n", "\n\n", "\n\ndata: [DONE]\n\n"),
        framed("anomalyco/opencode#50871", "data: : keepalive\n\ndata: : keepalive\n\n", "\n\n", "\n\ndata: [DONE]\n\n"),
        framed("brainlid/langchain#569", ": OPENROUTER PROCESSING\n\n", "\n\n: OPENROUTER PROCESSING\n\n", "\n\ndata: [DONE]\n\n"),
        framed("mistralai/mistral-vibe#774", ":\n\n:\n", "\n\n:\n\n", "\n\ndata: [DONE]\n\n"),
        framed("openai/openai-python#2722", "id: 1\n", "\n\n: ping\n\n", "\n\ndata: [DONE]\n\n"),
        framed("miruamel/xuan#194", "", "\r\n\r\n", "\r\n\r\ndata: [DONE]\r\n\r\n"),
        framed("openai/openai-python#3819", "\u{feff}", "\n\n", "\n\ndata: [DONE]\n\n"),
        framed("oobabooga/textgen#4778", "", "\n\n", "\n\n"),
        framed("lathe-cli/lathe#131", "", "\n\n", ""),
        streamed("openai/openai-python#498", &format!("data:{A}\n\ndata:{END}\n\ndata:[DONE]\n\n")).says("A"),
        streamed("davidmigloz/langchain_dart#778", "data:{\"id\":\"d\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"A\",\"function_call\":null},\"index\":0,\"finish_reason\":\"stop\",\"logprobs\":null}],\"content\":\"\",\"lastOne\":true}\n\n").says("A"),
        streamed("langgenius/dify#4120", &format!("{A}\n{END}\n")).content_type("application/x-ndjson").says("A"),
        streamed("tinyhumansai/tinyagents#56", r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#)
            .content_type("application/json")
            .and("A", stop, |r| assert_eq!(r.usage.total_tokens(), 4)),
        whole("decolua/9router#3492", "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"A\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
            .content_type("text/event-stream")
            .says("A"),
        whole("sgl-project/mini-sglang#51", "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"你好\"},\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
            .content_type("text/event-stream")
            .says("你好"),
        whole("unslothai/unsloth#6570", &format!(": ping\n\ndata: {A}\n\ndata: {END}\n\ndata: [DONE]\n\n"))
            .content_type("text/event-stream")
            .says("A"),
    ]
}

/// What stands in the pieces.
fn streams(stop: FinishReason, unknown: FinishReason, tools: FinishReason) -> Vec<Oddity> {
    let lines = |issue, pieces: &[&str]| {
        let body: String = pieces.iter().map(|piece| format!("data: {piece}\n\n")).collect();
        streamed(issue, &format!("{body}data: [DONE]\n\n"))
    };
    vec![
        lines("OpenSecretCloud/maple-proxy#3", &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":""}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":""}]}"#,
        ])
        .ends("Hello", unknown),
        lines("ollama/ollama#4357", &[
            r#"{"choices":[{"index":0,"delta":{"content":" Hello"},"finish_reason":""}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}]}"#,
        ])
        .says(" Hello!"),
        lines("sgl-project/sglang#3912", &[
            r#"{"choices":[{"index":0,"delta":{"role":null,"content":"A","tool_calls":null},"logprobs":null,"finish_reason":"","matched_stop":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{"content":null},"finish_reason":"stop","matched_stop":2}]}"#,
        ])
        .and("A", stop, |r| assert_eq!(r.choices[0].extra["matched_stop"], 2)),
        lines("zed-industries/zed#42893", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"}}],"usage":{},"extend_fields":{"traceId":"x"}}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"B"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        ])
        .and("AB", stop, |r| assert_eq!((r.usage.total_tokens(), &r.extra["extend_fields"]["traceId"]), (5, &json!("x")))),
        lines("BerriAI/litellm#8193", &[
            r#"{"choices":[{"index":0,"delta":{"content":null,"role":"assistant","reasoning":" user"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#,
        ])
        .and("A", stop, |r| assert_eq!(r.choices[0].reasoning.as_deref(), Some(" user"))),
        lines("smallnest/pigo#242", &[
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"h"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"m"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#,
        ])
        .and("A", stop, |r| assert_eq!(r.choices[0].reasoning.as_deref(), Some("hm"))),
        lines("AbanteAI/archive-old-cli-mentat#429", &[
            r#"{"id":"","choices":[],"created":0,"model":"","object":"","system_fingerprint":null,"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}],"model":"gpt-4"}"#,
        ])
        .and("A", stop, |r| assert_eq!(r.model.as_deref(), Some("gpt-4"))),
        lines("uezo/aiavatarkit#124", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"finish_reason":null,"content_filter_results":{"hate":{"filtered":false}},"content_filter_offsets":{"check_offset":1}}]}"#,
        ])
        .says("A"),
        lines("vercel/ai#12607", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"}}],"obfuscation":"xyz"}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"obfuscation":"w"}"#,
        ])
        .says("A"),
        lines("ggml-org/llama.cpp#15444", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"completion_tokens":4,"prompt_tokens":9,"total_tokens":13},"timings":{"predicted_ms":1.5}}"#,
        ])
        .and("A", stop, |r| assert_eq!((r.usage.prompt_tokens, r.usage.completion_tokens), (9, 4))),
        lines("kubeai-project/kubeai#283", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"B"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
        ])
        .and("AB", stop, |r| assert_eq!(r.usage.completion_tokens, 2)),
        lines("TheTom/vllm-swift#19", &[r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#])
            .and("A", stop, |r| assert_eq!((r.usage.source, r.usage.completion_tokens), (UsageSource::Estimated, 1))),
        lines("alfredapp/openai-workflow#52", &[
            r#"{"version":"20","choices":[{"index":0,"delta":{"role":"assistant","content":"我可"}}],"search_info":{"mindmap":{}},"usage":{"prompt_tokens":1061,"completion_tokens":22}}"#,
            r#"{"version":"20","choices":[{"index":0,"delta":{"role":"assistant","content":"以帮"}}],"usage":{"prompt_tokens":1061,"completion_tokens":24}}"#,
        ])
        .ends("我可以帮", unknown),
        lines("Continuum-AI-Corp/OrcaRouter-Lite#125", &[
            r#"{"choices":[{"index":0,"delta":{"content":"A"}}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        ])
        .and("A", stop, |r| assert_eq!(r.usage.total_tokens(), 2)),
        lines("InternLM/lmdeploy#2802", &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":{"content":[{"token":"Hello","bytes":[72],"logprob":-0.5,"top_logprobs":[{"token":"Hi","bytes":[72],"logprob":-9.5}]}]},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"!"},"logprobs":{"content":[{"token":"!","logprob":-1.5,"top_logprobs":[]}]},"finish_reason":"stop"}]}"#,
        ])
        .and("Hello!", stop, |r| {
            let tokens = r.choices[0].logprobs.as_ref().unwrap();
            assert_eq!((tokens.len(), tokens[0].top[0].1, tokens[1].logprob), (2, -9.5, -1.5));
        }),
        lines("jundot/omlx#1011", &[
            r#"{"object":"chat.completion.chunk","choices":[]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"A"},"finish_reason":"stop"}]}"#,
        ])
        .says("A"),
        lines("sashabaranov/go-openai#935", &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]},"finish_reason":"tool_calls"}]}"#,
        ])
        .and("", tools, |r| assert_eq!(r.choices[0].extra["tool_calls"][0]["function"]["name"], "f")),
    ]
}

#[test]
fn there_are_at_least_forty_of_them_each_from_a_public_thread() {
    let issues: BTreeSet<_> = oddities().iter().map(|oddity| oddity.issue).collect();
    assert!(issues.len() >= 40, "{}", issues.len());
    for issue in issues {
        let (repository, number) = issue.split_once('#').unwrap();
        assert!(repository.contains('/') && number.parse::<u32>().is_ok(), "{issue}");
    }
}

#[test]
fn what_real_servers_send_is_read_for_what_it_means() {
    for oddity in oddities() {
        let server = Server::answering(vec![answer(oddity.status, oddity.content_type, &oddity.body)]);
        let client = server.client();
        let result = match oddity.asked {
            Asked::Whole => block_on(client.complete(ask())),
            Asked::Streamed => assemble(&client, ask()),
        };
        match (&result, oddity.means) {
            (Ok(response), Means::Answer(text, finish, check)) => {
                assert_eq!((response.text(), response.choices[0].finish), (text, finish), "{}", oddity.issue);
                check(response);
            }
            (Err(error), Means::Error(is)) => assert!(is(error), "{}: {error:?}", oddity.issue),
            (result, _) => panic!("{}: {result:?}", oddity.issue),
        }
    }
}

/// librefang/librefang#3448, api7/aisix#111: each byte of a stream comes by itself, so that every character, line end
/// and event is cut.
#[test]
fn a_stream_may_be_cut_anywhere() {
    let body = "\u{feff}: x\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"那个 🙂\"}}]}\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".to_vec();
    for byte in body.bytes() {
        chunked.extend([b"1\r\n" as &[u8], &[byte], b"\r\n"].concat());
    }
    chunked.extend(b"0\r\n\r\n");
    let server = Server::answering(vec![chunked]);
    assert_eq!(assemble(&server.client(), ask()).unwrap().text(), "那个 🙂é");
}

/// Choices may come in any order, and pieces of several may be mixed.
#[test]
fn several_choices_find_their_places() {
    let choice =
        |index: u32, text: &str| json!({"index": index, "message": {"content": text}, "finish_reason": "stop"});
    let body = json!({"choices": [choice(1, "B"), choice(0, "A")]}).to_string();
    let server = Server::answering(vec![json_answer(&body)]);
    let mut two = ask();
    two.n = 2;
    let response = block_on(server.client().complete(two.clone())).unwrap();
    assert_eq!((response.choices[0].text.as_str(), response.choices[1].text.as_str()), ("A", "B"));

    let piece = |index: u32, text: &str| {
        format!("data: {}\n\n", json!({"choices": [{"index": index, "delta": {"content": text}}]}))
    };
    let body = [piece(1, "b"), piece(0, "a"), piece(1, "B"), piece(0, "A"), "data: [DONE]\n\n".into()].concat();
    let server = Server::answering(vec![answer(200, "text/event-stream", body.as_bytes())]);
    let response = assemble(&server.client(), two).unwrap();
    assert_eq!((response.choices[0].text.as_str(), response.choices[1].text.as_str()), ("aA", "bB"));
}

pub(crate) fn assemble(client: &impl LlmClient, request: Request) -> Result<Response, LlmError> {
    block_on(gather(client, request))
}

/// Streams an answer and puts it together.
pub(crate) async fn gather(client: &impl LlmClient, request: Request) -> Result<Response, LlmError> {
    let events: Vec<StreamEvent> = client.stream(request).try_collect().await?;
    let mut assembler = Assembler::default();
    events.into_iter().try_for_each(|event| assembler.push(event))?;
    assembler.finish()
}
