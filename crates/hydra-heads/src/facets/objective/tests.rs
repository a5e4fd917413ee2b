#![allow(clippy::cast_possible_truncation, reason = "generated numbers may round")]

use hydra_types::Fingerprint;
use hydra_types::ndarray::Array2;

use super::*;

/// Central differences know nothing of the chain rule.
#[test]
fn the_gradient_is_that_of_the_value() {
    let (hidden, n_facets) = (3, 4);
    let mut state = 7;
    let mut features = |rows| Array2::from_shape_simple_fn((rows, hidden), || uniform(&mut state) as f32);
    let arrays = [features(5), features(1), features(4)];
    let body = Fingerprint::new([0; 32]);
    let labels = [vec![true, false, true, true, false], vec![false], vec![true, true, false, false]];
    let users: Vec<UserRows<'_>> = (arrays.iter().zip(&labels).enumerate())
        .map(|(user, (rows, labels))| UserRows {
            rows: Features::new(body, rows).unwrap(),
            labels,
            prior: vec![0.3 * user as f32 - 0.2; labels.len()],
            summary: vec![0.5, -1.0 + user as f64, 0.25],
        })
        .collect();
    let objective = Objective::new(&users, hidden, n_facets, 0.7);

    let joint: Vec<f64> = (0..2 * n_facets * (hidden + 1)).map(|_| uniform(&mut state)).collect();
    compare(&joint, |x, g| objective.joint(x, g));
    let routings = vec![vec![0.0, 0.25, 0.75, 0.0], vec![0.0; 4], vec![1.0, 0.0, 0.0, 0.0]];
    compare(&joint[..n_facets * (hidden + 1)], |x, g| objective.routed(&routings, x, g));
}

fn compare(at: &[f64], f: impl Fn(&[f64], &mut [f64]) -> f64) {
    let mut gradient = vec![0.0; at.len()];
    f(at, &mut gradient);
    let mut unused = gradient.clone();
    for i in 0..at.len() {
        let mut shifted = |by: f64| {
            let mut x = at.to_vec();
            x[i] += by;
            f(&x, &mut unused)
        };
        let expected = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
        assert!((gradient[i] - expected).abs() < 1e-7, "{i}: {} instead of {expected}", gradient[i]);
    }
}
