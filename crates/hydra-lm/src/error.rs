//! Why a language model cannot be opened or cannot answer.

use hydra_onnx::{BundleError, SessionError};

/// Why a language model cannot be opened or cannot answer. Never holds a text of the prompt or of the answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LmError {
    /// The bundle cannot be read.
    #[error("the bundle cannot be used")]
    Bundle(#[from] BundleError),
    /// The graph cannot be opened or run.
    #[error("the graph cannot be run")]
    Session(#[from] SessionError),
    /// A bundle that holds something else than a language model, or lacks what one needs.
    #[error("the bundle holds no language model that can be run: {what}: export it again with `--lm`")]
    Unfit {
        /// What is wrong.
        what: &'static str,
    },
    /// The tokenizer cannot be read, or cannot encode.
    #[error("the tokenizer cannot be used: {what}")]
    Tokenizer {
        /// What is wrong.
        what: &'static str,
    },
    /// The tokenizer and the graph do not belong together.
    #[error("the tokenizer has {tokens} tokens, the graph knows {vocabulary}: export the model again")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Tokens of the graph.
        vocabulary: usize,
    },
    /// The model has no chat template, so it can only continue texts.
    #[error("the model has no chat template: use an instruction-tuned model, or continue plain text")]
    NoChatTemplate,
    /// The chat template is wrong, does not end, or writes without end.
    #[error("the chat template cannot be rendered: {reason}")]
    Template {
        /// What kind of error it is.
        reason: &'static str,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens and the model reads {context}: send fewer or shorter messages")]
    ContextOverflow {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that the model reads, one of the answer among them.
        context: usize,
    },
    /// A prompt without a token.
    #[error("the prompt is empty: give at least one token")]
    EmptyPrompt,
    /// A number that sampling cannot work with.
    #[error("{name} is out of range: {expected}")]
    Sampling {
        /// Which number.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// Whoever asked no longer wants the answer.
    #[error("the answer was given up")]
    Cancelled,
    /// The graph gave something that is no number.
    #[error("the model's logits are not numbers: export the model again and let the gate judge it")]
    NotFinite,
}
