//! From texts to rows of token ids, with every cut counted.

use rayon::prelude::*;
use tokenizers::{Encoding, PaddingParams, PostProcessor, Tokenizer, TruncationDirection};

use super::{EncoderError, EncoderOptions};
use crate::bundle::Bundle;

/// What became of the tokens of one text or pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TokenUse {
    /// Tokens that the graph reads, those that the tokenizer adds included.
    pub kept: usize,
    /// Tokens that were cut from the end of the first text.
    pub cut_first: usize,
    /// Tokens that were cut from the end of the second text; 0 if there is none.
    pub cut_second: usize,
}

impl TokenUse {
    /// Tokens that were cut in all; 0 means that the whole text was read.
    #[must_use]
    pub const fn cut(&self) -> usize {
        self.cut_first + self.cut_second
    }
}

/// One row for the graph.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) ids: Vec<u32>,
    pub(super) types: Vec<u32>,
    cut_first: usize,
    cut_second: usize,
}

impl Row {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn usage(&self) -> TokenUse {
        TokenUse { kept: self.len(), cut_first: self.cut_first, cut_second: self.cut_second }
    }
}

/// A tokenizer whose padding and truncation are ours.
#[derive(Debug)]
pub(super) struct RowTokenizer {
    tokenizer: Tokenizer,
    /// Room for one text's tokens.
    single_room: usize,
    /// Room for the tokens of both texts of a pair.
    pair_room: usize,
    first_budget: usize,
    max_text_bytes: usize,
    pad_id: u32,
}

impl RowTokenizer {
    pub(super) fn new(bundle: &Bundle, max_tokens: usize, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let mut tokenizer =
            Tokenizer::from_bytes(bundle.tokenizer()).map_err(|source| EncoderError::Tokenizer { source })?;
        let pad_id = pad_id(&tokenizer);
        // Files come with the padding and truncation of whoever saved them; MiniLM's cuts at 128 without a word.
        tokenizer.with_padding(None::<PaddingParams>);
        tokenizer.with_truncation(None).map_err(|source| EncoderError::Tokenizer { source })?;
        let room = |pair| {
            let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair));
            max_tokens.checked_sub(added).filter(|&room| room >= 2).ok_or(EncoderError::Options {
                what: "the greatest number of tokens leaves no room for texts: raise `max_tokens`",
            })
        };
        let (single_room, pair_room) = (room(false)?, room(true)?);
        let first_budget = options.first_budget.map_or(pair_room / 2, std::num::NonZeroUsize::get);
        if first_budget >= pair_room {
            return Err(EncoderError::Options {
                what: "the first text's budget leaves the second one no room: lower `first_budget`",
            });
        }
        let max_text_bytes = options.max_text_bytes;
        Ok(Self { tokenizer, single_room, pair_room, first_budget, max_text_bytes, pad_id })
    }

    pub(super) fn pad_id(&self) -> u32 {
        self.pad_id
    }

    pub(super) fn texts(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<Row>, EncoderError> {
        let row = |(row, text): (usize, &_)| {
            let (encoding, cut) = self.cut(self.encode(row, AsRef::as_ref(text))?, self.single_room);
            self.finish(row, encoding, None, (cut, 0))
        };
        texts.par_iter().enumerate().map(row).collect()
    }

    pub(super) fn pairs(
        &self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Vec<Row>, EncoderError> {
        let row = |(row, (first, second)): (usize, &(_, _))| {
            let first = self.encode(row, AsRef::as_ref(first))?;
            let second = self.encode(row, AsRef::as_ref(second))?;
            let (keep_first, keep_second) = share(first.len(), second.len(), self.pair_room, self.first_budget);
            let (first, cut_first) = self.cut(first, keep_first);
            let (mut second, cut_second) = self.cut(second, keep_second);
            // What a pair encoding starts from; most post-processors overwrite it.
            second.set_type_ids(vec![1; second.len()]);
            self.finish(row, first, Some(second), (cut_first, cut_second))
        };
        pairs.par_iter().enumerate().map(row).collect()
    }

    /// Tokens of one text, without those that the tokenizer adds.
    fn encode(&self, row: usize, text: &str) -> Result<Encoding, EncoderError> {
        if text.len() > self.max_text_bytes {
            return Err(EncoderError::TextTooLong { row, bytes: text.len(), limit: self.max_text_bytes });
        }
        self.tokenizer.encode_fast(text, false).map_err(|_| EncoderError::Tokenize { row })
    }

    fn cut(&self, mut encoding: Encoding, keep: usize) -> (Encoding, usize) {
        let cut = encoding.len().saturating_sub(keep);
        encoding.truncate(keep, 0, TruncationDirection::Right);
        // Post-processors combine what was cut of one text with what was cut of the other: quadratic, and unused.
        drop(encoding.take_overflowing());
        (encoding, cut)
    }

    fn finish(
        &self,
        row: usize,
        first: Encoding,
        second: Option<Encoding>,
        (cut_first, cut_second): (usize, usize),
    ) -> Result<Row, EncoderError> {
        let encoding = self.tokenizer.post_process(first, second, true).map_err(|_| EncoderError::Tokenize { row })?;
        if encoding.is_empty() {
            return Err(EncoderError::NoTokens { row });
        }
        Ok(Row { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec(), cut_first, cut_second })
    }
}

/// How many tokens of each text of a pair are kept.
///
/// The second text gives way first, the first one only above its budget and only as far as the second can use it.
fn share(first: usize, second: usize, room: usize, first_budget: usize) -> (usize, usize) {
    let keep_first = first.min(first_budget.max(room.saturating_sub(second)));
    (keep_first, second.min(room - keep_first))
}

/// The id that fills rows up. The mask hides it, so any id of the vocabulary would do.
fn pad_id(tokenizer: &Tokenizer) -> u32 {
    let named = || ["[PAD]", "<pad>"].into_iter().find_map(|token| tokenizer.token_to_id(token));
    tokenizer.get_padding().map(|padding| padding.pad_id).or_else(named).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_second_text_gives_way_first() {
        // (first, second, room, budget) -> kept
        for (given, kept) in [
            ((10, 20, 30, 15), (10, 20)),
            ((10, 40, 30, 15), (10, 20)),
            ((20, 40, 30, 15), (15, 15)),
            ((40, 5, 30, 15), (25, 5)),
            ((40, 0, 30, 15), (30, 0)),
            ((0, 40, 30, 15), (0, 30)),
            ((40, 40, 30, 1), (1, 29)),
        ] {
            assert_eq!(share(given.0, given.1, given.2, given.3), kept, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn room_is_kept_and_never_wasted(first in 0_usize..99, second in 0_usize..99, room in 2_usize..99, budget in 1_usize..99) {
            let budget = budget.min(room - 1);
            let (kept_first, kept_second) = share(first, second, room, budget);
            prop_assert!(kept_first <= first && kept_second <= second);
            prop_assert_eq!(kept_first + kept_second, room.min(first + second));
            prop_assert!(kept_first >= first.min(budget));
        }
    }
}
