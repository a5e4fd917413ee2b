//! A million heads in a store, thousands of them in memory.

mod source;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hydra_types::{Generation, UserId};

pub use source::{HeadSource, ResidentError};

use crate::bank::{HeadBank, ScoreError, Scratch, probability};
use crate::features::Features;
use crate::head::HeadName;
use crate::pack::unpack;
use crate::shared::Shared;

/// A [`HeadBank`] that fetches the heads that are named from a source, and lets go of those that were not named for
/// longest when a budget of bytes is full.
///
/// A stale head is never used: for every user whom a call names, the source is asked for the generation of that user's
/// data, and a head of an older one is fetched again, or refused if the source itself has no newer.
///
/// Scores are those of [`HeadBank`], to the bit, whatever is resident. A call may name more heads than fit in the budget:
/// it is then computed in several steps.
///
/// Least recently used, and not a cleverer rule: under the skewed loads that people make it keeps what matters, it is
/// predictable, and what must never wait can be [pinned](Self::pin).
#[derive(Debug)]
pub struct ResidentHeads<S> {
    bank: HeadBank,
    source: S,
    budget: usize,
    bytes: usize,
    slots: HashMap<UserId, Slot>,
    /// Users whose head stays, also while it is replaced by a newer one.
    pinned: HashSet<UserId>,
    /// Unpinned heads by when they were last named.
    queue: BTreeMap<u64, UserId>,
    clock: u64,
    packed: Vec<u8>,
    stats: ResidentStats,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: Generation,
    bytes: usize,
    used: u64,
}

/// One head in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Whose.
    pub user: UserId,
    /// Of the data that the head was fitted on.
    pub generation: Generation,
    /// What it counts against the budget.
    pub bytes: usize,
    /// Whether it stays whatever happens.
    pub pinned: bool,
}

/// What has happened since the set was made. Counted once a user and call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentStats {
    /// A named head was in memory, and of the right generation.
    pub hits: u64,
    /// A named head was fetched.
    pub misses: u64,
    /// A head made room for another.
    pub evictions: u64,
}

impl<S: HeadSource> ResidentHeads<S> {
    /// An empty set that holds at most `budget` bytes of heads.
    pub fn new(shared: Arc<Shared>, source: S, budget: usize) -> Self {
        Self {
            bank: HeadBank::new(shared),
            source,
            budget,
            bytes: 0,
            slots: HashMap::new(),
            pinned: HashSet::new(),
            queue: BTreeMap::new(),
            clock: 0,
            packed: Vec::new(),
            stats: ResidentStats::default(),
        }
    }

    /// Scores as [`HeadBank::scores`], fetching what is not here.
    ///
    /// # Errors
    /// [`ResidentError`]; heads that were fetched before the error stay.
    pub fn scores(&mut self, names: &[HeadName], features: &Features<'_>) -> Result<Vec<f32>, ResidentError> {
        let mut out = vec![0.0; names.len()];
        self.scores_into(names, features, &mut Scratch::new(), &mut out)?;
        Ok(out)
    }

    /// As [`scores`](Self::scores), into `out`. Allocates for fetched heads only.
    ///
    /// # Errors
    /// [`ResidentError`]; `out` then holds nothing of meaning.
    pub fn scores_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError> {
        self.log_odds_into(names, features, scratch, out)?;
        for score in out {
            *score = probability(*score);
        }
        Ok(())
    }

