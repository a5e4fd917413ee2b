//! A batch of token sequences, as every BERT-like model takes it.

use hydra_types::ndarray::Array2;

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

/// Arrays that are not a batch of token sequences.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The arrays have different shapes, or no element.
    #[error(
        "ids, mask and types have shapes {ids:?}, {mask:?} and {types:?}: give three equal shapes that are not empty"
    )]
    Shape {
        /// Shape of the ids.
        ids: [usize; 2],
        /// Shape of the mask.
        mask: [usize; 2],
        /// Shape of the token types.
        types: [usize; 2],
    },
    /// A mask holds something else than 0 and 1, or no 1 at all.
    #[error("the mask of row {row} is not made of 0 and 1 with a 1 in it: mark tokens by 1 and padding by 0")]
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
            let [ids, mask, types] = [&ids, &mask, &types].map(|array| array.dim().into());
            return Err(TokensError::Shape { ids, mask, types });
        }
        for (row, mask) in mask.rows().into_iter().enumerate() {
            if mask.iter().any(|mark| !matches!(mark, 0 | 1)) || mask.iter().all(|mark| *mark == 0) {
                return Err(TokensError::Mask { row });
            }
        }
        Ok(Self { ids, mask, types })
    }

    /// Token ids, `[batch, seq]`.
    #[must_use]
    pub fn ids(&self) -> &Array2<i64> {
        &self.ids
    }

    /// 1 for a token and 0 for padding, `[batch, seq]`.
    #[must_use]
    pub fn mask(&self) -> &Array2<i64> {
        &self.mask
    }

    /// Token types, `[batch, seq]`.
    #[must_use]
    pub fn types(&self) -> &Array2<i64> {
        &self.types
    }
}
