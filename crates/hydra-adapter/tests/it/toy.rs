//! A body without a model, users with heads, and requests of them. It proves only the logic around a body.

use std::convert::Infallible;
use std::sync::Arc;

use hydra_adapter::{AdaptRequest, PersonalAdapter};
use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, CandidateTemplate, Fingerprint, PairFeatures, Record, RecordId, Scope, Time, UserId};

pub(crate) const HIDDEN: usize = 3;
pub(crate) const BODY: Fingerprint = Fingerprint::new([4; 32]);

/// Counts the letters a, b and c in both texts, those of the second one tenfold.
#[derive(Default)]
pub(crate) struct Letters {
    pub(crate) interact: bool,
    /// The pairs of each call.
    pub(crate) calls: Vec<Vec<(String, String)>>,
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
        self.calls.push(pairs.to_vec());
        let (rows, counts) = (pairs.len() - self.short_by.0, pairs.len() - self.short_by.1);
        let features = Array2::from_shape_fn((rows, HIDDEN), |(row, at)| letters(&pairs[row])[at]);
        Ok(PairFeatures { features, cut: pairs[..counts].iter().map(|pair| pair.1.len() / 4).collect(), tokens: 0 })
    }
}

pub(crate) fn letters((first, second): &(String, String)) -> [f32; HIDDEN] {
    let count = |text: &str, letter| text.chars().filter(|&c| c == letter).count() as f32;
    ['a', 'b', 'c'].map(|letter| count(first, letter) + 10.0 * count(second, letter))
}

pub(crate) const PRIOR: [f32; HIDDEN] = [0.05, 0.0, -0.1];

/// What users 1 and 2 add to the prior head.
pub(crate) fn own(user: u128) -> [f32; HIDDEN] {
    match user {
        1 => [0.0, 0.2, 0.0],
        2 => [-0.3, 0.0, 0.4],
        _ => [0.0; HIDDEN],
    }
}

pub(crate) fn bank(template: &CandidateTemplate) -> HeadBank {
    let prior = Weights::linear(&PRIOR, 0.0).unwrap();
    let shared = Arc::new(Shared::new(template.features_of(BODY), prior).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for user in [1, 2] {
        let head = shared.head(Weights::linear(&own(user), 0.0).unwrap()).unwrap();
        bank.insert(UserId::new(user), head).unwrap();
    }
    bank
}

pub(crate) fn personal(template: CandidateTemplate) -> PersonalAdapter<Letters, HeadBank> {
    let bank = bank(&template);
    PersonalAdapter::new(Letters::default(), bank, template).unwrap()
}

/// What three users ask: 1 and 2 with heads, 3 without.
pub(crate) fn ask<T>(ask: impl FnOnce(&[AdaptRequest<'_>]) -> T) -> T {
    let scopes = [1, 2, 3].map(|user| Scope::acting_for(UserId::new(user)));
    let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "bb", "a");
    let candidates = [
        ["ab", "b secret", " ab\n", "ccc", "a", "ccc"].map(str::to_owned).to_vec(),
        ["c", "a", "b", "c", "c"].map(str::to_owned).to_vec(),
        ["b", "b "].map(str::to_owned).to_vec(),
    ];
    let history = [&record];
    let request = |at: usize| AdaptRequest {
        scope: &scopes[at],
        head: if at < 2 { HeadChoice::Own } else { HeadChoice::Prior },
        query: ["a secret", "", "cab"][at],
        history: &history,
        candidates: &candidates[at],
    };
    ask(&[0, 1, 2].map(request))
}
