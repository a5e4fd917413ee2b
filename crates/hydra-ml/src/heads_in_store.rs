//! Users' heads in the store.

use std::sync::Arc;

use hydra_heads::{Head, HeadChoice, HeadSource, ResidentHeads, Stamp, pack};
use hydra_store::{Batch, Store, StoreError, Table};
use hydra_types::{Generation, Scope, UserId};

use crate::HeadTrace;

/// The heads of one stage, sealed in the store with the keys of their users.
///
/// Beside each head lies its generation, how often one was put there, so that a head which is in memory and was replaced since
/// is never used. It begins again when a user who was forgotten comes back: who keeps heads in memory drops a user's then.
pub(crate) struct HeadsInStore {
    store: Arc<Store>,
    stage: &'static str,
}

impl HeadsInStore {
    pub(crate) fn new(store: Arc<Store>, stage: &'static str) -> Self {
        Self { store, stage }
    }

    /// How often a head was put here; none if there is none.
    pub(crate) fn generation_of(&self, scope: &Scope) -> Result<Option<Generation>, StoreError> {
        let bytes = self.store.get(scope, GENERATIONS, self.stage.as_bytes())?;
        Ok(bytes.and_then(|bytes| Some(Generation::new(u64::from_be_bytes(bytes.try_into().ok()?)))))
    }

    /// The batch, and in it that this head takes the place of the old one.
    ///
    /// The batch must expect the generation that the user's data had before this call, or two heads could get one
    /// generation, and one of them would stay in memory in the place of the other.
    pub(crate) fn put(&self, batch: Batch, scope: &Scope, head: &Head) -> Result<Batch, StoreError> {
        let last = self.generation_of(scope)?;
        let generation = last.map_or(Generation::FIRST, Generation::next);
        let bytes = pack(head, Stamp { user: scope.user(), generation });
        Ok(batch.put(HEADS, self.stage, bytes).put(GENERATIONS, self.stage, generation.get().to_be_bytes()))
    }
}

/// The head to serve this user with, their own if one was fitted, and what it stands on.
pub(crate) fn choose(heads: &ResidentHeads<HeadsInStore>, scope: &Scope) -> Result<HeadTrace, StoreError> {
    let generation = heads.source().generation_of(scope)?;
    let choice = if generation.is_some() { HeadChoice::Own } else { HeadChoice::Prior };
    Ok(HeadTrace { body: heads.shared().body(), choice, generation })
}

impl HeadSource for HeadsInStore {
    type Error = StoreError;

    fn generation(&self, user: UserId) -> Result<Option<Generation>, StoreError> {
        // Rerankers and adapters name a user's head from that user's scope only: it is the same user's again.
        self.generation_of(&Scope::acting_for(user))
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let scope = Scope::acting_for(user);
        bytes.extend(self.store.get(&scope, HEADS, self.stage.as_bytes())?.unwrap_or_default());
        Ok(())
    }
}

const HEADS: Table = Table::new("heads");
const GENERATIONS: Table = Table::new("head-generations");
