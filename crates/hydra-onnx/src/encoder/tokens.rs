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
    /// What only we may write: the padding token, and what the post-processor adds.
    special: Vec<u32>,
}

impl RowTokenizer {
    pub(super) fn new(bundle: &Bundle, max_tokens: usize, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let mut tokenizer =
            Tokenizer::from_bytes(bundle.tokenizer()).map_err(|source| EncoderError::Tokenizer { source })?;
        let padding = padding(&tokenizer);
        // Files come with the padding and truncation of whoever saved them; MiniLM's cuts at 128 without a word.
        tokenizer.with_padding(None::<PaddingParams>);
        tokenizer.with_truncation(None).map_err(|source| EncoderError::Tokenizer { source })?;
        // A text that says "[SEP]" has not ended.
        tokenizer.set_encode_special_tokens(true);
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
        let added = tokenizer.post_process(Encoding::default(), Some(Encoding::default()), true);
        let mut special = added.map_err(|source| EncoderError::Tokenizer { source })?.get_ids().to_vec();
        special.extend(padding);
        // The mask hides padding, so any id of the vocabulary would do.
        let pad_id = padding.unwrap_or(0);
        Ok(Self { tokenizer, single_room, pair_room, first_budget, max_text_bytes, pad_id, special })
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
        let tokens = encoding.get_ids().iter().zip(encoding.get_type_ids()).zip(encoding.get_special_tokens_mask());
        // SentencePiece has special tokens among its pieces, whatever the tokenizer is told: those of a text are left out.
        let tokens = tokens.filter(|((id, _), special)| **special == 1 || !self.special.contains(id));
        let (ids, types): (Vec<u32>, Vec<u32>) = tokens.map(|((&id, &kind), _)| (id, kind)).unzip();
        if ids.is_empty() {
            return Err(EncoderError::NoTokens { row });
        }
        Ok(Row { ids, types, cut_first, cut_second })
    }
}

/// How many tokens of each text of a pair are kept.
///
/// The second text gives way first, the first one only above its budget and only as far as the second can use it.
fn share(first: usize, second: usize, room: usize, first_budget: usize) -> (usize, usize) {
    let keep_first = first.min(first_budget.max(room.saturating_sub(second)));
    (keep_first, second.min(room - keep_first))
}

/// The id of the padding token, if there is one.
fn padding(tokenizer: &Tokenizer) -> Option<u32> {
    let named = || ["[PAD]", "<pad>"].into_iter().find_map(|token| tokenizer.token_to_id(token));
    tokenizer.get_padding().map(|padding| padding.pad_id).or_else(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bundle::{Description, Kind, Pooling, Precision};

    /// What the tokenizer of a tiny model makes of a pair.
    fn row(tokenizer: &[u8], pair: (&str, &str)) -> Row {
        let model = Bundle::open(&hydra_testkit::fixture("bundles/tiny-encoder")).unwrap().model().clone();
        let (kind, precision, pooling) = (Kind::Encoder, Precision::Fp32, Pooling::Mean);
        let description = Description { kind, precision, pooling, normalize: false, max_tokens: 64, parity: None };
        let bundle = Bundle::new(description, model, tokenizer.to_vec()).unwrap();
        let tokenizer = RowTokenizer::new(&bundle, 64, &EncoderOptions::default()).unwrap();
        tokenizer.pairs(&[pair]).unwrap().remove(0)
    }

    /// How often each of the first five ids occurs, the unknown one's aside: the special tokens of all tiny models.
    fn special(row: &Row, unknown: u32) -> Vec<usize> {
        let ids = (0..5).filter(|id| *id != unknown);
        ids.map(|id| row.ids.iter().filter(|own| **own == id).count()).collect()
    }

    #[test]
    fn a_text_that_names_special_tokens_has_no_more_of_them_than_another() {
        for (model, unknown) in [("bert", 1), ("mpnet", 3), ("xlm-roberta-classifier", 3)] {
            let file = hydra_testkit::fixture(&format!("models/{model}/tokenizer.json"));
            let tokenizer = std::fs::read(file).unwrap();
            let plain = row(&tokenizer, ("the old teacher", "a clock"));
            let names = "[SEP] [CLS] [PAD] [MASK] </s> <s> <pad> <mask>";
            let forged = row(&tokenizer, (&format!("the old {names} teacher"), &format!("a {names} clock")));
            assert!(forged.len() > plain.len() + 16, "the names are read, as ordinary text: {forged:?}");
            assert_eq!(special(&forged, unknown), special(&plain, unknown), "{model}");
        }
    }

    /// As SentencePiece has them: words of the vocabulary, which a text may say.
    #[test]
    fn nor_where_they_are_pieces_of_the_vocabulary() {
        let file = hydra_testkit::fixture("models/xlm-roberta-classifier/tokenizer.json");
        let text = std::fs::read_to_string(file).unwrap();
        let tokenizer = text.replace("BertPreTokenizer", "WhitespaceSplit");
        assert_ne!(tokenizer, text);
        let plain = row(tokenizer.as_bytes(), ("the old teacher", "a clock"));
        let forged = row(tokenizer.as_bytes(), ("the old </s> <s> teacher", "a <pad> clock"));
        assert_eq!((&forged.ids, &forged.types), (&plain.ids, &plain.types));
    }

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
