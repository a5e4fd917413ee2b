//! A batch of token sequences, as every BERT-like model takes it.

use hydra_types::ndarray::Array2;

use super::config::Config;

/// The token ids and token types of one text or text pair, not padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// 0 for tokens of the first text, 1 for those of the second; as long as `ids`.
    pub types: Vec<u32>,
}

/// Token ids, mask and token types of a batch.
///
/// # Shapes
/// - all three: `[batch, seq]`; the mask is 1 for a token and 0 for padding, and every row has a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    ids: Array2<i64>,
    mask: Array2<i64>,
    types: Array2<i64>,
}

/// Arrays that are not a batch of token sequences of this model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The arrays have different shapes, or no element.
    #[error("ids, mask and types are empty or differ in shape: give three equal shapes")]
    Shape,
    /// A row's mask holds something else than 0 and 1, or no 1 at all.
    #[error("row {row} has no token, or a mask that is not made of 0 and 1: mark tokens by 1 and padding by 0")]
    Mask {
        /// The row.
        row: usize,
    },
    /// An id has no row in its table.
    #[error("row {row} has the {table} id {id}, the table has {rows} rows: use the tokenizer of this model")]
    Id {
        /// The row of the batch.
        row: usize,
        /// Which table.
        table: &'static str,
        /// The id.
        id: i64,
        /// Rows of the table.
        rows: usize,
    },
    /// The sequence is longer than the model's table of positions.
    #[error("sequences of {seq} tokens, the model takes at most {most}: cut them")]
    TooLong {
        /// Tokens of a row, padding included.
        seq: usize,
        /// The limit.
        most: usize,
    },
}

impl Tokens {
    /// A batch.
    ///
    /// # Shapes
    /// - `ids`, `mask`, `types`: `[batch, seq]`
    ///
    /// # Errors
    /// When the shapes differ or are empty, or a row's mask is not made of 0 and 1 with a 1 in it.
    pub fn new(ids: Array2<i64>, mask: Array2<i64>, types: Array2<i64>) -> Result<Self, TokensError> {
        if ids.is_empty() || ids.dim() != mask.dim() || ids.dim() != types.dim() {
            return Err(TokensError::Shape);
        }
        for (row, mask) in mask.rows().into_iter().enumerate() {
            if mask.iter().any(|mark| !matches!(mark, 0 | 1)) || mask.iter().all(|mark| *mark == 0) {
                return Err(TokensError::Mask { row });
            }
        }
        Ok(Self { ids, mask, types })
    }

    /// Sequences side by side, the shorter ones padded behind.
    ///
    /// # Errors
    /// When there is no sequence, or one is empty or has not as many types as ids.
    pub fn pad(sequences: &[&Sequence], config: &Config) -> Result<Self, TokensError> {
        let seq = sequences.iter().map(|sequence| sequence.ids.len()).max().unwrap_or(0);
        let shape = (sequences.len(), seq);
        let padding = config.padding();
        let mut ids = Array2::from_elem(shape, padding);
        let (mut mask, mut types) = (Array2::zeros(shape), Array2::zeros(shape));
        for (row, sequence) in sequences.iter().enumerate() {
            if sequence.ids.len() != sequence.types.len() {
                return Err(TokensError::Shape);
            }
            for (place, (id, kind)) in sequence.ids.iter().zip(&sequence.types).enumerate() {
                ids[[row, place]] = i64::from(*id);
                // Families without types ignore what the tokenizer says, and RoBERTa's tables have one row.
                types[[row, place]] = if config.token_types > 1 { i64::from(*kind) } else { 0 };
                mask[[row, place]] = 1;
            }
        }
        Self::new(ids, mask, types)
    }

    /// `(batch, seq)`.
    #[must_use]
    pub fn dim(&self) -> (usize, usize) {
        self.ids.dim()
    }

    pub(crate) fn ids(&self) -> &Array2<i64> {
        &self.ids
    }

    pub(crate) fn mask(&self) -> &Array2<i64> {
        &self.mask
    }

    pub(crate) fn types(&self) -> &Array2<i64> {
        &self.types
    }

    /// Whether a model of this configuration takes the batch.
    pub(crate) fn check(&self, config: &Config) -> Result<(), TokensError> {
        let seq = self.ids.ncols();
        if seq > config.max_tokens() {
            return Err(TokensError::TooLong { seq, most: config.max_tokens() });
        }
        check_table(&self.ids, "token", config.vocab)?;
        if config.token_types > 0 {
            check_table(&self.types, "token type", config.token_types)?;
        }
        Ok(())
    }

    /// The row of the position table for each place.
    ///
    /// # Source
    /// Devlin et al. 2018 number the places; RoBERTa and MPNet number the tokens that are not the padding token, behind
    /// its id (fairseq, `make_positions`).
    pub(crate) fn positions(&self, config: &Config) -> Array2<i64> {
        let padding = config.padding();
        let mut positions = Array2::zeros(self.ids.raw_dim());
        for (ids, mut row) in self.ids.rows().into_iter().zip(positions.rows_mut()) {
            let mut seen = padding;
            for (place, (id, position)) in (0..).zip(ids.iter().zip(row.iter_mut())) {
                *position = if !config.family.positions_skip_padding() {
                    place
                } else if *id == padding {
                    padding
                } else {
                    seen += 1;
                    seen
                };
            }
        }
        positions
    }
}

fn check_table(ids: &Array2<i64>, table: &'static str, rows: usize) -> Result<(), TokensError> {
    let bad = ids.indexed_iter().find(|(_, id)| !usize::try_from(**id).is_ok_and(|id| id < rows));
    match bad {
        Some(((row, _), id)) => Err(TokensError::Id { row, table, id: *id, rows }),
        None => Ok(()),
    }
}
