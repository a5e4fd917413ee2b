//! A body without a model, users with heads, and requests of them. It proves only the logic around a body.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use hydra_heads::{HeadBank, HeadChoice, HeadSource, Shared, Stamp, Weights, pack};
use hydra_rerank::{RerankRequest, Retrieved};
use hydra_types::ndarray::Array2;
use hydra_types::{
    Body, Fingerprint, Generation, PairFeatures, Record, RecordId, RecordTemplate, Scope, Score, Time, UserId,
};

pub(crate) const HIDDEN: usize = 4;
pub(crate) const BODY: Fingerprint = Fingerprint::new([9; 32]);

/// Counts the letters a, b, c and d in both texts, and reads eight bytes of the second one at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letters {
    pub(crate) interact: bool,
    /// How many pairs each call had.
    pub(crate) calls: Vec<usize>,
    /// How many rows and how many counts are left out at the end of each call.
    pub(crate) short_by: (usize, usize),
}

impl Body for Letters {
    type Error = Infallible;

    fn fingerprint(&self) -> Fingerprint {
        BODY
    }

    fn hidden(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        self.interact
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
        self.calls.push(pairs.len());
        let (rows, counts) = (pairs.len() - self.short_by.0, pairs.len() - self.short_by.1);
        let features = Array2::from_shape_fn((rows, HIDDEN), |(row, at)| letters(&pairs[row])[at]);
        let cut = pairs[..counts].iter().map(|(_, second)| second.len().saturating_sub(8)).collect();
        Ok(PairFeatures { features, cut, tokens: pairs.iter().map(|pair| pair.0.len() + pair.1.len()).sum() })
    }
}

pub(crate) fn letters((first, second): &(String, String)) -> [f32; HIDDEN] {
    let second = &second[..second.len().min(8)];
    ['a', 'b', 'c', 'd'].map(|letter| first.chars().chain(second.chars()).filter(|&c| c == letter).count() as f32)
}

pub(crate) const PRIOR: [f32; HIDDEN] = [0.25, -0.5, 0.125, 0.0];
pub(crate) const PRIOR_BIAS: f32 = -0.75;

/// What users 1 and 2 add to the prior head.
pub(crate) fn own(user: u128) -> ([f32; HIDDEN], f32) {
    match user {
        1 => ([1.0, 0.0, -2.0, 0.5], 0.25),
        2 => ([-1.0, 2.0, 0.0, 0.0], 0.0),
        _ => panic!("a stranger has no head"),
    }
}

pub(crate) fn shared() -> Arc<Shared> {
    let prior = Weights::linear(&PRIOR, PRIOR_BIAS).unwrap();
    Arc::new(Shared::new(RecordTemplate::with_output().features_of(BODY), prior).unwrap())
}

pub(crate) fn bank() -> HeadBank {
    let shared = shared();
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for user in [1, 2] {
        let (weights, bias) = own(user);
        bank.insert(UserId::new(user), shared.head(Weights::linear(&weights, bias).unwrap()).unwrap()).unwrap();
    }
    bank
}

/// The same heads, packed.
pub(crate) struct Packed(BTreeMap<UserId, Vec<u8>>);

impl Packed {
    pub(crate) fn new() -> Self {
        let shared = shared();
        let packed = |user: u128| {
            let (weights, bias) = own(user);
            let head = shared.head(Weights::linear(&weights, bias).unwrap()).unwrap();
            let user = UserId::new(user);
            (user, pack(&head, Stamp { user, generation: Generation::FIRST }))
        };
        Self([1, 2].map(packed).into())
    }
}

impl HeadSource for Packed {
    type Error = Infallible;

    fn generation(&self, user: UserId) -> Result<Option<Generation>, Infallible> {
        Ok(self.0.contains_key(&user).then_some(Generation::FIRST))
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), Infallible> {
        bytes.extend_from_slice(&self.0[&user]);
        Ok(())
    }
}

/// Queries of users 1 and 2 and of a stranger, with their records.
pub(crate) struct Load {
    scopes: Vec<Scope>,
    records: Vec<Vec<(Record, Score)>>,
}

const QUERIES: [&str; 3] = ["abba", "a secret dad", "cab"];

impl Load {
    pub(crate) fn new() -> Self {
        let texts = ["ab", "bb", "cc", "abcd", "aaaa", "a far too long one, ddd", "", "ddd"];
        let record = |id: usize, text: &str| {
            let score = Score::new(0.25 * (id as f32 * 5.0 % 7.0)).unwrap();
            (Record::new(RecordId::new(10 + id as u64), Time::from_unix_millis(0), text, "d"), score)
        };
        let records = |from: usize| texts.iter().enumerate().skip(from).map(|(id, text)| record(id, text)).collect();
        Self {
            scopes: [1, 2, 3].map(|user| Scope::acting_for(UserId::new(user))).to_vec(),
            records: vec![records(0), records(1), records(2)],
        }
    }

    /// `ask` gets one request a user.
    pub(crate) fn ask<T>(&self, keep: usize, ask: impl FnOnce(&[RerankRequest<'_>]) -> T) -> T {
        let found: Vec<Vec<Retrieved<'_>>> = self
            .records
            .iter()
            .map(|records| records.iter().map(|(record, score)| Retrieved { record, score: *score }).collect())
            .collect();
        let requests: Vec<_> = (0..3)
            .map(|at| RerankRequest {
                scope: &self.scopes[at],
                head: if at < 2 { HeadChoice::Own } else { HeadChoice::Prior },
                query: QUERIES[at],
                records: &found[at],
                keep,
            })
            .collect();
        ask(&requests)
    }
}

/// A user's log-odds for a pair, multiplied out.
pub(crate) fn by_hand(user: u128, query: &str, record: &Record) -> f32 {
    let features = letters(&RecordTemplate::with_output().pair(query, record));
    let dot =
        |weights: &[f32; HIDDEN], bias: f32| weights.iter().zip(&features).map(|(w, z)| w * z).sum::<f32>() + bias;
    let (weights, bias) = if user < 3 { own(user) } else { ([0.0; HIDDEN], 0.0) };
    dot(&PRIOR, PRIOR_BIAS) + dot(&weights, bias)
}
