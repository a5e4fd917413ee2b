//! Parity with PyTorch: `xtask/python/make_head_goldens.py` made the files.

use std::sync::Arc;

use hydra_heads::{
    AdamW, ClassWeights, Features, FitRows, Head, HeadBank, HeadName, Kind, Shared, Weights, loss_and_gradient,
};
use hydra_testkit::{Tolerance, fixture};
use hydra_types::ndarray::Array2;
use hydra_types::{Fingerprint, UserId};

const BODY: Fingerprint = Fingerprint::new([3; 32]);

/// The script's generator.
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn bits(&mut self) -> u16 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u16::try_from(self.0 >> 48).unwrap()
    }

    fn below(&mut self, bound: u16) -> usize {
        usize::from(self.bits() % bound)
    }

    fn take(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| scale * (f32::from(self.bits()) / 32_768.0 - 1.0)).collect()
    }

    fn weights(&mut self, kind: Kind, hidden: usize, scale: f32) -> Weights {
        Weights::from_parameters(kind, hidden, &self.take(kind.parameters(hidden), scale)).unwrap()
    }

    fn features(&mut self, batch: usize, hidden: usize, scale: f32) -> Array2<f32> {
        Array2::from_shape_vec((batch, hidden), self.take(batch * hidden, scale)).unwrap()
    }

    fn labels(&mut self, n: usize) -> Vec<bool> {
        (0..n).map(|_| self.below(2) == 1).collect()
    }
}

/// Cases of a file: five small numbers, then as many `f32` as the caller asks for.
struct Cases<'a>(&'a [u8]);

impl Cases<'_> {
    fn shape(&mut self) -> Option<[usize; 5]> {
        let (shape, rest) = self.0.split_first_chunk::<5>()?;
        self.0 = rest;
        Some(shape.map(usize::from))
    }

    fn numbers(&mut self, n: usize) -> Vec<f32> {
        let (numbers, rest) = self.0.split_at(4 * n);
        self.0 = rest;
        numbers.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }
}

#[test]
fn forward_and_gradient_of_every_kind_are_those_of_pytorch() {
    let file = std::fs::read(fixture("heads/golden.bin")).unwrap();
    let mut cases = Cases(&file);
    let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5 };
    let mut n = 0;
    while let Some([code, hidden, inner, rank, batch]) = cases.shape() {
        let mut numbers = Numbers::new(n);
        assert_eq!(
            [1 + numbers.below(8), 1 + numbers.below(6), 1 + numbers.below(3), 1 + numbers.below(5)],
            [hidden, inner, rank, batch],
            "the generators agree"
        );
        let prior = numbers.weights(Kind::TwoLayer { inner }, hidden, 2.0);
        let facets = numbers.weights(Kind::Facets { facets: rank }, hidden, 1.0);
        let kind =
            [Kind::TwoLayer { inner }, Kind::Linear, Kind::LowRank { inner, rank }, Kind::Routing { facets: rank }]
                [code];
        let own = numbers.weights(kind, hidden, 2.0);
        let rows = numbers.features(batch, hidden, 2.0);
        let labels = numbers.labels(batch);

        let shared = Arc::new(Shared::new(BODY, prior).unwrap().with_facets(facets).unwrap());
        let head = shared.head(own).unwrap();
        let features = Features::new(BODY, &rows).unwrap();
        let (loss, gradient) =
            loss_and_gradient(&shared, &head, &FitRows::new(features, &labels, ClassWeights::Equal).unwrap()).unwrap();
        let got = score(&shared, head, &features);

        for (got, expected) in [
            (&got[..], cases.numbers(batch)),
            (&[as_f32(loss)][..], cases.numbers(1)),
            (&gradient[..], cases.numbers(kind.parameters(hidden))),
        ] {
            if let Err(worst) = tolerance.compare(got, &expected) {
                panic!("case {n}, {kind:?}: {worst}");
            }
        }
        n += 1;
    }
    assert_eq!(n, 3000);
}

#[test]
fn adamw_is_that_of_pytorch() {
    let file = std::fs::read(fixture("heads/adamw.bin")).unwrap();
    let mut cases = Cases(&file);
    let mut n = 0;
    while let Some([hidden, inner, n_rows, steps, _]) = cases.shape() {
        let mut numbers = Numbers::new(n);
        for bound in [6, 5, 10, 20] {
            numbers.below(bound);
        }
        let kind = Kind::TwoLayer { inner };
        let start = numbers.weights(kind, hidden, 1.0);
        let rows = numbers.features(n_rows, hidden, 1.0);
        let mut labels = numbers.labels(n_rows);
        labels[..2].copy_from_slice(&[false, true]);

        let shared = Shared::new(BODY, start).unwrap();
        let rows = FitRows::new(Features::new(BODY, &rows).unwrap(), &labels, ClassWeights::Equal).unwrap();
        let adamw = AdamW::paper(1).learning_rate(0.01).weight_decay(0.1).batches(n_rows, steps);
        let fitted = adamw.run(&shared, &rows).unwrap();
        let expected = cases.numbers(kind.parameters(hidden));
        if let Err(worst) = Tolerance::absolute(1e-4).compare(&fitted.head.weights().parameters(), &expected) {
            panic!("case {n}: {worst}");
        }
        n += 1;
    }
    assert_eq!(n, 50);
}

fn score(shared: &Arc<Shared>, head: Head, features: &Features<'_>) -> Vec<f32> {
    let user = UserId::new(1);
    let mut bank = HeadBank::new(Arc::clone(shared));
    bank.insert(user, head).unwrap();
    bank.log_odds(&vec![HeadName::User(user); features.batch()], features).unwrap()
}

#[allow(clippy::cast_possible_truncation, reason = "the files hold f32")]
fn as_f32(number: f64) -> f32 {
    number as f32
}
