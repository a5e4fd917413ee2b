//! How an encoder cuts texts and forms batches.

use std::num::NonZeroUsize;

use crate::session::SessionOptions;

/// How an encoder cuts texts and forms batches. [`EncoderOptions::default`] is the place where the defaults live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    pub(super) session: SessionOptions,
    pub(super) max_tokens: Option<NonZeroUsize>,
    pub(super) first_budget: Option<NonZeroUsize>,
    pub(super) max_rows: NonZeroUsize,
    pub(super) batch_tokens: NonZeroUsize,
    pub(super) rows: Rows,
    pub(super) max_text_bytes: usize,
}

/// Whether rows share a batch.
///
/// Rows of a batch never see each other's tokens. Yet with [`rows_interact`](crate::Precision::rows_interact) (int8 per
/// tensor) they share one scale of activations, so that a row's features depend a little on who came with it. Where
/// exact isolation is promised, between users say, take [`Rows::Alone`] or a per-row bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rows {
    /// Rows of similar length run together.
    #[default]
    Together,
    /// Every row runs by itself, without padding: its features are the same bytes whatever else is encoded.
    Alone,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            session: SessionOptions::default(),
            max_tokens: None,
            first_budget: None,
            // On 2 cores throughput is flat from 8 to 64 rows; 32 also fills a larger machine.
            max_rows: NonZeroUsize::new(32).expect("not zero"),
            // Past some thousand tokens a batch only takes more memory.
            batch_tokens: NonZeroUsize::new(8192).expect("not zero"),
            rows: Rows::Together,
            max_text_bytes: 1 << 20,
        }
    }
}

impl EncoderOptions {
    /// How the session uses the machine.
    #[must_use]
    pub const fn session(mut self, session: SessionOptions) -> Self {
        self.session = session;
        self
    }

    /// Most tokens of a row, if fewer than the bundle allows.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: NonZeroUsize) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// How many tokens of a pair's first text are kept whatever the second one needs; half of the room by default.
    ///
    /// A pair that is too long loses the end of its second text first. The first text (the query) is cut only above
    /// this budget, and only as far as the second text can use the room.
    #[must_use]
    pub const fn first_budget(mut self, tokens: NonZeroUsize) -> Self {
        self.first_budget = Some(tokens);
        self
    }

    /// Most rows of a batch; 32 by default.
    #[must_use]
    pub const fn max_rows(mut self, rows: NonZeroUsize) -> Self {
        self.max_rows = rows;
        self
    }

    /// Most tokens of a batch, padding included; 8192 by default. A longer row runs by itself.
    #[must_use]
    pub const fn batch_tokens(mut self, tokens: NonZeroUsize) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// Whether rows share a batch; they do by default.
    #[must_use]
    pub const fn rows(mut self, rows: Rows) -> Self {
        self.rows = rows;
        self
    }

    /// Longest text in bytes; longer ones are refused, because a text is tokenized whole to know what is cut off.
    /// 1 MiB by default.
    #[must_use]
    pub const fn max_text_bytes(mut self, bytes: usize) -> Self {
        self.max_text_bytes = bytes;
        self
    }
}
