//! Looks for what must not be there: answers that learning could have seen.
//!
//! The types of [`Splitter`](crate::Splitter) make most leaks impossible; this looks at what came out, whoever made it: splits
//! that were read from files, label rows that came from elsewhere. It knows nothing of how they were made.

use std::collections::{BTreeMap, BTreeSet};

use hydra_types::{Record, RecordId, UserId};

use crate::Split;

/// Everything that learning and judging see, laid side by side.
#[derive(Clone, Debug, Default)]
pub struct Audit<'a> {
    train: BTreeMap<UserId, Vec<&'a Record>>,
    fit: BTreeMap<UserId, Vec<&'a Record>>,
    targets: BTreeMap<UserId, Vec<&'a Record>>,
    shown: Vec<Shown>,
}

/// A record that a language model, a body or a head was shown beside a query of the same user's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub user: UserId,
    /// The record that was the query.
    pub query: RecordId,
    /// The record that was shown for it.
    pub record: RecordId,
}

/// Something that learning could have seen and must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Leak {
    /// A user who is judged by was also trained on.
    UserInBoth {
        /// Who.
        user: UserId,
    },
    /// A target's record, by its id, is among what was learned from.
    TargetInFit {
        /// Whose.
        user: UserId,
        /// Which.
        target: RecordId,
    },
    /// A record that was learned from has the same input and output as a target, under another id.
    CopyOfTarget {
        /// Whose.
        user: UserId,
        /// The target.
        target: RecordId,
        /// Its copy.
        record: RecordId,
    },
    /// A record that was learned from is not older than the oldest target.
    NotOlder {
        /// Whose.
        user: UserId,
        /// Which record.
        record: RecordId,
    },
    /// A pseudo-query was shown itself.
    ShownItself {
        /// Whose.
        user: UserId,
        /// Which.
        query: RecordId,
    },
    /// A query was shown a record that is not older than it.
    ShownLater {
        /// Whose.
        user: UserId,
        /// The query.
        query: RecordId,
        /// What it was shown.
        record: RecordId,
    },
    /// A row was made from a record that learning does not have: of a target, or of another user.
    ShownUnknown {
        /// Whose row it is.
        user: UserId,
        /// The record that is not there.
        record: RecordId,
    },
}

impl<'a> Audit<'a> {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a split.
    #[must_use]
    pub fn of(split: &'a Split) -> Self {
        let mut audit = Self::new();
        for view in &split.train {
            audit.train(view.user(), view.records());
        }
        for user in &split.test {
            audit.fit(user.fit.user(), user.fit.records());
            // What answers may use is learned from in its own way: it stands in prompts.
            audit.fit(user.eval.user(), user.eval.history());
            let targets = audit.targets.entry(user.eval.user()).or_default();
            targets.extend(user.eval.targets().iter().map(crate::Target::record));
        }
        audit
    }

    /// Adds records of a user who is trained on.
    pub fn train(&mut self, user: UserId, records: &'a [Record]) {
        self.train.entry(user).or_default().extend(records);
    }

    /// Adds records of a user who is judged by, on which their head is fitted or from which prompts are made.
    pub fn fit(&mut self, user: UserId, records: &'a [Record]) {
        self.fit.entry(user).or_default().extend(records);
    }

    /// Adds records that a user is judged by.
    pub fn targets(&mut self, user: UserId, records: &'a [Record]) {
        self.targets.entry(user).or_default().extend(records);
    }

    /// Adds what was shown beside queries: of label rows, see [`RerankRow::shown`](crate::RerankRow::shown) and
    /// [`AdaptRow::shown_records`](crate::AdaptRow::shown_records).
    pub fn shown(&mut self, shown: impl IntoIterator<Item = Shown>) {
        self.shown.extend(shown);
    }

    /// Every leak, each once, in order.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leak> {
        let mut leaks = BTreeSet::new();
        for (&user, targets) in &self.targets {
            if self.train.contains_key(&user) {
                leaks.insert(Leak::UserInBoth { user });
            }
            let learned = self.known(user);
            self.targets_among(user, targets, &learned, &mut leaks);
        }
        for shown in &self.shown {
            self.look_at(*shown, &mut leaks);
        }
        leaks.into_iter().collect()
    }

    /// All that is learned from about a user.
    fn known(&self, user: UserId) -> Vec<&'a Record> {
        [&self.train, &self.fit].into_iter().filter_map(|of| of.get(&user)).flatten().copied().collect()
    }

    fn targets_among(&self, user: UserId, targets: &[&Record], learned: &[&Record], leaks: &mut BTreeSet<Leak>) {
        let by_text: BTreeMap<(&str, &str), RecordId> =
            targets.iter().map(|target| ((target.input(), target.output()), target.id())).collect();
        let ids: BTreeSet<RecordId> = targets.iter().map(|target| target.id()).collect();
        let oldest = targets.iter().map(|target| target.time()).min();
        for record in learned {
            if ids.contains(&record.id()) {
                leaks.insert(Leak::TargetInFit { user, target: record.id() });
                continue;
            }
            if let Some(&target) = by_text.get(&(record.input(), record.output())) {
                leaks.insert(Leak::CopyOfTarget { user, target, record: record.id() });
            }
            if oldest.is_some_and(|oldest| record.time() >= oldest) {
                leaks.insert(Leak::NotOlder { user, record: record.id() });
            }
        }
    }

    fn look_at(&self, Shown { user, query, record }: Shown, leaks: &mut BTreeSet<Leak>) {
        let known = self.known(user);
        let find = |id| known.iter().find(|record| record.id() == id);
        match (find(query), find(record)) {
            (Some(_), Some(_)) if query == record => {
                leaks.insert(Leak::ShownItself { user, query });
            }
            (Some(asked), Some(shown)) => {
                if shown.time() >= asked.time() {
                    leaks.insert(Leak::ShownLater { user, query, record });
                }
            }
            (asked, shown) => {
                let missing = [(query, asked.is_none()), (record, shown.is_none())];
                leaks.extend(
                    missing
                        .into_iter()
                        .filter(|(_, is_missing)| *is_missing)
                        .map(|(record, _)| Leak::ShownUnknown { user, record }),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
