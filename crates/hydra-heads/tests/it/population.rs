//! A population with known preferences, for tests and the bench: generated, so it shows that the maths works and nothing
//! about people.
//!
//! Features have 16 dimensions that matter, mixed into `hidden` ones with noise, as encoders' do. Every user adds to the
//! prior head's log-odds a taste of their own: a mix of two of five common tastes, and something personal.

use hydra_heads::{ClassWeights, Features, FitRows, HeadBank, HeadName, Shared, Weights};
use hydra_types::Fingerprint;
use hydra_types::ndarray::{Array1, Array2};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

pub(crate) const BODY: Fingerprint = Fingerprint::new([9; 32]);
const LATENT: usize = 16;
const TASTES: usize = 5;

/// What all users have in common.
pub(crate) struct Population {
    seed: u64,
    mixing: Array2<f32>,
    tastes: Array2<f32>,
    pub(crate) shared: Arc<Shared>,
}

/// One user's rows.
pub(crate) struct User {
    pub(crate) features: Array2<f32>,
    pub(crate) labels: Vec<bool>,
    /// The log-odds that the labels were drawn with.
    pub(crate) truth: Vec<f32>,
}

impl Population {
    /// A two-layer prior head as wide as the features, random, adding about ±1 to the log-odds.
    pub(crate) fn new(seed: u64, hidden: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mixing = normal(&mut rng, (LATENT, hidden)) / root(LATENT);
        let tastes = normal(&mut rng, (TASTES, LATENT));
        let w1 = normal(&mut rng, (hidden, hidden)) / root(hidden);
        let w2 = normal(&mut rng, (2, hidden)) / root(hidden);
        let prior = Weights::two_layer(&w1, &vec![0.0; hidden], &w2, &[0.0, 0.0]).unwrap();
        let shared = Arc::new(Shared::new(BODY, prior).unwrap());
        Self { seed, mixing, tastes, shared }
    }

    /// `rows` rows of user number `user`. Rows of another `part` are other rows of the same user.
    pub(crate) fn user(&self, user: u64, part: u64, rows: usize) -> User {
        let hidden = self.shared.hidden();
        let mut taste_rng = ChaCha8Rng::seed_from_u64(self.seed ^ (user + 1).wrapping_mul(0x9e37_79b9));
        let [first, second] = [0, 1].map(|_| taste_rng.random_range(0..TASTES));
        let personal: Array1<f32> = normal(&mut taste_rng, (1, LATENT)).row(0).to_owned();
        let taste = (&self.tastes.row(first) + &self.tastes.row(second) + 0.5 * personal) * (2.0 / root(2 * LATENT));
        let mut rng = ChaCha8Rng::seed_from_u64(taste_rng.random::<u64>() ^ part);
        let latent = normal(&mut rng, (rows, LATENT));
        let features = latent.dot(&self.mixing) + 0.2 * normal(&mut rng, (rows, hidden));
        let bank = HeadBank::new(Arc::clone(&self.shared));
        let prior = bank.log_odds(&vec![HeadName::Prior; rows], &Features::new(BODY, &features).unwrap()).unwrap();
        let truth: Vec<f32> = prior.iter().zip(latent.dot(&taste)).map(|(prior, own)| prior + own).collect();
        let labels = truth.iter().map(|&odds| rng.random::<f32>() < hydra_heads::probability(odds)).collect();
        User { features, labels, truth }
    }
}

impl User {
    pub(crate) fn rows(&self) -> FitRows<'_> {
        let features = Features::new(BODY, &self.features).unwrap();
        FitRows::new(features, &self.labels, ClassWeights::Equal).unwrap()
    }

    /// The mean log-loss of these log-odds on this user's labels.
    pub(crate) fn log_loss(&self, log_odds: &[f32]) -> f64 {
        let losses = log_odds.iter().zip(&self.labels).map(|(&odds, &label)| {
            let against = f64::from(if label { -odds } else { odds });
            against.max(0.0) + (-against.abs()).exp().ln_1p()
        });
        losses.sum::<f64>() / f64::from(u32::try_from(self.labels.len()).unwrap())
    }
}

/// Independent standard normal numbers.
///
/// # Source
/// Box and Muller 1958.
pub(crate) fn normal(rng: &mut ChaCha8Rng, shape: (usize, usize)) -> Array2<f32> {
    Array2::from_shape_simple_fn(shape, || {
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
        radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
    })
}

fn root(n: usize) -> f32 {
    f32::from(u16::try_from(n).unwrap()).sqrt()
}
