//! The records nearest to a query: exact scan, graph, words, time, and rankings fused.
//!
//! A [`History`] holds one user's records with their vectors and is read and changed with that user's
//! [`Scope`](hydra_types::Scope) only. An [`HnswIndex`] holds a corpus that everybody may search. Both find by vector; a
//! history finds by words ([`Bm25`]), by time ([`Recency`]) and for diversity ([`Diverse`]) too, and [`Fused`] makes one
//! ranking out of several. All of them are a [`Retriever`], which promises exactly `min(k, n)` records, best first, ties by
//! id, whatever the filter.
//!
//! ```
//! use hydra_retrieval::{Entry, Filter, Fused, Fusion, History, HistoryParams, Query, Retriever, Scratch};
//! use hydra_types::{Record, RecordId, Scope, Time, UserId};
//!
//! let scope = Scope::acting_for(UserId::new(7));
//! let mut history = History::new(&scope, 3, HistoryParams::default())?;
//! let day = |n: i64| Time::from_unix_millis(n * 86_400_000);
//! history.append(&scope, vec![
//!     Entry::new(Record::new(RecordId::new(1), day(1), "a quiet film for a rainy day", "drama"), vec![0.9, 0.1, 0.0]),
//!     Entry::new(Record::new(RecordId::new(2), day(2), "something with robots", "sci-fi"), vec![0.0, 1.0, 0.1]),
//!     Entry::new(Record::new(RecordId::new(3), day(3), "a film to fall asleep to", "drama"), vec![0.7, 0.0, 0.7]),
//! ])?;
//!
//! let mine = history.view(&scope)?;
//! let query = Query::new().text("a rainy evening").vector(&[1.0, 0.0, 0.2]);
//! let (nearest, words) = (mine.nearest(), mine.lexical());
//! let both = Fused::new(Fusion::ReciprocalRank, &nearest).and(words, 0.5)?;
//! // What came later than the query must not leak into it.
//! let best = both.search(&query, 1, &Filter::all().before(day(3)), &mut Scratch::new())?;
//! assert_eq!(mine.record(best[0].id).map(Record::output), Some("drama"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! - Who searches corpora that do not fit into memory, or from many machines: a vector database does.
//! - Who needs phrases, stemming or fuzzy matches: a full-text engine does.
//! - Who has texts and no vectors yet: `hydra-onnx` makes them. This crate knows no model.
//!
//! # The contestable decision: exact first, and exact by proof
//! A user's history is small, and on a few thousand vectors a scan beats any graph and misses nothing. So the scan is the
//! normal case. It reads codes of one byte a number; the error of a code has a bound (Cauchy-Schwarz), and only rows that
//! the bound leaves in the running are scored by their floats. The answer is to the bit that of a scan over the floats at
//! a fraction of the bytes. The price is a quarter more memory.
//!
//! A graph serves from some seven thousand vectors on. `hnsw_rs` links a sixteenth of them and makes the layers; the others join
//! that graph in the layout in which it is searched: flat lists of links and contiguous codes, rows in the order in which a
//! walk meets them. Linking everything with `hnsw_rs` took seven times the CPU time for a little less recall, since it drops the
//! farthest link of a full list where choosing by diversity keeps the bridges between clusters; nothing else of that crate
//! is used, so none of its exits and file formats can be reached. Filters that leave little are scanned, and so is
//! whatever a walk finds too little of.
//!
//! Dot products have no graph: they are no metric, a walk along them loses records without a sign of it, and exact search
//! does not.
//!
//! # What is promised
//! - Deleted records are gone from memory, vectors, links and words; there are no tombstones.
//! - The same input gives the same bytes, on any number of threads and with any instructions (AVX-512, AVX2 or none).
//! - A saved index survives a crash at any point of a save as the old one or the new one; files that are damaged, foreign
//!   or hostile are an error and never a panic.
//!
//! # Features
//! - `store`: `StoredHistory`, a history that is kept in a `hydra-store`: sealed, durable, and gone when its user is
//!   forgotten.
#![cfg_attr(docsrs, feature(doc_cfg))]

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
#[cfg(feature = "store")]
#[cfg_attr(docsrs, doc(cfg(feature = "store")))]
pub use history::{StoredHistory, StoredHistoryError};
pub use hnsw::{BuildError, FormatError, HnswIndex, HnswParams, LoadError, Progress, SaveError};
pub use query::{Query, SearchError};
pub use recency::Recency;
pub use retriever::Retriever;
pub use scratch::Scratch;
pub use table::{AddError, Item};
pub use vector::{Metric, VectorError};
