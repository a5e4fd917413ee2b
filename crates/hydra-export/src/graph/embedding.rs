//! From ids to the first hidden states.

use hydra_graph::{DataType, Tensor, Value};

use super::{BuildError, Encoder};
use crate::folder::{Module, Part};

impl Encoder<'_> {
    /// The sum of the tables, normalised: `[batch * seq, hidden]`.
    pub(super) fn embeddings(&mut self) -> Result<Value, BuildError> {
        let config = self.config;
        let words = self.table(Module::Words, config.vocab)?;
        let words = self.graph.gather(words, self.ids, 0)?;
        let positions = self.positions()?;
        let mut sum = self.graph.add(words, positions)?;
        if let Some(ids) = self.token_types {
            let types = self.table(Module::TokenTypes, config.token_types)?;
            let types = self.graph.gather(types, ids, 0)?;
            sum = self.graph.add(sum, types)?;
        }
        let hidden = i64::try_from(config.hidden).expect("sizes are bounded");
        let rows = self.graph.reshape(sum, &[-1, hidden])?;
        self.normalized(Module::EmbeddingNorm, rows)
    }

    /// The rows of the position table, and the only token type where there is no choice: `[seq, hidden]`, or
    /// `[batch, seq, hidden]` where they depend on the padding.
    fn positions(&mut self) -> Result<Value, BuildError> {
        let config = self.config;
        let mut numbers = self.folder.read(Module::Positions, Part::Weight)?;
        if config.token_types == 1 {
            let only = self.folder.read(Module::TokenTypes, Part::Weight)?;
            numbers.iter_mut().zip(only.iter().cycle()).for_each(|(position, only)| *position += only);
        }
        let table = Tensor::new(&[config.max_positions, config.hidden], numbers)?;
        let name = self.folder.name(Module::Positions);
        let table = self.graph.scope(&name, |graph| graph.initializer("weight", table))?;
        let positions = if config.family.positions_skip_padding() {
            let padding = self.graph.scalar(i64::try_from(config.padding_id).expect("ids are bounded"));
            let is_padding = self.graph.equal(self.ids, padding)?;
            let is_token = self.graph.not(is_padding)?;
            let is_token = self.graph.cast(is_token, DataType::I64)?;
            let count = self.graph.cum_sum(is_token, 1)?;
            let count = self.graph.mul(count, is_token)?;
            self.graph.add(count, padding)?
        } else {
            self.places()?
        };
        Ok(self.graph.gather(table, positions, 0)?)
    }

    /// 0, 1, 2, ...: `[seq]`
    pub(super) fn places(&mut self) -> Result<Value, BuildError> {
        let [start, step] = [0_i64, 1].map(|number| self.graph.scalar(number));
        let seq = self.graph.gather(self.sizes, step, 0)?;
        Ok(self.graph.range(start, seq, step)?)
    }

    fn table(&mut self, module: Module, rows: usize) -> Result<Value, BuildError> {
        let table = Tensor::new(&[rows, self.config.hidden], self.folder.read(module, Part::Weight)?)?;
        let name = self.folder.name(module);
        Ok(self.graph.scope(&name, |graph| graph.initializer("weight", table))?)
    }
}
