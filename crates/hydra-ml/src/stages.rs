//! What a request does on the worker's thread, before and after the language model.

mod pick;
mod prepare;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hydra_adapter::{Adapter, PersonalAdapter};
use hydra_heads::ResidentHeads;
use hydra_llm::{FenceKey, LengthLimits, Message, Template, UserTag};
use hydra_rerank::{PersonalReranker, Reranker};
use hydra_retrieval::{HistoryParams, Scratch, StoredHistory};
use hydra_store::{Store, Vault};
use hydra_types::{Record, Scope, UserId};

use crate::builder::Settings;
use crate::call::Call;
use crate::heads_in_store::HeadsInStore;
use crate::memory::Memory;
use crate::models::{AnyBody, AnyEncoder};
use crate::{Answer, Ask, PersonalizeError, Trace};

/// A stage whose heads are in the store.
pub(crate) type PersonalRerank = PersonalReranker<AnyBody, ResidentHeads<HeadsInStore>>;
pub(crate) type PersonalAdapt = PersonalAdapter<AnyBody, ResidentHeads<HeadsInStore>>;

/// Who orders records.
pub(crate) enum RerankStage {
    None,
    Personal(Box<PersonalRerank>),
    Other(Box<dyn Reranker + Send>),
}

/// Who picks candidates.
pub(crate) enum AdaptStage {
    None,
    Personal(Box<PersonalAdapt>),
    Other(Box<dyn Adapter + Send>),
}

/// What the worker's thread owns.
pub(crate) struct Cpu {
    pub(crate) store: Arc<Store>,
    pub(crate) memory: Memory,
    pub(crate) encoder: Option<AnyEncoder>,
    pub(crate) reranker: RerankStage,
    pub(crate) adapter: AdaptStage,
    pub(crate) template: Template,
    pub(crate) fence: FenceKey,
    pub(crate) limits: LengthLimits,
    pub(crate) settings: Settings,
    pub(crate) scratch: Scratch,
    /// Calls of the language model whose answers somebody may still wait for.
    pub(crate) calls: Vec<(UserId, Weak<Call>)>,
}

/// A request that is ready for the language model.
pub(crate) struct Prepared {
    pub(crate) ask: Ask,
    pub(crate) started: Instant,
    pub(crate) messages: Vec<Message>,
    pub(crate) tag: UserTag,
    pub(crate) shown: Vec<Record>,
    /// Where the data lay from which this was made; for who had none, where it lies when a candidate is picked.
    pub(crate) vault: Option<Vault>,
    pub(crate) call: Arc<Call>,
    pub(crate) trace: Trace,
}

/// A request that was answered, and what must still be so when the answer is given out.
pub(crate) struct Done {
    pub(crate) answer: Answer,
    pub(crate) scope: Scope,
    pub(crate) vault: Option<Vault>,
    pub(crate) call: Arc<Call>,
}

impl Cpu {
    /// The user's history as it is stored now.
    pub(crate) fn history(&mut self, scope: &Scope) -> Result<&mut StoredHistory, PersonalizeError> {
        self.meet(scope);
        let dimensions = self.encoder.as_ref().map_or(1, |encoder| encoder.dimensions());
        let mut params = HistoryParams::default();
        params.encoder = self.encoder.as_ref().and_then(|encoder| encoder.fingerprint());
        Ok(self.memory.history(scope, dimensions, params)?)
    }

    /// Before anything of a user in memory is used: drops what is of a life that was forgotten since, for instance by
    /// another personalizer on the same store.
    pub(crate) fn meet(&mut self, scope: &Scope) {
        if !self.memory.is_current(scope) {
            self.drop_from_memory(scope.user());
        }
        self.memory.enter(scope);
    }

    /// Drops the users who were served longest ago while memory holds more than it may. The worker does so after every job.
    pub(crate) fn make_room(&mut self) {
        while let Some(user) = self.memory.oldest_over_budget() {
            self.drop_from_memory(user);
        }
    }

    /// Everything in memory that is a user's: history and heads.
    pub(crate) fn drop_from_memory(&mut self, user: UserId) {
        self.memory.remove(user);
        if let RerankStage::Personal(personal) = &mut self.reranker {
            personal.heads_mut().evict(user);
        }
        if let AdaptStage::Personal(personal) = &mut self.adapter {
            personal.heads_mut().evict(user);
        }
    }
}

impl Ask {
    /// How much time is left; none if there is no deadline.
    pub(crate) fn left(&self, started: Instant) -> Result<Option<Duration>, PersonalizeError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
        left.map(Some).ok_or(PersonalizeError::Deadline)
    }
}

/// What `work` makes of each request, one for each, in one call; where that fails, in a call for each, so that nobody's
/// query, record or head fails anybody else's.
fn together_or_alone<R, T>(
    requests: &[R],
    work: &mut impl FnMut(&[R]) -> Result<Vec<T>, PersonalizeError>,
) -> Vec<Result<T, PersonalizeError>> {
    match work(requests) {
        Ok(made) => made.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 => vec![Err(error)],
        Err(_) => requests
            .iter()
            .map(|request| work(std::slice::from_ref(request))?.pop().ok_or(PersonalizeError::Gone))
            .collect(),
    }
}
