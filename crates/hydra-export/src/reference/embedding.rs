//! From ids to the first hidden states.

use hydra_types::ndarray::Array2;

use super::layer::LayerNorm;
use super::{Row, matrix};
use crate::folder::{Family, Folder, FolderError, Module, Part};
use crate::tokens::{Tokens, TokensError};

/// The tables of words, positions and token types.
pub(super) struct Embedding<'f> {
    folder: &'f Folder,
    /// Left in `f32`: it is by far the largest tensor, and few of its rows are read.
    words: Vec<f32>,
    positions: Array2<f64>,
    token_types: Option<Array2<f64>>,
    norm: LayerNorm,
}

impl<'f> Embedding<'f> {
    pub(super) fn read(folder: &'f Folder) -> Result<Self, FolderError> {
        let config = folder.config();
        let token_types = (config.token_types > 0)
            .then(|| matrix(folder, Module::TokenTypes, config.token_types, config.hidden))
            .transpose()?;
        Ok(Self {
            folder,
            words: folder.read(Module::Words, Part::Weight)?,
            positions: matrix(folder, Module::Positions, config.max_positions, config.hidden)?,
            token_types,
            norm: LayerNorm::read(folder, Module::EmbeddingNorm)?,
        })
    }

    /// Appends the rows of the batch.
    ///
    /// # Source
    /// Devlin et al. 2018, section 3 and figure 2: the sum of three tables, normalised. DistilBERT (Sanh et al. 2019,
    /// arXiv:1910.01108, section 3) and MPNet (Song et al. 2020, arXiv:2004.09297) have no token types; RoBERTa's table
    /// has one row, so its type is 0 whatever was passed in.
    pub(super) fn embed(&self, tokens: &Tokens, rows: &mut Vec<Row>) -> Result<(), TokensError> {
        let (config, seq) = (self.folder.config(), tokens.ids().ncols());
        if seq > config.max_tokens() {
            return Err(TokensError::TooLong { seq, most: config.max_tokens() });
        }
        for (row, ids) in tokens.ids().rows().into_iter().enumerate() {
            let ids: Vec<i64> = ids.to_vec();
            let mut hidden = Array2::zeros((seq, config.hidden));
            for (at, position) in self.positions_of(&ids).into_iter().enumerate() {
                let word = index(row, "token", ids[at], config.vocab)?;
                let word = &self.words[word * config.hidden..][..config.hidden];
                let mut sum = hidden.row_mut(at);
                sum += &self.positions.row(position);
                sum.iter_mut().zip(word).for_each(|(sum, number)| *sum += f64::from(*number));
                if let Some(token_types) = &self.token_types {
                    let id = if config.token_types == 1 { 0 } else { tokens.types()[[row, at]] };
                    sum += &token_types.row(index(row, "token type", id, config.token_types)?);
                }
                self.norm.apply(sum);
            }
            rows.push(Row { hidden, mask: tokens.mask().row(row).iter().map(|mark| *mark == 1).collect() });
        }
        Ok(())
    }

    /// The position of each token.
    ///
    /// # Source
    /// Devlin et al. 2018: 0, 1, 2, ... For RoBERTa and MPNet `make_positions` of fairseq (the code that both papers
    /// were trained with): tokens that are not the padding token count from `padding_id + 1`, padding stays there.
    fn positions_of(&self, ids: &[i64]) -> Vec<usize> {
        let config = self.folder.config();
        if matches!(config.family, Family::Bert | Family::DistilBert) {
            return (0..ids.len()).collect();
        }
        let padding = config.padding_id;
        let mut seen = 0;
        ids.iter()
            .map(|id| {
                let is_token = usize::try_from(*id) != Ok(padding);
                seen += usize::from(is_token);
                if is_token { padding + seen } else { padding }
            })
            .collect()
    }
}

fn index(row: usize, table: &'static str, id: i64, rows: usize) -> Result<usize, TokensError> {
    usize::try_from(id).ok().filter(|index| *index < rows).ok_or(TokensError::Id { row, table, id, rows })
}
