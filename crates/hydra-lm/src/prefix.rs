//! Beginnings that were read before.

use std::collections::VecDeque;

use crate::rows::Rows;

/// Keys and values of prompts that were read lately, by their tokens.
///
/// Only whole chunks are taken from it. A prompt is always read in chunks that begin at the same places, so that the
/// same numbers come out whether a chunk was read just now or kept from before.
pub(crate) struct PrefixCache {
    kept: VecDeque<(Vec<u32>, Rows)>,
    most_tokens: usize,
}

impl PrefixCache {
    pub(crate) fn new(most_tokens: usize) -> Self {
        Self { kept: VecDeque::new(), most_tokens }
    }

    /// The entry that shares the longest beginning with `tokens`, and how long that is.
    pub(crate) fn longest(&self, tokens: &[u32]) -> Option<(&Rows, usize)> {
        let shared = |kept: &[u32]| kept.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let entry = self.kept.iter().map(|(kept, rows)| (rows, shared(kept))).max_by_key(|(_, shared)| *shared)?;
        (entry.1 > 0).then_some(entry)
    }

    /// Keeps an entry; older ones make room, and one that it continues is dropped.
    pub(crate) fn keep(&mut self, tokens: Vec<u32>, rows: Rows) {
        self.kept.retain(|(kept, _)| !tokens.starts_with(kept));
        self.kept.push_front((tokens, rows));
        let mut total = 0;
        self.kept.retain(|(kept, _)| {
            total += kept.len();
            total <= self.most_tokens
        });
    }
}
