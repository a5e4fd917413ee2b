//! The parts, put together.

use std::sync::Arc;

use hydra_adapter::{Adapter, PersonalAdapter};
use hydra_heads::{ResidentHeads, Shared};
use hydra_llm::{FenceKey, LengthLimits, LlmClient, ResponseFormat, Template};
use hydra_rerank::{PersonalReranker, Reranker};
use hydra_retrieval::Scratch;
use hydra_store::Store;
use hydra_types::{Body, CandidateTemplate, RecordTemplate};

use crate::heads_in_store::HeadsInStore;
use crate::memory::Memory;
use crate::models::{Boxed, TextEncoder};
use crate::stages::{AdaptStage, Cpu, RerankStage};
use crate::worker::Worker;
use crate::{OnFailure, Personalizer};

/// By what records are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Retrieval {
    /// The words that query and record share: BM25, as the HYDRA paper has it.
    #[default]
    Words,
    /// The angle between their vectors. Needs an encoder.
    Meaning,
    /// Both rankings, fused by reciprocal ranks. Needs an encoder.
    Both,
    /// The newest records, whatever is asked.
    Newest,
}

impl Retrieval {
    pub(crate) fn compares_vectors(self) -> bool {
        matches!(self, Self::Meaning | Self::Both)
    }
}

/// The numbers of the pipeline. Defaults are the paper's: 10 retrieved, 4 shown, 8 candidates at temperature 1.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) retrieval: Retrieval,
    pub(crate) retrieved: usize,
    pub(crate) shown: usize,
    pub(crate) candidates: u32,
    pub(crate) temperature: f32,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) response_format: ResponseFormat,
    pub(crate) seed: Option<u64>,
    pub(crate) on_failure: OnFailure,
}

/// Puts a [`Personalizer`] together. A store, a client and a prompt are needed; everything else is optional.
#[must_use = "nothing runs before `build`"]
pub struct Builder {
    client: Arc<dyn LlmClient>,
    cpu: Cpu,
}

impl Builder {
    pub(crate) fn new(store: Arc<Store>, client: Arc<dyn LlmClient>, template: Template, fence: FenceKey) -> Self {
        let settings = Settings {
            retrieval: Retrieval::default(),
            retrieved: 10,
            shown: 4,
            candidates: 8,
            temperature: 1.0,
            max_tokens: None,
            response_format: ResponseFormat::Text,
            seed: None,
            on_failure: OnFailure::default(),
        };
        let cpu = Cpu {
            memory: Memory::new(Arc::clone(&store), HISTORY_BYTES),
            store,
            encoder: None,
            reranker: RerankStage::None,
            adapter: AdaptStage::None,
            template,
            fence,
            limits: LengthLimits::default(),
            settings,
            scratch: Scratch::new(),
            calls: Vec::new(),
        };
        Self { client, cpu }
    }

    /// The encoder of queries and records. A history that was learned without one, or with another one, does not open with
    /// this one. Encoders that have no [fingerprint](TextEncoder::fingerprint) are told apart by their width alone.
    pub fn encoder(mut self, encoder: impl TextEncoder + Send + 'static) -> Self {
        self.cpu.encoder = Some(Box::new(Boxed(encoder)));
        self
    }

    /// By what records are found, and how many of them.
    pub fn retrieve(mut self, retrieval: Retrieval, records: usize) -> Self {
        (self.cpu.settings.retrieval, self.cpu.settings.retrieved) = (retrieval, records);
        self
    }

    /// How many records stand in the prompt: 0 for none.
    pub fn show(mut self, records: usize) -> Self {
        self.cpu.settings.shown = records;
        self
    }

    /// Orders records by this body and the users' heads, which lie in the store; whoever has none gets the prior head.
    ///
    /// # Errors
    /// [`BuildError::Rerank`] if body, heads and template do not belong together.
    pub fn personal_reranker(
        mut self,
        body: impl Body + Send + 'static,
        shared: Arc<Shared>,
        template: RecordTemplate,
    ) -> Result<Self, BuildError> {
        let heads = HeadsInStore::new(Arc::clone(&self.cpu.store), "reranker");
        let heads = ResidentHeads::new(shared, heads, HEAD_BYTES);
        let personal = PersonalReranker::new(Box::new(Boxed(body)) as _, heads, template)?;
        self.cpu.reranker = RerankStage::Personal(Box::new(personal));
        Ok(self)
    }

