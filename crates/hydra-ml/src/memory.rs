//! What is kept in memory of users.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hydra_retrieval::{HistoryError, HistoryParams, StoredHistory, StoredHistoryError, View};
use hydra_store::{Store, Vault};
use hydra_types::{Scope, UserId};

/// The histories of users who were served lately, so that the next question does not read, open and index them again.
///
/// It also knows in which vault the data of each of them lay: whoever keeps anything else of a user keeps it only as long
/// as the user is in here, and so notices that a user was forgotten and came back.
pub(crate) struct Memory {
    store: Arc<Store>,
    budget: usize,
    bytes: usize,
    users: HashMap<UserId, Kept>,
    /// Users by when they were last served.
    queue: BTreeMap<u64, UserId>,
    clock: u64,
}

struct Kept {
    vault: Option<Vault>,
    history: Option<StoredHistory>,
    dimensions: usize,
    bytes: usize,
    used: u64,
}

impl Memory {
    /// Of at most `budget` bytes between two calls.
    pub(crate) fn new(store: Arc<Store>, budget: usize) -> Self {
        Self { store, budget, bytes: 0, users: HashMap::new(), queue: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn set_budget(&mut self, bytes: usize) {
        self.budget = bytes;
    }

    /// Whether all that is in memory of the user lies in the store, too; also if there is nothing.
    pub(crate) fn is_current(&self, scope: &Scope) -> bool {
        self.users.get(&scope.user()).is_none_or(|kept| kept.vault == self.store.vault(scope))
    }

    /// Makes the user the one who was served last.
    pub(crate) fn enter(&mut self, scope: &Scope) {
        self.clock += 1;
        let kept = self.users.entry(scope.user()).or_insert_with(|| {
            self.bytes += BYTES_A_USER;
            Kept { vault: self.store.vault(scope), history: None, dimensions: 0, bytes: BYTES_A_USER, used: 0 }
        });
        self.queue.remove(&kept.used);
        kept.used = self.clock;
        self.queue.insert(self.clock, scope.user());
    }

    /// The history of a user who is in, as it is stored now.
    pub(crate) fn history(
        &mut self,
        scope: &Scope,
        dimensions: usize,
        params: HistoryParams,
    ) -> Result<&mut StoredHistory, StoredHistoryError> {
        let kept = self.users.get_mut(&scope.user()).expect("users enter first");
        let read = match kept.history.take() {
            Some(mut history) => history.refresh(scope).map(|changed| (history, changed)),
            None => {
                let opened = StoredHistory::open(Arc::clone(&self.store), scope, dimensions, params);
                opened.map(|history| (history, true))
            }
        };
        let (history, changed) = read?;
        kept.dimensions = dimensions;
        kept.history = Some(history);
        if changed {
            self.weigh(scope)?;
        }
        let kept = self.users.get_mut(&scope.user()).expect("just entered");
        Ok(kept.history.as_mut().expect("just read"))
    }

    /// Counts what the user's history takes, after it was changed.
    pub(crate) fn weigh(&mut self, scope: &Scope) -> Result<(), HistoryError> {
        if let Some(kept) = self.users.get_mut(&scope.user()) {
            let history = kept.history.as_ref().map(|history| history.view(scope)).transpose()?;
            self.bytes -= kept.bytes;
            kept.bytes = BYTES_A_USER + history.map_or(0, |view| bytes_of(view, kept.dimensions));
            self.bytes += kept.bytes;
        }
        Ok(())
    }

    /// What [`history`](Self::history) read last of this user.
    pub(crate) fn view(&self, scope: &Scope) -> Result<View<'_>, HistoryError> {
        let kept = self.users.get(&scope.user()).and_then(|kept| kept.history.as_ref());
        kept.expect("a history is read first").view(scope)
    }

    pub(crate) fn remove(&mut self, user: UserId) {
        if let Some(kept) = self.users.remove(&user) {
            self.queue.remove(&kept.used);
            self.bytes -= kept.bytes;
        }
    }

    /// Who was served longest ago, if there is more in memory than may be.
    pub(crate) fn oldest_over_budget(&self) -> Option<UserId> {
        if self.bytes > self.budget { self.queue.values().next().copied() } else { None }
    }
}

/// About how many bytes a history takes in memory.
fn bytes_of(view: View<'_>, dimensions: usize) -> usize {
    let text = |record: &hydra_types::Record| BYTES_A_TEXT_BYTE * record.input().len() + record.output().len();
    view.records().map(|record| BYTES_A_RECORD + text(record) + 5 * dimensions).sum()
}

/// What it takes to know a user.
const BYTES_A_USER: usize = 512;
/// What it takes to find a record by id, by time and by vector.
const BYTES_A_RECORD: usize = 512;
/// A text, and the index of its words, for each byte of it. Measured: `cargo xtask bench pipeline`.
const BYTES_A_TEXT_BYTE: usize = 8;

#[cfg(test)]
mod tests {
    use hydra_llm::{FenceKey, ScriptedClient, Template, block_on};
    use hydra_store::StoreKey;
    use hydra_types::RecordId;

    use super::*;
    use crate::{Feedback, PersonalizeError, Personalizer};

    #[test]
    fn feedback_that_is_refused_leaves_no_more_in_memory_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::create(&folder.path().join("store"), &StoreKey::from_bytes([1; 32])).unwrap());
        let template: Template = serde_json::from_str(
            r#"{"system": "", "user": "{{history}}{{query}}", "input_name": "in", "output_name": "out"}"#,
        )
        .unwrap();
        let budget = 3 * BYTES_A_USER;
        let hydra =
            Personalizer::builder(store, ScriptedClient::answering(["never asked"]), template, FenceKey::new([2; 32]))
                .keep_in_memory(budget)
                .build()
                .unwrap();
        for user in 0..10 {
            let scope = Scope::acting_for(UserId::new(user));
            let refused = block_on(hydra.feedback(&scope, Feedback::record("rain", RecordId::new(1), true)));
            assert!(matches!(refused, Err(PersonalizeError::NoSuchRecord { .. })));
        }
        let (bytes, users) = block_on(hydra.worker.run(|cpu, _| (cpu.memory.bytes, cpu.memory.users.len()))).unwrap();
        assert_eq!((bytes, users), (budget, 3));
    }
}
