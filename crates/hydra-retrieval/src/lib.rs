//! Retrieval.
mod bm25;
mod diversity;
mod filter;
mod fusion;
mod history;
mod hnsw;
mod kernel;
mod query;
mod recency;
mod retriever;
mod scratch;
mod space;
mod table;
mod top;
mod vector;

pub use bm25::{Bm25, Bm25ParamError, Bm25Params, Idf, Tokenisation};
pub use diversity::{BalanceError, Diverse};
pub use filter::{Filter, Tags};
pub use fusion::{Fused, Fusion, WeightError};
pub use history::{EXACT_UNTIL, Entry, History, HistoryError, HistoryParams, Nearest, SearchMode, View};
pub use hnsw::{BuildError, FormatError, HnswIndex, HnswParams, LoadError, Progress, SaveError};
pub use query::{Query, SearchError};
pub use recency::Recency;
pub use retriever::Retriever;
pub use scratch::Scratch;
pub use table::{AddError, Item};
pub use vector::{Metric, VectorError};
