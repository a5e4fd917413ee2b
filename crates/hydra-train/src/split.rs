//! What may be learned from, and what is judged by: two types, made by one splitter.
//!
//! Fitting takes a [`FitView`]; evaluation takes an [`EvalView`], whose targets are no records and turn into none. So that
//! a target can only get into fitting by being written out on purpose.

mod pseudo;
mod question;

use std::collections::BTreeSet;
use std::fmt;

use hydra_types::{Generation, Record, RecordId, Scope, Time, UserId};
use sha2::{Digest, Sha256};

pub use pseudo::PseudoQuery;
pub use question::Question;

/// One user's records in time order, in that user's scope.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    scope: Scope,
    generation: Generation,
    records: Vec<Record>,
}

impl History {
    /// Sorts `records` by time, equal times by id.
    ///
    /// # Errors
    /// [`SplitError::RecordTwice`] if two records have one id.
    pub fn new(scope: Scope, generation: Generation, mut records: Vec<Record>) -> Result<Self, SplitError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = records.iter().find(|record| !seen.insert(record.id())) {
            return Err(SplitError::RecordTwice { user: scope.user(), record: twice.id() });
        }
        records.sort_by_key(|record| (record.time(), record.id()));
        Ok(Self { scope, generation, records })
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.scope.user()
    }

    /// Oldest first.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

/// What may be learned from about one user. There is no way to put an evaluation target into it.
#[derive(Clone, PartialEq, Debug)]
pub struct FitView {
    history: History,
}

impl FitView {
    /// All that is known of a user who is served and not evaluated.
    #[must_use]
    pub fn of_all(history: History) -> Self {
        Self { history }
    }

    /// The scope that the records were read in.
    pub fn scope(&self) -> &Scope {
        &self.history.scope
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.history.user()
    }

    /// Of the user's data.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.history.generation
    }

    /// Oldest first.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.history.records()
    }

    /// The record with this id.
    #[must_use]
    pub fn record(&self, id: RecordId) -> Option<&Record> {
        self.records().iter().find(|record| record.id() == id)
    }

    /// The newest `most` records as if each were asked today, oldest first: each comes with the records that are strictly
    /// older than it, and so neither with itself nor with anything later. Records that nothing is older than are left out.
    #[must_use]
    pub fn pseudo_queries(&self, most: usize) -> Vec<PseudoQuery<'_>> {
        let records = self.records();
        let query = |record| PseudoQuery::new(record, records);
        let all: Vec<_> = records.iter().map(query).filter(|query| !query.earlier().is_empty()).collect();
        all[all.len().saturating_sub(most)..].to_vec()
    }
}

/// What a user is judged by, and what may be known when each target is asked.
#[derive(Clone, PartialEq, Debug)]
pub struct EvalView {
    history: History,
    targets: Vec<Target>,
    left_out: usize,
}

impl EvalView {
    /// The scope that the records were read in.
    pub fn scope(&self) -> &Scope {
        &self.history.scope
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.history.user()
    }

    /// What answers may use: the records of the user's [`FitView`], every one older than every target.
    #[must_use]
    pub fn history(&self) -> &[Record] {
        self.history.records()
    }

    /// What is asked, oldest first.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// How many records are neither history nor target, because they happened at the moment of the oldest target or, for a
    /// [`Question`], because they are asked the same.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

/// A query with the answer that the user gave. Not a record, and not to be made one: `Debug` shows no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    record: Record,
}

impl Target {
    /// Which record it was.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.record.id()
    }

    /// When it was asked.
    #[must_use]
    pub fn time(&self) -> Time {
        self.record.time()
    }

    /// What is asked.
    #[must_use]
    pub fn query(&self) -> &str {
        self.record.input()
    }

    /// What the user answered: for metrics only.
    #[must_use]
    pub fn gold(&self) -> &str {
        self.record.output()
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("id", &self.id()).field("time", &self.time()).finish_non_exhaustive()
    }
}

/// Users to train on, and users to judge by: no user is both.
#[derive(Clone, PartialEq, Debug)]
pub struct Split {
    /// Users whose whole history may be learned from, by id.
    pub train: Vec<FitView>,
    /// Users of whom the older part may be learned from, as of a new user, and the newest part is asked; by id.
    pub test: Vec<TestUser>,
}

