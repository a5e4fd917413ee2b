#![allow(clippy::cast_possible_truncation, reason = "generated numbers may round")]

use hydra_types::Fingerprint;
use hydra_types::ndarray::Array2;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;

const BODY: Fingerprint = Fingerprint::new([9; 32]);
const HIDDEN: usize = 12;
const TASTES: usize = 3;

/// A user whose rows are labelled by one of a few tastes, and whose history shows which, blurred.
struct Person {
    history: Array2<f32>,
    rows: Array2<f32>,
    labels: Vec<bool>,
}

fn people(count: usize, seed: u64) -> Vec<Person> {
    let mut tastes_rng = ChaCha8Rng::seed_from_u64(1);
    let tastes = Array2::from_shape_simple_fn((TASTES, HIDDEN), || tastes_rng.random_range(-1.0f32..1.0));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|_| {
            let taste = tastes.row(rng.random_range(0..TASTES)).to_owned();
            let mut features = |rows| Array2::from_shape_simple_fn((rows, HIDDEN), || rng.random_range(-2.0f32..2.0));
            let (mut history, rows) = (features(15), features(30));
            history += &taste.mapv(|t| 0.7 * t);
            let labels = rows
                .rows()
                .into_iter()
                .map(|row| rng.random_range(0.0..1.0) < 1.0 / (1.0 + (-2.0 * row.dot(&taste)).exp()))
                .collect();
            Person { history, rows, labels }
        })
        .collect()
}

fn users(people: &[Person]) -> Vec<FacetUser<'_>> {
    let features = |rows| Features::new(BODY, rows).unwrap();
    people
        .iter()
        .map(|person| FacetUser {
            history: features(&person.history),
            rows: features(&person.rows),
            labels: &person.labels,
        })
        .collect()
}

fn shared() -> Shared {
    Shared::new(BODY, Weights::zeros(crate::Kind::Linear, HIDDEN).unwrap()).unwrap()
}

fn options() -> FacetOptions {
    FacetOptions::new(3).facets(4, 2)
}

/// Mean log-loss of a person's rows under facets mixed by a routing.
fn loss(fitted: &FittedFacets, routing: &Weights, person: &Person) -> f64 {
    let (facets, routing) = (fitted.facets.parameters(), routing.parameters());
    let (f, c) = facets.split_at(routing.len() * HIDDEN);
    let row_loss = |(row, &label): (hydra_types::ndarray::ArrayView1<'_, f32>, &bool)| {
        let facet = |k: usize| row.iter().zip(&f[k * HIDDEN..]).map(|(z, f)| z * f).sum::<f32>() + c[k];
        let log_odds: f32 = routing.iter().enumerate().map(|(k, r)| r * facet(k)).sum();
        f64::from((1.0 + (if label { -log_odds } else { log_odds }).exp()).ln())
    };
    person.rows.rows().into_iter().zip(&person.labels).map(row_loss).sum::<f64>() / person.labels.len() as f64
}

/// The mean, and the half-width of its 99 % interval.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, 2.58 * (variance / n).sqrt())
}

#[test]
fn a_stranger_served_by_facets_beats_the_prior_head_and_the_routing_of_another_fits_worse() {
    let (population, strangers) = (people(150, 10), people(100, 11));
    let fitted = fit_facets(&shared(), &users(&population), options()).unwrap();
    assert!(fitted.routed_loss < fitted.prior_loss, "{fitted:?}");

    let routings: Vec<Weights> = users(&strangers).iter().map(|u| fitted.router.route(u.history).unwrap()).collect();
    let prior = Weights::routing(HIDDEN, &[0.0; 4]).unwrap();
    let losses = |routing: &dyn Fn(usize) -> usize| -> Vec<f64> {
        strangers.iter().enumerate().map(|(i, person)| loss(&fitted, &routings[routing(i)], person)).collect()
    };
    let (own, swapped) = (losses(&|i| i), losses(&|i| (i + 1) % strangers.len()));
    let over_prior: Vec<f64> = strangers.iter().zip(&own).map(|(p, own)| loss(&fitted, &prior, p) - own).collect();
    let over_swapped: Vec<f64> = swapped.iter().zip(&own).map(|(swapped, own)| swapped - own).collect();
    for (name, gains) in [("the prior head", over_prior), ("swapped routings", over_swapped)] {
        let (mean, half) = interval(&gains);
        assert!(mean - half > 0.05, "gain over {name}: {mean} +- {half}");
    }
}

#[test]
fn no_history_is_exactly_the_prior_head() {
    let population = people(20, 12);
    let fitted = fit_facets(&shared(), &users(&population), options().restarts(1)).unwrap();
    let nothing = Array2::zeros((0, HIDDEN));
    let routing = fitted.router.route(Features::new(BODY, &nothing).unwrap()).unwrap();
    assert!(routing.parameters().iter().all(|&weight| weight == 0.0));
}

#[test]
fn a_routing_is_sparse_and_sums_to_one() {
    let population = people(20, 13);
    let fitted = fit_facets(&shared(), &users(&population), options().restarts(1)).unwrap();
    for user in users(&population) {
        let weights = fitted.router.route(user.history).unwrap().parameters();
        assert_eq!(weights.iter().filter(|&&weight| weight != 0.0).count(), 2);
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6 && weights.iter().all(|&weight| weight >= 0.0));
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let population = people(40, 14);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit_facets(&shared(), &users(&population), options().restarts(1)).unwrap())
    };
    assert_eq!(fit(1), fit(3));
}

#[test]
fn what_cannot_be_trained_on_is_refused() {
    let population = people(2, 15);
    let users = users(&population);
    let fit = |users: &[FacetUser<'_>], options| fit_facets(&shared(), users, options).unwrap_err();
    assert_eq!(fit(&[], options()), FacetError::NoRows);
    assert_eq!(fit(&users, options().facets(2, 3)), FacetError::Mixed { facets: 2, mixed: 3 });
    let short = FacetUser { labels: &population[0].labels[1..], ..users[0] };
    assert_eq!(fit(&[users[1], short], options()), FacetError::Labels { user: 1, rows: 30, labels: 29 });
    let foreign = Features::new(Fingerprint::new([8; 32]), &population[0].rows).unwrap();
    assert_eq!(fit(&[FacetUser { history: foreign, ..users[0] }], options()), FacetError::Body { user: 0 });
    let narrow = Array2::zeros((1, HIDDEN - 1));
    let narrow = FacetUser { history: Features::new(BODY, &narrow).unwrap(), ..users[0] };
    assert_eq!(fit(&[narrow], options()), FacetError::Width { user: 0, expected: HIDDEN, got: HIDDEN - 1 });
}

#[test]
fn users_without_history_or_without_rows_do_no_harm() {
    let mut population = people(30, 16);
    for (index, person) in population.iter_mut().enumerate() {
        match index % 3 {
            0 => person.history = Array2::zeros((0, HIDDEN)),
            1 => (person.rows, person.labels) = (Array2::zeros((0, HIDDEN)), Vec::new()),
            _ => {}
        }
    }
    let fitted = fit_facets(&shared(), &users(&population), options().restarts(1)).unwrap();
    assert!(fitted.routed_loss.is_finite() && fitted.routed_loss <= fitted.prior_loss);
}
