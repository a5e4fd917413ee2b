//! Answers as servers write them, to what they mean.
//!
//! Nothing is required but what an answer cannot do without. A field of another type than documented is read for what
//! it plainly means, or left out; a field without a place here is kept in `extra`.

use hydra_llm::{AnswerFault, Choice, Delta, FinishReason, LlmError, Response, TokenLogprob, Usage};
use serde_json::{Map, Value};

use crate::fault;

/// A whole answer. Its usage is none if the server did not count.
pub(crate) fn completion(value: Value) -> Result<(Response, Option<Usage>), LlmError> {
    let mut fields = fields_of(value)?;
    let choices = match fields.remove("choices") {
        Some(Value::Array(choices)) => choices,
        Some(Value::Null) => return Err(AnswerFault::Empty.into()),
        _ => return Err(missing("choices")),
    };
    if choices.is_empty() {
        return Err(AnswerFault::Empty.into());
    }
    let (usage, model) = (take_usage(&mut fields), take_model(&mut fields));
    let mut numbered = Vec::new();
    for (place, choice) in choices.into_iter().enumerate() {
        let mut delta = choice_piece(choice, place).ok_or_else(|| missing("choices"))?;
        let mut choice = Choice::new(std::mem::take(&mut delta.text));
        choice.reasoning = delta.reasoning;
        choice.finish = delta.finish.unwrap_or(FinishReason::Unknown);
        choice.logprobs = delta.logprobs;
        choice.extra = delta.extra;
        numbered.push((delta.choice, choice));
    }
    // A server that gives every choice the same number means the order in which they stand.
    numbered.sort_by_key(|(number, _)| *number);
    let mut response = Response::new(numbered.into_iter().map(|(_, choice)| choice).collect(), Usage::default());
    response.model = model;
    response.extra = fields;
    Ok((response, usage))
}

/// A piece of a streamed answer: what is added to each choice, and what is said about all of it.
pub(crate) struct Chunk {
    pub(crate) deltas: Vec<Delta>,
    pub(crate) usage: Option<Usage>,
    pub(crate) model: Option<String>,
    pub(crate) extra: Map<String, Value>,
}

/// Reads one event of a stream.
pub(crate) fn chunk(value: Value) -> Result<Chunk, LlmError> {
    let mut fields = fields_of(value)?;
    let choices = match fields.remove("choices") {
        Some(Value::Array(choices)) => choices,
        // A ping, or news about filters.
        _ => Vec::new(),
    };
    let deltas = choices.into_iter().enumerate().filter_map(|(place, choice)| choice_piece(choice, place)).collect();
    Ok(Chunk { deltas, usage: take_usage(&mut fields), model: take_model(&mut fields), extra: fields })
}

/// The fields of an answer, unless they are those of an error.
fn fields_of(value: Value) -> Result<Map<String, Value>, LlmError> {
    if let Some(error) = fault::from_value(&value) {
        return Err(error);
    }
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(missing("choices")),
    }
}

/// Reads one thing of each entry and puts them in the order of the entries' numbers; an entry without one has the number
/// of its place. None unless there is exactly one for each number below `count`.
pub(crate) fn in_order<T>(entries: &[Value], count: usize, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let mut places: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for (place, entry) in entries.iter().enumerate() {
        let number = entry.get("index").and_then(whole_number).and_then(|number| usize::try_from(number).ok());
        let slot = places.get_mut(number.unwrap_or(place))?;
        if slot.replace(read(entry)?).is_some() {
            return None;
        }
    }
    places.into_iter().collect()
}

/// A choice of an answer or of a piece: they differ in the name of one field.
fn choice_piece(choice: Value, place: usize) -> Option<Delta> {
    let Value::Object(mut fields) = choice else {
        return None;
    };
    let number = fields.remove("index").and_then(|index| whole_number(&index));
    let mut delta =
        Delta { choice: number.and_then(|number| usize::try_from(number).ok()).unwrap_or(place), ..Delta::default() };
    delta.finish = take_finish(&mut fields);
    delta.logprobs = fields.remove("logprobs").and_then(|logprobs| read_logprobs(&logprobs));
    // Older servers put the text straight into the choice.
    if let Some(Value::String(text)) = fields.remove("text") {
        delta.text = text;
    }
    let message = match (fields.remove("message"), fields.remove("delta")) {
        (Some(Value::Object(message)), _) | (_, Some(Value::Object(message))) => message,
        _ => Map::new(),
    };
    read_message(message, &mut delta, &mut fields);
    delta.extra = without_nulls(fields);
    Some(delta)
}

fn read_message(mut message: Map<String, Value>, delta: &mut Delta, extra: &mut Map<String, Value>) {
    message.remove("role");
    match message.remove("content") {
        Some(Value::String(text)) => delta.text.push_str(&text),
        Some(Value::Array(parts)) => parts.iter().for_each(|part| read_part(part, delta)),
        Some(part @ Value::Object(_)) => read_part(&part, delta),
        _ => {}
    }
    for name in ["reasoning_content", "reasoning"] {
        match message.remove(name) {
            Some(Value::String(text)) if delta.reasoning.is_none() => delta.reasoning = Some(text),
            // Servers that send it under both names mean it once.
            Some(Value::String(_) | Value::Null) | None => {}
            Some(other) => {
                extra.insert(name.to_owned(), other);
            }
        }
    }
    extra.extend(message);
}

