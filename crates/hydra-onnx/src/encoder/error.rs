//! Why texts cannot be encoded.

use crate::bundle::Kind;
use crate::session::SessionError;

/// Why an encoder cannot be opened, or texts cannot be encoded. Says which row, never what stood in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// The bundle holds another kind of graph.
    #[error("the bundle is of kind `{}`, and `{}` was asked for", found.name(), expected.name())]
    Kind {
        /// What was asked for.
        expected: Kind,
        /// What the bundle holds.
        found: Kind,
    },
    /// A cross-encoder whose graph keeps the features to itself.
    #[error("the bundle's graph gives logits and no features: export its folder again to use it as an encoder")]
    NoFeatures,
    /// `tokenizer.json` is none.
    #[error("the bundle's tokenizer cannot be read; export the bundle again")]
    Tokenizer {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Options that leave no room for texts.
    #[error("{what}")]
    Options {
        /// What is wrong, and how to fix it.
        what: &'static str,
    },
    /// The session cannot be opened, or the graph cannot be run.
    #[error("the encoder's session failed")]
    Session {
        /// Why.
        #[from]
        source: SessionError,
    },
    /// The bundle's vectors of tokens stay as they are: there are no features of a text.
    #[error("the bundle does not pool: use `encode_tokens`, or export it with pooling `mean` or `cls`")]
    NotPooled,
    /// The graph gives features of whole texts: there are no vectors of tokens.
    #[error(
        "the bundle's graph gives no vectors of tokens: use `encode`, or export the encoder without its classifier"
    )]
    OnlyPooled,
    /// A text longer than texts may be.
    #[error("text {row} has {bytes} bytes, and at most {limit} are read: split it, or raise `max_text_bytes`")]
    TextTooLong {
        /// Which one.
        row: usize,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The tokenizer refuses a text. Its reason is left out, because it may quote the text.
    #[error("the tokenizer refuses text {row}; does its vocabulary have a token for the unknown?")]
    Tokenize {
        /// Which one.
        row: usize,
    },
    /// A text without any token: the tokenizer adds none and the text has none.
    #[error("text {row} has no tokens: leave empty texts out for this tokenizer")]
    NoTokens {
        /// Which one.
        row: usize,
    },
    /// Features that are infinite, not a number, or zero where they must be divided by their length.
    #[error("the features of text {row} are not finite, or zero before normalising; was the bundle exported in fp16?")]
    NotFinite {
        /// Which one.
        row: usize,
    },
}