    /// Orders records by something else, a cross-encoder for instance.
    pub fn reranker(mut self, reranker: impl Reranker + Send + 'static) -> Self {
        self.cpu.reranker = RerankStage::Other(Box::new(reranker));
        self
    }

    /// Picks candidates by this body and the users' heads, which lie in the store; whoever has none gets the prior head.
    ///
    /// # Errors
    /// [`BuildError::Adapt`] if body, heads and template do not belong together.
    pub fn personal_adapter(
        mut self,
        body: impl Body + Send + 'static,
        shared: Arc<Shared>,
        template: CandidateTemplate,
    ) -> Result<Self, BuildError> {
        let heads = HeadsInStore::new(Arc::clone(&self.cpu.store), "adapter");
        let heads = ResidentHeads::new(shared, heads, HEAD_BYTES);
        let personal = PersonalAdapter::new(Box::new(Boxed(body)) as _, heads, template)?;
        self.cpu.adapter = AdaptStage::Personal(Box::new(personal));
        Ok(self)
    }

    /// Picks candidates by something else, a majority vote for instance.
    pub fn adapter(mut self, adapter: impl Adapter + Send + 'static) -> Self {
        self.cpu.adapter = AdaptStage::Other(Box::new(adapter));
        self
    }

    /// How many candidates the language model is asked for, and at which temperature. Without an adapter the first one
    /// is the answer, so ask for one then.
    pub fn candidates(mut self, candidates: u32, temperature: f32) -> Self {
        (self.cpu.settings.candidates, self.cpu.settings.temperature) = (candidates, temperature);
        self
    }

    /// The most tokens of one candidate.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.cpu.settings.max_tokens = Some(tokens);
        self
    }

    /// What shape a candidate has: a schema that names the answers keeps a model to them, where its server can.
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.cpu.settings.response_format = format;
        self
    }

    /// Asks for answers that can be repeated, where the language model can do that.
    pub fn seed(mut self, seed: u64) -> Self {
        self.cpu.settings.seed = Some(seed);
        self
    }

    /// How many bytes of histories, about, stay in memory for the next question of the same users, who were served last.
    /// Default: 256 MiB. With 0 every question reads its user's history from the store.
    ///
    /// With the history a user's heads leave memory.
    pub fn keep_in_memory(mut self, bytes: usize) -> Self {
        self.cpu.memory.set_budget(bytes);
        self
    }

    /// How long quoted records and queries may be.
    pub fn limits(mut self, limits: LengthLimits) -> Self {
        self.cpu.limits = limits;
        self
    }

    /// What happens when reranker or adapter fails. Retrieval and the language model are never skipped.
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.cpu.settings.on_failure = on_failure;
        self
    }

    /// Starts the thread that does the work.
    ///
    /// # Errors
    /// [`BuildError`] if parts are missing, or the system gives no thread.
    pub fn build(self) -> Result<Personalizer, BuildError> {
        let Self { client, cpu, .. } = self;
        if cpu.settings.retrieval.compares_vectors() && cpu.encoder.is_none() && cpu.settings.shown > 0 {
            return Err(BuildError::NoEncoder);
        }
        if cpu.settings.shown > 0 && !cpu.template.quotes_history() {
            return Err(BuildError::NoPlaceForRecords);
        }
        let settings = cpu.settings.clone();
        let worker = Worker::start(cpu, Cpu::make_room).map_err(BuildError::Thread)?;
        Ok(Personalizer { client, settings, worker })
    }
}

/// Why the parts make no pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The reranker's parts do not belong together.
    #[error("the reranker's parts do not belong together")]
    Rerank(#[from] hydra_rerank::RerankError),
    /// The adapter's parts do not belong together.
    #[error("the adapter's parts do not belong together")]
    Adapt(#[from] hydra_adapter::AdaptError),
    /// Vectors are to be compared, and nothing makes them.
    #[error("retrieval by meaning needs an encoder: give one, or retrieve by words")]
    NoEncoder,
    /// Records are to be shown, and the prompt has no place for them.
    #[error("the prompt has no place for records: write {{{{history}}}} in it, or show 0 records")]
    NoPlaceForRecords,
    /// No thread.
    #[error("the system gives no thread")]
    Thread(#[source] std::io::Error),
}

const HISTORY_BYTES: usize = 256 << 20;
/// About 70,000 heads of 384 numbers in a stage.
const HEAD_BYTES: usize = 64 << 20;
