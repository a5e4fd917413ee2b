//! What a server says when it does not answer.

use std::time::{Duration, SystemTime};

use hydra_llm::{AnswerFault, ApiKey, ErrorCode, LlmError, Withheld};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::json;
use crate::transport::header;

/// The error of an answer with this status.
pub(crate) fn from_status(status: u16, headers: &HeaderMap, body: &[u8]) -> LlmError {
    let retry_after = retry_after(headers);
    match json::parse(body).ok().as_ref().and_then(find) {
        Some(told) => told.into_error(status, retry_after),
        None => Told { message: String::from_utf8_lossy(body).into_owned(), ..Told::default() }
            .into_error(status, retry_after),
    }
}

/// The error that stands in an answer or in a stream although the status said that all is well.
pub(crate) fn from_value(value: &Value) -> Option<LlmError> {
    let told = find(value)?;
    let status = told.status.unwrap_or(500);
    Some(told.into_error(status, None))
}

/// The error in the data of an event that is called `error`, whatever the data.
pub(crate) fn from_error_event(data: &str) -> LlmError {
    let told = json::parse(data.as_bytes()).ok().and_then(|value| find(&value).or_else(|| tell(&value)));
    let told = told.unwrap_or_else(|| Told { message: data.to_owned(), ..Told::default() });
    let status = told.status.unwrap_or(500);
    told.into_error(status, None)
}

/// Takes the key out of what the server said.
pub(crate) fn scrub(error: LlmError, key: Option<&ApiKey>) -> LlmError {
    let clean = |said: Withheld| match key {
        Some(key) => Withheld::new(&key.scrub(said.reveal())),
        None => said,
    };
    match error {
        LlmError::Status { status, code, retry_after, said } => LlmError::Status {
            status,
            code: code.filter(|code| key.is_none_or(|key| !code.as_str().contains(key.expose()))),
            retry_after,
            said: clean(said),
        },
        LlmError::ContextOverflow { said } => LlmError::ContextOverflow { said: clean(said) },
        other => other,
    }
}

/// What an error object tells.
#[derive(Default)]
struct Told {
    message: String,
    code: Option<ErrorCode>,
    status: Option<u16>,
}

impl Told {
    fn into_error(self, status: u16, retry_after: Option<Duration>) -> LlmError {
        let said = Withheld::new(&self.message[..self.message.floor_char_boundary(MOST_SAID)]);
        let lower = self.message.to_ascii_lowercase();
        let code = self.code.as_ref().map_or("", ErrorCode::as_str);
        let overflow = CONTEXT_CODES.contains(&code) || CONTEXT_PHRASES.iter().any(|phrase| lower.contains(phrase));
        if overflow && matches!(status, 400 | 413 | 422 | 500) {
            return LlmError::ContextOverflow { said };
        }
        LlmError::Status { status, code: self.code, retry_after, said }
    }
}

/// The error in a body: `{"error": {..}}`, `{"error": ".."}`, `[{"error": ..}]`, `{"detail": ..}`,
/// `{"object": "error", ..}`, or an object with a message and neither choices nor data.
fn find(value: &Value) -> Option<Told> {
    let value = match value {
        Value::Array(items) => items.first()?,
        other => other,
    };
    let fields = value.as_object()?;
    if let Some(error) = fields.get("error").filter(|error| !is_nothing(error)) {
        return tell(error);
    }
    let answers = ["choices", "data", "results"].iter().any(|name| fields.get(*name).is_some_and(|f| !f.is_null()));
    if answers {
        return None;
    }
    if let Some(detail) = fields.get("detail") {
        return tell(detail);
    }
    let named = fields.get("object").is_some_and(|object| object == "error");
    (named || fields.contains_key("message")).then(|| tell(value)).flatten()
}

fn tell(error: &Value) -> Option<Told> {
    let fields = match error {
        Value::String(message) => {
            return Some(Told { message: message.clone(), ..Told::default() });
        }
        Value::Array(_) => {
            return Some(Told { message: error.to_string(), ..Told::default() });
        }
        other => other.as_object()?,
    };
    let word = |name: &str| fields.get(name).and_then(Value::as_str).and_then(ErrorCode::parse);
    let number = |name: &str| {
        let field = fields.get(name)?;
        let number = field.as_u64().or_else(|| field.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    };
    let status = number("code").or_else(|| number("status")).or_else(|| number("status_code"));
    // A number says what the status says already.
    let code = word("code").filter(|code| code.as_str().parse::<f64>().is_err());
    Some(Told {
        message: match fields.get("message") {
            Some(Value::String(message)) => message.clone(),
            Some(other) => other.to_string(),
            None => error.to_string(),
        },
        code: code.or_else(|| word("type")).or_else(|| word("status")),
        status,
    })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The body of a successful answer that is a web page.
pub(crate) fn check_web_page(body: &[u8]) -> Result<(), LlmError> {
    let start = body.trim_ascii_start();
    let is_page = start.first() == Some(&b'<');
    if is_page { Err(AnswerFault::WebPage.into()) } else { Ok(()) }
}

/// How long to wait: `retry-after-ms`, or `Retry-After` in seconds, parts of seconds, or as a date. A date is compared
/// with the server's own clock where it sends one, and has passed at the least.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |text: &str| text.trim().parse().ok().and_then(|n: f64| Duration::try_from_secs_f64(n).ok());
    if let Some(millis) = header(headers, "retry-after-ms").and_then(seconds) {
        return Some(millis / 1000);
    }
    let text = header(headers, "retry-after")?;
    seconds(text).or_else(|| {
        let then = httpdate::parse_http_date(text.trim()).ok()?;
        let now = header(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
        Some(then.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
    })
}

/// Bytes of a server's message that are kept.
const MOST_SAID: usize = 4096;
/// How servers call a prompt that is too long.
const CONTEXT_CODES: &[&str] = &["context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"];
/// How they say it where they have no code for it.
const CONTEXT_PHRASES: &[&str] = &[
    "maximum context length",
    "exceeds the available context size",
    "context length exceeded",
    "exceeds the context window",
    "prompt is too long",
    "too many tokens in the prompt",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(pairs: &[(&'static str, &'static str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        retry_after(&headers)
    }

    /// RFC 9110, section 10.2.3, and what is sent beside it: SpaceTradersAPI/api-docs#24 (parts of seconds),
    /// cline/cline#14213 (`retry-after-ms`), joshuaswarren/remnic#657 (dates that have passed).
    #[test]
    fn how_long_to_wait_is_read_in_every_form() {
        let millis = |n| Some(Duration::from_millis(n));
        let date = ("date", "Sat, 25 Jul 2026 12:00:00 GMT");
        for (pairs, expected) in [
            (&[("retry-after", "20")] as &[_], millis(20_000)),
            (&[("retry-after", " 0.493 ")], millis(493)),
            (&[("retry-after-ms", "250"), ("retry-after", "1")], millis(250)),
            (&[("retry-after", "Sat, 25 Jul 2026 12:05:00 GMT"), date], millis(300_000)),
            (&[("retry-after", "Saturday, 25-Jul-26 12:05:00 GMT"), date], millis(300_000)),
            (&[("retry-after", "Sat, 25 Jul 2026 11:00:00 GMT"), date], millis(0)),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "nan")], None),
            (&[("retry-after", "1e300")], None),
            (&[], None),
        ] {
            assert_eq!(wait(pairs), expected, "{pairs:?}");
        }
    }
}
