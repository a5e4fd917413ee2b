//! What is searched for.

use crate::vector::VectorError;

/// What is searched for: a text, its vector, or both. A retriever takes what it needs.
#[derive(Clone, Copy, Default)]
pub struct Query<'a> {
    text: Option<&'a str>,
    vector: Option<&'a [f32]>,
}

/// A search that cannot be made.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The retriever compares texts and the query has none.
    #[error("this retriever compares texts: give the query its text")]
    NoText,
    /// The retriever compares vectors and the query has none.
    #[error("this retriever compares vectors: give the query its vector")]
    NoVector,
    /// The query's vector has no scores.
    #[error("the query cannot be compared")]
    Vector(#[from] VectorError),
}

impl<'a> Query<'a> {
    /// A query about nothing in particular: enough for [`Recency`](crate::Recency).
    #[must_use]
    pub const fn new() -> Self {
        Self { text: None, vector: None }
    }

    /// The same with this text.
    #[must_use]
    pub const fn text(self, text: &'a str) -> Self {
        Self { text: Some(text), ..self }
    }

    /// The same with this vector.
    #[must_use]
    pub const fn vector(self, vector: &'a [f32]) -> Self {
        Self { vector: Some(vector), ..self }
    }

    /// The text, for a retriever that cannot do without.
    ///
    /// # Errors
    /// [`SearchError::NoText`].
    pub fn needed_text(&self) -> Result<&'a str, SearchError> {
        self.text.ok_or(SearchError::NoText)
    }

    /// The vector, for a retriever that cannot do without.
    ///
    /// # Errors
    /// [`SearchError::NoVector`].
    pub fn needed_vector(&self) -> Result<&'a [f32], SearchError> {
        self.vector.ok_or(SearchError::NoVector)
    }
}

impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("text_bytes", &self.text.map(str::len))
            .field("dimensions", &self.vector.map(<[f32]>::len))
            .finish()
    }
}
