//! How many tokens a request may cost, before it is sent.

use crate::{Request, Usage};

/// How tokens are guessed where nobody counted them.
///
/// A byte-level tokenizer makes at least one byte of each token, so that `bytes_per_token = 1` is an upper bound for
/// every text; English has about 4 bytes a token, most other languages fewer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TokenEstimate {
    /// How many bytes of text make a token, at least 1.
    pub bytes_per_token: u32,
    /// Added for each message: role and borders.
    pub tokens_per_message: u32,
    /// Taken as the longest answer where a request sets no limit.
    pub unlimited_answer: u32,
}

impl Default for TokenEstimate {
    /// 3 bytes a token (errs on the dear side for most languages), 8 tokens a message, answers of up to 1,024 tokens.
    fn default() -> Self {
        Self { bytes_per_token: 3, tokens_per_message: 8, unlimited_answer: 1024 }
    }
}

impl TokenEstimate {
    /// An upper bound on what a byte-level tokenizer makes of a prompt.
    #[must_use]
    pub fn upper_bound() -> Self {
        Self { bytes_per_token: 1, ..Self::default() }
    }

    /// Tokens of a text of this many bytes.
    #[must_use]
    pub fn text(&self, bytes: usize) -> u64 {
        (bytes as u64).div_ceil(u64::from(self.bytes_per_token.max(1)))
    }

    /// The most that `request` may use: its prompt, and n answers of the greatest length.
    #[must_use]
    pub fn most(&self, request: &Request) -> Usage {
        let prompt = request
            .messages
            .iter()
            .map(|message| self.text(message.text.len()) + u64::from(self.tokens_per_message))
            .sum();
        let answer = u64::from(request.max_tokens.unwrap_or(self.unlimited_answer));
        Usage::estimated(prompt, answer.saturating_mul(u64::from(request.n)))
    }
}
