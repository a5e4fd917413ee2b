//! What can go wrong, by what a caller would do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{BudgetError, CassetteError, Feature, RequestError};

/// Why there is no answer.
///
/// No variant shows a text of the request, of the answer or of the server, nor a key: what a server said is kept as
/// [`Withheld`]. It can be cloned, so that callers who waited for the same answer all learn why there is none.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// No model could be asked this.
    #[error("the request is not valid")]
    InvalidRequest(#[from] RequestError),
    /// This client cannot do that.
    #[error("{model} does not offer {feature}")]
    Unsupported {
        /// What it lacks.
        feature: Feature,
        /// The model of the client.
        model: String,
    },
    /// The server refused or failed.
    #[error("the server answered {status}{}", .code.as_ref().map(|c| format!(" ({c})")).unwrap_or_default())]
    Status {
        /// The HTTP status; for an error inside a successful answer, the status that it names, else 500.
        status: u16,
        /// The server's short name for it.
        code: Option<ErrorCode>,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
        /// What the server said.
        said: Withheld,
    },
    /// The prompt is too long for the model.
    #[error("the prompt does not fit the context of the model: send fewer or shorter records")]
    ContextOverflow {
        /// What the server said.
        said: Withheld,
    },
    /// The deadline of the request passed.
    #[error("no answer within {limit:?}: allow more time or ask for a shorter answer")]
    Timeout {
        /// How much time there was.
        limit: Duration,
    },
    /// The connection could not be made or broke.
    #[error("the connection failed while {stage}")]
    Transport {
        /// How far it came.
        stage: Stage,
        /// What the transport reports, without the address.
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The answer cannot be read.
    #[error("the answer cannot be used: {0}")]
    BadAnswer(#[from] AnswerFault),
    /// The budget does not allow it.
    #[error("the budget does not allow the call")]
    Budget(#[from] BudgetError),
    /// The cassette has no answer or cannot be used.
    #[error("the cassette has no answer to give")]
    Cassette(#[from] CassetteError),
    /// The client is no longer there to answer.
    #[error("the client was shut down before it answered: keep it alive until its calls are done")]
    ShutDown,
}

impl LlmError {
    /// Whether the same request may succeed a little later: timeouts, broken connections, answers cut short, and the
    /// statuses 408, 409, 425, 429 and 5xx but 501 and 505. An exhausted quota is not: waiting does not refill it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, code, .. } => {
                matches!(status, 408 | 409 | 425 | 429 | 500 | 502..=504 | 506..=599)
                    && code.as_ref().is_none_or(|code| code.as_str() != "insufficient_quota")
            }
            Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::BadAnswer(fault) => matches!(fault, AnswerFault::CutShort | AnswerFault::Empty),
            _ => false,
        }
    }

    /// Whether the server certainly did no paid work: it refused, or was never reached.
    #[must_use]
    pub fn is_free(&self) -> bool {
        match self {
            Self::InvalidRequest(_) | Self::Unsupported { .. } | Self::Budget(_) | Self::Cassette(_) => true,
            Self::Status { status, .. } => *status < 500,
            Self::ContextOverflow { .. } => true,
            Self::Transport { stage, .. } => *stage == Stage::Connecting,
            _ => false,
        }
    }

    /// How long the server asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// How far a connection came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Finding the host, connecting, agreeing on keys.
    Connecting,
    /// Sending the request and waiting for the status.
    Sending,
    /// Reading the answer.
    Reading,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting: check the address, the proxy and the certificates",
            Self::Sending => "sending the request",
            Self::Reading => "reading the answer",
        })
    }
}

/// What is wrong with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerFault {
    /// It ends too early.
    #[error("it ends before it is whole")]
    CutShort,
    /// It holds no choice.
    #[error("it holds no choice")]
    Empty,
    /// It is not JSON.
    #[error("it is not json (line {line}, column {column}): check that the address is that of the api")]
    NotJson {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It is a web page: a login, a proxy, a wrong address.
    #[error("it is a web page: check that the address is that of the api and that no proxy answers in its place")]
    WebPage,
    /// A field does not hold what it must.
    #[error("its field `{field}` is missing or of another type")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// It is larger than allowed.
    #[error("it is larger than the client allows: raise the limit or ask for less")]
    TooLarge,
    /// A stream went on after its end.
    #[error("it goes on after its end")]
    AfterTheEnd,
}

/// A server's short name for an error: letters, digits, `_`, `-`, `.`; at most 64 of them, so that no text hides in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// The code, if `text` has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        // A key has the form of a code, too.
        let key_like = text.len() > 20 && text.bytes().any(|b| b.is_ascii_digit());
        (fits && !key_like).then(|| Self(text.to_owned()))
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that may quote a prompt: kept for who asks for it by name, shown to nobody else.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Withheld(Arc<str>);

impl Withheld {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text. It may quote what the user wrote: do not log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Withheld({} bytes)", self.0.len())
    }
}
