//! Models that are looked up, with the time that is spent in them.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hydra_ml::TextEncoder;
use hydra_ml::llm::{BoxFuture, Capabilities, Choice, LlmClient, LlmError, Request, Response, Usage};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Body, Fingerprint, PairFeatures};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Of all-MiniLM-L6-v2 and its kind.
pub(crate) const HIDDEN: usize = 384;

/// Time that is spent in a model, all in all.
#[derive(Clone, Default)]
pub(crate) struct Spent(Arc<AtomicU64>);

impl Spent {
    pub(crate) fn so_far(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn on<T>(&self, work: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let made = work();
        let nanos = u64::try_from(begin.elapsed().as_nanos()).expect("a bench of less than centuries");
        self.0.fetch_add(nanos, Ordering::SeqCst);
        made
    }
}

/// Finds features in a table, by a hash of the texts.
pub(crate) struct LookUp {
    table: Arc<Array2<f32>>,
    spent: Spent,
}

impl LookUp {
    pub(crate) fn new(table: &Arc<Array2<f32>>, spent: &Spent) -> Self {
        Self { table: Arc::clone(table), spent: spent.clone() }
    }

    /// What is looked up.
    pub(crate) fn table() -> Arc<Array2<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        Arc::new(Array2::from_shape_fn((4096, HIDDEN), |_| rng.random_range(-0.1..0.1)))
    }

    fn rows<T: Hash>(&self, texts: &[T]) -> Array2<f32> {
        self.spent.on(|| {
            let mut features = Array2::zeros((texts.len(), HIDDEN));
            for (mut row, text) in features.rows_mut().into_iter().zip(texts) {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                let found = usize::try_from(hasher.finish() % 4096).expect("a small number");
                row.assign(&self.table.row(found));
            }
            features
        })
    }
}

impl Body for LookUp {
    type Error = Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([8; 32])
    }

    fn hidden(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
        Ok(PairFeatures { features: self.rows(pairs), cut: vec![0; pairs.len()], tokens: 0 })
    }
}

impl TextEncoder for LookUp {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        Ok(self.rows(texts))
    }
}

/// Proposes candidates that are all different; asked only while the cassette is recorded.
pub(crate) struct Proposer {
    pub(crate) candidates: u32,
}

impl LlmClient for Proposer {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("proposer");
        capabilities.max_n = self.candidates;
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            self.capabilities().admit(&request)?;
            let choice = |number| Choice::new(format!("a film of {number} quiet hours, for the evening"));
            Ok(Response::new((0..request.n).map(choice).collect(), Usage::estimated(0, 0)))
        })
    }
}
