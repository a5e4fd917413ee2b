//! Batches of real tokens with real padding.

use hydra_types::ndarray::Array2;
use tokenizers::Tokenizer;

use super::{GateError, sentences};
use crate::folder::Folder;
use crate::tokens::Tokens;

/// Rows and length of the batches: one text, a few, many, and the longest that is affordable.
pub(super) fn shapes(folder: &Folder) -> [(usize, usize); 4] {
    [(1, 8), (4, 17), (8, 48), (2, LONGEST)].map(|(rows, seq)| (rows, seq.min(folder.max_tokens())))
}

/// A batch of this shape: the first row is full, the others shorter and shorter. Another seed gives other texts.
pub(crate) fn batch(folder: &Folder, (rows, seq): (usize, usize), seed: usize) -> Result<Tokens, GateError> {
    let mut tokenizer = Tokenizer::from_bytes(folder.tokenizer()).map_err(GateError::Tokenizer)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(GateError::Tokenizer)?;
    // As `hydra-onnx` tokenizes what it is given.
    tokenizer.set_encode_special_tokens(true);
    let padding = i64::try_from(folder.config().padding_id).expect("ids are bounded");
    let mut ids = Array2::from_elem((rows, seq), padding);
    let mut mask = Array2::zeros((rows, seq));
    let mut types = Array2::zeros((rows, seq));
    for row in 0..rows {
        let pair = (sentences::text(seed + row, seq / 2), sentences::text(seed + rows + row, seq));
        let encoding = tokenizer.encode(pair, true).map_err(GateError::Tokenizer)?;
        let given = encoding.len();
        let length = (seq - row * seq / (2 * rows)).min(given);
        for at in 0..length {
            // A text that is cut keeps the token that ends it.
            let from = if at + 1 == length { given - 1 } else { at };
            ids[[row, at]] = i64::from(encoding.get_ids()[from]);
            types[[row, at]] = i64::from(encoding.get_type_ids()[from]);
            mask[[row, at]] = 1;
        }
    }
    Ok(Tokens::new(ids, mask, types)?)
}

/// Beyond the distance at which MPNet's relative positions end.
const LONGEST: usize = 160;