    /// As [`scores_into`](Self::scores_into), before the logistic function.
    ///
    /// # Errors
    /// [`ResidentError`]; `out` then holds nothing of meaning.
    pub fn log_odds_into(
        &mut self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ResidentError> {
        self.bank.check(names, features, out)?;
        let call = self.clock + 1;
        let (mut from, mut step) = (0, call);
        for (row, name) in names.iter().enumerate() {
            let HeadName::User(user) = *name else {
                continue;
            };
            if self.slots.get(&user).is_some_and(|slot| slot.used >= call) {
                // Checked in this call, and maybe for rows that are already computed: it must stay for this step too.
                self.touch(user);
            } else if !self.bring(user, row, step)? {
                // The step's heads fill the budget: compute its rows, then any of its heads may go.
                self.bank.log_odds_of(from..row, names, features, scratch, out)?;
                (from, step) = (row, self.clock + 1);
                if !self.bring(user, row, step)? {
                    return Err(self.too_small(user));
                }
            }
        }
        Ok(self.bank.log_odds_of(from..names.len(), names, features, scratch, out)?)
    }

    /// Fetches a user's head if it is not here, and keeps it until [`unpin`](Self::unpin).
    ///
    /// # Errors
    /// [`ResidentError`], also if the pinned heads would fill more than the budget.
    pub fn pin(&mut self, user: UserId) -> Result<(), ResidentError> {
        if !self.bring(user, 0, self.clock + 1)? {
            return Err(self.too_small(user));
        }
        if let Some(slot) = self.slots.get(&user) {
            self.queue.remove(&slot.used);
            self.pinned.insert(user);
        }
        Ok(())
    }

    /// Lets a pinned head go when room is needed; says whether it was pinned.
    pub fn unpin(&mut self, user: UserId) -> bool {
        let was_pinned = self.pinned.remove(&user);
        if let Some(slot) = self.slots.get(&user) {
            self.queue.insert(slot.used, user);
        }
        was_pinned
    }

    /// Forgets a head, pinned or not; says whether it was here.
    pub fn evict(&mut self, user: UserId) -> bool {
        self.pinned.remove(&user);
        self.drop_head(user)
    }

    /// What is in memory, by user.
    #[must_use]
    pub fn residents(&self) -> Vec<Resident> {
        let of = |(&user, slot): (&UserId, &Slot)| Resident {
            user,
            generation: slot.generation,
            bytes: slot.bytes,
            pinned: self.pinned.contains(&user),
        };
        let mut residents: Vec<Resident> = self.slots.iter().map(of).collect();
        residents.sort_unstable_by_key(|resident| resident.user);
        residents
    }

    /// Bytes of all heads in memory, with what it takes to hold them; never above the budget.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most bytes that heads may take.
    #[must_use]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> ResidentStats {
        self.stats
    }

    /// The body, prior head and facets that the heads stand on.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        self.bank.shared()
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Makes a head resident and current; false if heads that were used since `step` or are pinned leave no room for it.
    fn bring(&mut self, user: UserId, row: usize, step: u64) -> Result<bool, ResidentError> {
        let foreign = |source: S::Error| ResidentError::Source { user, source: Box::new(source) };
        let Some(current) = self.source.generation(user).map_err(foreign)? else {
            self.evict(user);
            return Err(ScoreError::UnknownHead { row, user }.into());
        };
        if self.slots.get(&user).is_some_and(|slot| slot.generation >= current) {
            self.touch(user);
            self.stats.hits += 1;
            return Ok(true);
        }
        self.drop_head(user);
        self.packed.clear();
        self.source.read(user, &mut self.packed).map_err(foreign)?;
        let (stamp, head) = unpack(&self.packed).map_err(|source| ResidentError::Unpack { user, source })?;
        if stamp.user != user {
            return Err(ResidentError::Foreign { user, got: stamp.user });
        }
        if stamp.generation < current {
            return Err(ResidentError::Stale { user, expected: current, got: stamp.generation });
        }
        let bytes = head.weights().bytes() + BYTES_AROUND_A_HEAD;
        while self.bytes + bytes > self.budget {
            match self.queue.first_key_value() {
                Some((&used, &oldest)) if used < step => {
                    self.drop_head(oldest);
                    self.stats.evictions += 1;
                }
                _ => return Ok(false),
            }
        }
        self.bank.insert(user, head).map_err(|source| ResidentError::Bind { user, source })?;
        self.bytes += bytes;
        self.stats.misses += 1;
        self.clock += 1;
        let slot = Slot { generation: stamp.generation, bytes, used: self.clock };
        self.slots.insert(user, slot);
        if !self.pinned.contains(&user) {
            self.queue.insert(self.clock, user);
        }
        Ok(true)
    }

    /// Puts a resident head at the young end of the queue.
    fn touch(&mut self, user: UserId) {
        let Some(slot) = self.slots.get_mut(&user) else {
            return;
        };
        self.clock += 1;
        if !self.pinned.contains(&user) {
            self.queue.remove(&slot.used);
            self.queue.insert(self.clock, user);
        }
        slot.used = self.clock;
    }

    fn drop_head(&mut self, user: UserId) -> bool {
        let Some(slot) = self.slots.remove(&user) else {
            return false;
        };
        self.queue.remove(&slot.used);
        self.bank.remove(user);
        self.bytes -= slot.bytes;
        true
    }

    fn too_small(&self, user: UserId) -> ResidentError {
        ResidentError::Budget { user, budget: self.budget }
    }
}

/// What a head takes beside its numbers, about: four allocations, a slot in the bank and three in the indices.
const BYTES_AROUND_A_HEAD: usize = 512;
