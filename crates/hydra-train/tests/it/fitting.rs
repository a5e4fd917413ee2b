//! A new user's head, and what is refused.

use std::collections::BTreeMap;

use hydra_heads::{Fit, HeadBank, Outcome, Reason, Shared, Strength, Weights, unpack};
use hydra_train::{FeatureCache, FittingError, HeadPlan, HeadSlot, RerankRow, fit_reranker};
use hydra_types::{Body, Fingerprint, Generation, PairFeatures, RecordId, RecordTemplate, UserId};

use crate::labels::view;
use crate::planted::{BODY, HIDDEN, Planted};

fn row(user: u128, query: u64, record: u64, label: bool) -> RerankRow {
    let (query, record) = (RecordId::new(query), RecordId::new(record));
    RerankRow { user: UserId::new(user), query, record, utility: f64::from(u8::from(label)), label }
}

fn shared(template: &RecordTemplate) -> Shared {
    Shared::new(template.features_of(BODY), Weights::linear(&[0.5; HIDDEN], 0.0).unwrap()).unwrap()
}

#[test]
fn a_refit_encodes_what_is_new_and_gives_the_same_bytes() {
    let template = RecordTemplate::with_output();
    let (view, shared, plan) = (view(1, &["a", "b", "c", "d"]), shared(&template), HeadPlan::default());
    let rows = [row(1, 1, 0, true), row(1, 2, 0, false), row(1, 2, 1, true), row(1, 2, 1, true)];
    let mut cache = FeatureCache::new();
    let fit = |rows: &[RerankRow], cache: &mut FeatureCache| {
        fit_reranker(&view, rows, (&mut Planted, &template), &shared, cache, &plan).unwrap()
    };
    let first = fit(&rows[..3], &mut cache);
    assert_eq!((cache.made(), cache.reused()), (3, 0));
    assert_eq!(fit(&rows[..3], &mut cache), first);
    assert_eq!((cache.made(), cache.reused()), (3, 3));
    let more = fit(&rows, &mut cache);
    assert_eq!((cache.made(), cache.reused()), (3, 7), "the same pair again is no new pair");
    assert_eq!(more, fit(&rows, &mut FeatureCache::new()), "kept features are the features");
    let (stamp, head) = unpack(&first.bytes).unwrap();
    assert_eq!((stamp.user, stamp.generation), (UserId::new(1), Generation::FIRST));
    assert_eq!((first.slot.name(), HeadSlot::Adapter.name()), ("reranker", "adapter"));
    shared.check(&head).unwrap();
}

#[test]
fn who_has_no_rows_gets_exactly_the_prior_head() {
    let template = RecordTemplate::with_output();
    let shared = shared(&template);
    let packed = fit_reranker(
        &view(1, &[]),
        &[],
        (&mut Planted, &template),
        &shared,
        &mut FeatureCache::new(),
        &HeadPlan::default(),
    );
    let packed = packed.unwrap();
    assert_eq!(packed.fitted.outcome, Outcome::Prior(Reason::NoRows));
    let mut bank = HeadBank::new(shared.into());
    bank.insert(UserId::new(1), unpack(&packed.bytes).unwrap().1).unwrap();
    let pairs: BTreeMap<usize, _> = (0..5).map(|at| (at, (format!("q{at}"), "style1".to_owned()))).collect();
    let features = Planted.pair_features(&pairs.into_values().collect::<Vec<_>>()).unwrap().features;
    let features = hydra_heads::Features::new(template.features_of(BODY), &features).unwrap();
    let scores = |name| bank.log_odds(&[name; 5], &features).unwrap();
    assert_eq!(scores(hydra_heads::HeadName::User(UserId::new(1))), scores(hydra_heads::HeadName::Prior));
}

#[test]
fn rows_that_are_not_this_users_past_are_refused() {
    let template = RecordTemplate::with_output();
    let (view, shared) = (view(1, &["a", "b", "c"]), shared(&template));
    let refuse = |row: RerankRow| {
        let (mut cache, plan) = (FeatureCache::new(), HeadPlan::default());
        fit_reranker(&view, &[row], (&mut Planted, &template), &shared, &mut cache, &plan).unwrap_err()
    };
    assert!(matches!(refuse(row(2, 1, 0, true)), FittingError::Foreign { .. }));
    assert!(matches!(refuse(row(1, 9, 0, true)), FittingError::UnknownRecord { record, .. } if record.get() == 9));
    assert!(matches!(refuse(row(1, 1, 9, true)), FittingError::UnknownRecord { record, .. } if record.get() == 9));
    for record in [1, 2] {
        assert!(matches!(refuse(row(1, 1, record, true)), FittingError::NotOlder { .. }));
    }
}

#[test]
fn a_head_for_another_template_is_refused() {
    let (view, shared) = (view(1, &["a", "b"]), shared(&RecordTemplate::input_only()));
    let rows = [row(1, 1, 0, true)];
    let mut cache = FeatureCache::new();
    let error = fit_reranker(
        &view,
        &rows,
        (&mut Planted, &RecordTemplate::with_output()),
        &shared,
        &mut cache,
        &HeadPlan::default(),
    );
    assert!(matches!(error.unwrap_err(), FittingError::Fit(_)));
}

/// Another body, which reads the same texts otherwise.
struct Negative;

impl Body for Negative {
    type Error = std::convert::Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([6; 32])
    }

    fn hidden(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        let made = Planted.pair_features(pairs)?;
        Ok(PairFeatures { features: -made.features, ..made })
    }
}

#[test]
fn features_of_one_body_are_never_taken_for_anothers() {
    let template = RecordTemplate::with_output();
    let view = view(1, &["a", "b", "c"]);
    let rows = [row(1, 1, 0, true), row(1, 2, 0, false), row(1, 2, 1, true)];
    let plan = HeadPlan { fit: Fit::linear().strength(Strength::Fixed(0.1)), ..HeadPlan::default() };
    let of = template.features_of(Negative.fingerprint());
    let negative = Shared::new(of, Weights::linear(&[0.5; HIDDEN], 0.0).unwrap()).unwrap();
    let fit = |cache: &mut FeatureCache| {
        fit_reranker(&view, &rows, (&mut Negative, &template), &negative, cache, &plan).unwrap()
    };
    let alone = fit(&mut FeatureCache::new());
    let mut cache = FeatureCache::new();
    fit_reranker(&view, &rows, (&mut Planted, &template), &shared(&template), &mut cache, &plan).unwrap();
    assert_eq!(fit(&mut cache), alone);
}

/// Forgets the last pair.
struct Short;

impl Body for Short {
    type Error = std::convert::Infallible;

    fn fingerprint(&self) -> Fingerprint {
        BODY
    }

    fn hidden(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Self::Error> {
        Planted.pair_features(&pairs[1..])
    }
}

#[test]
fn a_body_that_forgets_a_pair_is_an_error_and_no_panic() {
    let template = RecordTemplate::with_output();
    let (view, rows) = (view(1, &["a", "b", "c"]), [row(1, 1, 0, true), row(1, 2, 0, false)]);
    let (shared, mut cache, plan) = (shared(&template), FeatureCache::new(), HeadPlan::default());
    let error = fit_reranker(&view, &rows, (&mut Short, &template), &shared, &mut cache, &plan).unwrap_err();
    assert!(matches!(error, FittingError::Shape(_)), "{error}");
}