/// `{"type": "text", "text": ".."}`, `{"type": "thinking", "thinking": ..}`, or a bare string.
fn read_part(part: &Value, delta: &mut Delta) {
    if let Some(text) = part.as_str().or_else(|| part.get("text")?.as_str()) {
        delta.text.push_str(text);
    } else if let Some(thinking) = part.get("thinking") {
        let mut thought = Delta::default();
        match thinking {
            Value::Array(parts) => parts.iter().for_each(|part| read_part(part, &mut thought)),
            other => read_part(other, &mut thought),
        }
        delta.reasoning.get_or_insert_default().push_str(&thought.text);
    }
}

/// A reason that is not known is kept under its name in the rest of the fields.
fn take_finish(fields: &mut Map<String, Value>) -> Option<FinishReason> {
    let given = fields.remove("finish_reason").filter(|reason| !reason.is_null() && reason != "")?;
    let reason = match given.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" | "end" | "complete") => FinishReason::Stop,
        Some("length" | "max_tokens" | "max_output_tokens" | "model_length") => FinishReason::Length,
        Some("content_filter" | "safety" | "recitation" | "blocklist" | "prohibited_content" | "spii") => {
            FinishReason::ContentFilter
        }
        Some("tool_calls" | "function_call" | "tool_use") => FinishReason::ToolCalls,
        _ => {
            fields.insert("finish_reason".to_owned(), given);
            FinishReason::Unknown
        }
    };
    Some(reason)
}

fn take_model(fields: &mut Map<String, Value>) -> Option<String> {
    match fields.remove("model") {
        Some(Value::String(model)) if !model.is_empty() => Some(model),
        _ => None,
    }
}

/// `usage`, or `x_groq.usage`. An object without a single count is no usage.
pub(crate) fn take_usage(fields: &mut Map<String, Value>) -> Option<Usage> {
    let own = fields.remove("usage").as_ref().and_then(read_usage);
    own.or_else(|| read_usage(fields.get("x_groq")?.get("usage")?))
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let count = |names: &[&str]| names.iter().find_map(|name| whole_number(usage.get(name)?));
    let nested = |outer: &str, inner: &str| whole_number(usage.get(outer)?.get(inner)?);
    let prompt = count(&["prompt_tokens", "input_tokens"]);
    let total = count(&["total_tokens"]);
    let completion = count(&["completion_tokens", "output_tokens"])
        .or_else(|| Some(total?.saturating_sub(prompt?)))
        .or(prompt.map(|_| 0));
    let (prompt, completion) = match (prompt, completion) {
        (Some(prompt), Some(completion)) => (prompt, completion),
        (None, Some(completion)) => (total.map_or(0, |total| total.saturating_sub(completion)), completion),
        _ => return None,
    };
    let mut read = Usage::reported(prompt, completion);
    let cached = nested("prompt_tokens_details", "cached_tokens").or_else(|| count(&["prompt_cache_hit_tokens"]));
    read.cached_tokens = cached.unwrap_or(0);
    read.reasoning_tokens = nested("completion_tokens_details", "reasoning_tokens").unwrap_or(0);
    Some(read)
}

/// A count: an integer, a float without a fraction, or either as text.
fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| float_to_count(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| float_to_count(text.trim().parse().ok()?)),
        _ => None,
    }
}

fn float_to_count(float: f64) -> Option<u64> {
    // Exact below 2^53; nobody has used more tokens.
    let fits = float.fract() == 0.0 && (0.0..9.0e15).contains(&float);
    fits.then(|| format!("{float:.0}").parse().ok()).flatten()
}

/// `{"content": [{"token", "logprob", "top_logprobs": [..]}]}`, or the older `{"tokens": [..], "token_logprobs": [..]}`.
fn read_logprobs(logprobs: &Value) -> Option<Vec<TokenLogprob>> {
    if let Some(content) = logprobs.get("content").and_then(Value::as_array) {
        let tokens = content.iter().filter_map(|entry| {
            let (token, logprob) = read_token(entry)?;
            let top = entry.get("top_logprobs").and_then(Value::as_array);
            Some(TokenLogprob { token, logprob, top: top.into_iter().flatten().filter_map(read_token).collect() })
        });
        return Some(tokens.collect());
    }
    let tokens = logprobs.get("tokens")?.as_array()?;
    let numbers = logprobs.get("token_logprobs")?.as_array()?;
    let pairs = tokens.iter().zip(numbers).filter_map(|(token, number)| {
        Some(TokenLogprob { token: token.as_str()?.to_owned(), logprob: read_logprob(Some(number)), top: Vec::new() })
    });
    Some(pairs.collect())
}

fn read_token(entry: &Value) -> Option<(String, f32)> {
    Some((entry.get("token")?.as_str()?.to_owned(), read_logprob(entry.get("logprob"))))
}

/// A log-probability that cannot be written in JSON is that of a token that all but cannot come.
#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
fn read_logprob(value: Option<&Value>) -> f32 {
    let number = value.and_then(Value::as_f64).map_or(IMPOSSIBLE, |number| number as f32);
    if number.is_finite() { number } else { IMPOSSIBLE }
}

fn without_nulls(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn missing(field: &'static str) -> LlmError {
    AnswerFault::Field { field }.into()
}

/// What OpenAI writes in the place of minus infinity.
const IMPOSSIBLE: f32 = -9999.0;
