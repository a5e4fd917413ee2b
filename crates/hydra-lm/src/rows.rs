//! The cache of keys and values of some sequences that run together.

use hydra_onnx::{Session, State};
use hydra_types::ndarray::s;

use crate::LmError;
use crate::shape::CacheShape;

/// Keys and values of every layer for `batch` rows of up to `capacity` tokens, in ONNX Runtime's memory.
pub(crate) struct Rows {
    pub(crate) state: State,
    pub(crate) batch: usize,
    pub(crate) capacity: usize,
}

impl Rows {
    pub(crate) fn new(session: &Session, shape: &CacheShape, batch: usize, capacity: usize) -> Result<Self, LmError> {
        let state = session.state(&shape.names, [batch, shape.shared, capacity, shape.head_size])?;
        Ok(Self { state, batch, capacity })
    }

    /// Copies the first `tokens` tokens of a row.
    pub(crate) fn copy(&mut self, row: usize, from: &Self, from_row: usize, tokens: usize) {
        for index in 0..self.state.len() {
            let part = from.state.array(index);
            let part = part.slice(s![from_row, .., ..tokens, ..]);
            self.state.array_mut(index).slice_mut(s![row, .., ..tokens, ..]).assign(&part);
        }
    }

    /// The given rows, with room for `capacity` tokens each.
    pub(crate) fn remade(
        &self,
        session: &Session,
        shape: &CacheShape,
        rows: &[(usize, usize)],
        capacity: usize,
    ) -> Result<Self, LmError> {
        let mut made = Self::new(session, shape, rows.len(), capacity)?;
        for (row, (from, tokens)) in rows.iter().enumerate() {
            made.copy(row, self, *from, *tokens);
        }
        Ok(made)
    }
}
