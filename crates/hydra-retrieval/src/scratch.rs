//! Space that searches use and hand back.

/// Space that searches reuse, so that a search allocates nothing but its answer.
///
/// Keep one for each thread. It carries nothing from one search to the next that a caller could see.
#[derive(Clone, Default)]
pub struct Scratch {
    /// Sums of products of codes.
    pub(crate) sums: Vec<i32>,
    /// Rows that may still be among the best, with the highest score that they may have.
    pub(crate) survivors: Vec<(f32, u32)>,
    /// Rows that a filter admits.
    pub(crate) rows: Vec<u32>,
    /// What a walk over the graph has found, best first.
    pub(crate) pool: Vec<crate::hnsw::Found>,
    /// Where a walk enters the lowest layer.
    pub(crate) starts: Vec<u32>,
    /// One bit a row: whether a walk has seen it.
    pub(crate) visited: Vec<u64>,
    /// Neighbours that a walk has not seen.
    pub(crate) fresh: Vec<u32>,
    /// Sums of term weights.
    pub(crate) weights: Vec<f64>,
}

impl Scratch {
    /// Nothing reserved yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}