/// A user who is judged by.
#[derive(Clone, PartialEq, Debug)]
pub struct TestUser {
    /// What their own head may be fitted on.
    pub fit: FitView,
    /// What they are asked.
    pub eval: EvalView,
}

/// Splits by user, and test users by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Splitter {
    test_users: usize,
    targets: usize,
    seed: u64,
}

impl Splitter {
    /// Takes `test_users` users out of training, and asks each of them the newest `targets` records.
    ///
    /// `seed` picks the test users: those whose hash with the seed is smallest. Adding or removing other users therefore
    /// moves few of them.
    #[must_use]
    pub const fn new(test_users: usize, targets: usize, seed: u64) -> Self {
        Self { test_users, targets, seed }
    }

    /// Splits. Users who have not one record that is older than all their targets cannot be test users.
    ///
    /// # Errors
    /// [`SplitError`] if a user comes twice, no target is wanted, or too few users can be test users.
    pub fn split(self, mut histories: Vec<History>) -> Result<Split, SplitError> {
        if self.targets == 0 {
            return Err(SplitError::NoTargets);
        }
        histories.sort_by_key(History::user);
        if let Some(pair) = histories.windows(2).find(|pair| pair[0].user() == pair[1].user()) {
            return Err(SplitError::UserTwice { user: pair[0].user() });
        }
        let mut able: Vec<([u8; 32], UserId)> = histories
            .iter()
            .filter(|history| self.older(history).is_some_and(|older| older > 0))
            .map(|history| (rank(self.seed, history.user()), history.user()))
            .collect();
        if able.len() < self.test_users {
            return Err(SplitError::TooFewUsers { wanted: self.test_users, able: able.len() });
        }
        able.sort_unstable();
        let chosen: BTreeSet<UserId> = able[..self.test_users].iter().map(|&(_, user)| user).collect();
        let (test, train): (Vec<History>, Vec<History>) =
            histories.into_iter().partition(|history| chosen.contains(&history.user()));
        Ok(Split {
            train: train.into_iter().map(FitView::of_all).collect(),
            test: test.into_iter().map(|history| self.cut(history)).collect(),
        })
    }

    /// How many records are older than the oldest target; none if there are too few for the targets.
    fn older(self, history: &History) -> Option<usize> {
        let first = history.records.len().checked_sub(self.targets)?;
        let at = history.records[first].time();
        Some(history.records.partition_point(|record| record.time() < at))
    }

    fn cut(self, mut history: History) -> TestUser {
        let older = self.older(&history).expect("only users with enough records are chosen");
        let first = history.records.len() - self.targets;
        let targets = history.records.split_off(first).into_iter().map(|record| Target { record }).collect();
        history.records.truncate(older);
        let eval = EvalView { history: history.clone(), targets, left_out: first - older };
        TestUser { fit: FitView { history }, eval }
    }
}

/// Users with the smallest are test users.
fn rank(seed: u64, user: UserId) -> [u8; 32] {
    let hash = Sha256::new_with_prefix(b"hydra split");
    hash.chain_update(seed.to_le_bytes()).chain_update(user.get().to_le_bytes()).finalize().into()
}

/// Why histories cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Two records of one user have one id.
    #[error("user {user} has two records with id {record}: give every record an id of its own")]
    RecordTwice {
        /// Whose.
        user: UserId,
        /// Which.
        record: RecordId,
    },
    /// Two histories of one user.
    #[error("user {user} comes twice: put all records of a user into one history")]
    UserTwice {
        /// Who.
        user: UserId,
    },
    /// Nothing would be asked.
    #[error("no targets are wanted: ask each test user at least one")]
    NoTargets,
    /// Too few users with enough records.
    #[error(
        "{wanted} test users are wanted, {able} have a record older than their targets: ask fewer or hold out fewer"
    )]
    TooFewUsers {
        /// As asked for.
        wanted: usize,
        /// How many there are.
        able: usize,
    },
    /// A question without a history.
    #[error("user {user} has no record beside the question: leave the question out")]
    NoHistory {
        /// Whose.
        user: UserId,
    },
    /// A question that cannot come after its history.
    #[error("the question of user {user} has no time or id after those of the records: give smaller ones")]
    NothingLater {
        /// Whose.
        user: UserId,
    },
}

#[cfg(test)]
mod tests;
