//! A question from outside a history, as benchmarks ask it.

use std::collections::BTreeSet;

use hydra_types::{Record, RecordId, Time, UserId};

use super::{EvalView, FitView, History, Split, SplitError, Target, TestUser, rank};

/// A query with the answer that a user gave, which stands outside the user's history and comes after all of it.
///
/// The history has no record with the query as its input: whoever asked such a one would be asking what the history answers.
/// `Debug` shows no text.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    history: History,
    target: Target,
    left_out: usize,
}

impl Question {
    /// What is asked of the user of `history`, and what they answered: for metrics if they are judged by, a record like any
    /// other if they are trained on.
    ///
    /// # Errors
    /// [`SplitError::NoHistory`] if no record is left to answer from, [`SplitError::NothingLater`] if the newest record has
    /// the last moment or a record the last id that there is.
    pub fn new(mut history: History, query: &str, gold: &str) -> Result<Self, SplitError> {
        let user = history.user();
        let before = history.records.len();
        history.records.retain(|record| record.input().trim() != query.trim());
        let newest = history.records.last().ok_or(SplitError::NoHistory { user })?.time().unix_millis();
        let highest = history.records.iter().map(|record| record.id().get()).max().unwrap_or_default();
        let (Some(time), Some(id)) = (newest.checked_add(1), highest.checked_add(1)) else {
            return Err(SplitError::NothingLater { user });
        };
        let record = Record::new(RecordId::new(id), Time::from_unix_millis(time), query, gold);
        let left_out = before - history.records.len();
        Ok(Self { history, target: Target { record }, left_out })
    }

    /// Whose.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.history.user()
    }

    /// How many records were left out of the history because they are asked the same.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// As a user who is trained on: the question is their newest record.
    fn train(self) -> FitView {
        let Self { mut history, target, .. } = self;
        history.records.push(target.record);
        FitView::of_all(history)
    }

    /// As a user who is judged by: the question is their one target.
    fn test(self) -> TestUser {
        let Self { history, target, left_out } = self;
        let eval = EvalView { history: history.clone(), targets: vec![target], left_out };
        TestUser { fit: FitView { history }, eval }
    }
}

impl Split {
    /// Users with one question each, for benchmarks that come split: all of `train` to train on, and `test_users` of `test`
    /// to judge by, picked by `seed` as [`Splitter`](super::Splitter) picks them.
    ///
    /// That two questions are of one person is not known here: who makes a user of each question splits questions, not
    /// people.
    ///
    /// # Errors
    /// [`SplitError`] if a user comes twice, on one side or on both, or too few can be judged by.
    pub fn of_questions(
        train: Vec<Question>,
        test: Vec<Question>,
        test_users: usize,
        seed: u64,
    ) -> Result<Self, SplitError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = train.iter().chain(&test).map(Question::user).find(|&user| !seen.insert(user)) {
            return Err(SplitError::UserTwice { user: twice });
        }
        if test.len() < test_users {
            return Err(SplitError::TooFewUsers { wanted: test_users, able: test.len() });
        }
        let mut test = test;
        test.sort_by_cached_key(|question| (rank(seed, question.user()), question.user()));
        test.truncate(test_users);
        let mut split = Self {
            train: train.into_iter().map(Question::train).collect(),
            test: test.into_iter().map(Question::test).collect(),
        };
        split.train.sort_by_key(FitView::user);
        split.test.sort_by_key(|user| user.fit.user());
        Ok(split)
    }
}

#[cfg(test)]
mod tests;
