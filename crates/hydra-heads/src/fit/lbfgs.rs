//! L-BFGS: descent along gradients that remember the last few steps.
//!
//! Ours, and not an optimiser crate: this is one function, it is deterministic, allocates once, and the crates that do it
//! bring a framework of traits for problems that we do not have.

use std::collections::VecDeque;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Options {
    /// At most so many steps.
    pub(crate) max_steps: usize,
    /// The gradient's largest number, relative to `1 + |value|`, that counts as zero.
    pub(crate) gradient: f64,
    /// A step that lowers the value by less than this share of it is the last.
    pub(crate) decrease: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_steps: 200, gradient: 1e-6, decrease: 1e-9 }
    }
}

/// Moves `x` to where `objective` is lowest nearby and returns the value there.
///
/// `objective` writes its gradient at `x` to the second argument and returns its value. A value that is not finite is
/// stepped back from; the result is never above where it began.
///
/// # Source
/// Nocedal and Wright 2006, algorithms 7.4 (two-loop recursion) and 3.1 (backtracking, `c = 1e-4`). **Differs:** a pair
/// without positive curvature is not remembered, in place of the Wolfe conditions that rule it out.
pub(crate) fn minimize(x: &mut [f64], options: &Options, mut objective: impl FnMut(&[f64], &mut [f64]) -> f64) -> f64 {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = objective(x, &mut gradient);
    let (mut next, mut next_gradient, mut direction) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(REMEMBERED);
    for _ in 0..options.max_steps {
        let steepest = gradient.iter().fold(0.0f64, |max, g| max.max(g.abs()));
        if !value.is_finite() || steepest <= options.gradient * (1.0 + value.abs()) {
            break;
        }
        descend(&gradient, &pairs, &mut direction);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            descend(&gradient, &pairs, &mut direction);
            slope = dot(&direction, &gradient);
        }
        // Without a remembered pair the scale is unknown: the first step has length one.
        let mut step = if pairs.is_empty() { 1.0 / slope.abs().sqrt().max(1.0) } else { 1.0 };
        let mut taken = None;
        for _ in 0..MAX_HALVINGS {
            for ((next, x), d) in next.iter_mut().zip(&*x).zip(&direction) {
                *next = x + step * d;
            }
            let trial = objective(&next, &mut next_gradient);
            if trial.is_finite() && trial <= value + SUFFICIENT_DECREASE * step * slope {
                taken = Some(trial);
                break;
            }
            step *= 0.5;
        }
        let Some(lower) = taken else {
            break;
        };
        // The oldest pair's memory is used again for the newest.
        let mut pair = if pairs.len() == REMEMBERED { pairs.pop_front() } else { None }.unwrap_or_else(|| Pair {
            s: vec![0.0; n],
            y: vec![0.0; n],
            rho: 0.0,
        });
        for i in 0..n {
            pair.s[i] = next[i] - x[i];
            pair.y[i] = next_gradient[i] - gradient[i];
        }
        let curvature = dot(&pair.s, &pair.y);
        if curvature > MIN_CURVATURE * dot(&pair.y, &pair.y) {
            pair.rho = 1.0 / curvature;
            pairs.push_back(pair);
        }
        x.copy_from_slice(&next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        let decrease = value - lower;
        value = lower;
        if decrease <= options.decrease * (value.abs() + options.decrease) {
            break;
        }
    }
    value
}

/// A step and how the gradient changed over it.
struct Pair {
    s: Vec<f64>,
    y: Vec<f64>,
    rho: f64,
}

/// `direction = -H gradient`, with the inverse Hessian `H` as the pairs tell.
fn descend(gradient: &[f64], pairs: &VecDeque<Pair>, direction: &mut [f64]) {
    for (d, g) in direction.iter_mut().zip(gradient) {
        *d = -g;
    }
    let mut alphas = [0.0; REMEMBERED];
    for (pair, alpha) in pairs.iter().zip(&mut alphas).rev() {
        *alpha = pair.rho * dot(&pair.s, direction);
        add_scaled(direction, -*alpha, &pair.y);
    }
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.rho * dot(&last.y, &last.y));
        for d in &mut *direction {
            *d *= scale;
        }
    }
    for (pair, alpha) in pairs.iter().zip(&alphas) {
        let beta = pair.rho * dot(&pair.y, direction);
        add_scaled(direction, alpha - beta, &pair.s);
    }
}

fn add_scaled(sum: &mut [f64], factor: f64, row: &[f64]) {
    for (sum, number) in sum.iter_mut().zip(row) {
        *sum += factor * number;
    }
}

/// Eight running sums, so that the compiler may use vectors.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Steps that are remembered; more than ten rarely help (Nocedal and Wright, section 7.2).
const REMEMBERED: usize = 8;
const MAX_HALVINGS: usize = 30;
const SUFFICIENT_DECREASE: f64 = 1e-4;
const MIN_CURVATURE: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_is_solved() {
        // f = 1/2 Σ (i + 1) (x_i - i)^2: the minimum is known.
        let mut x = vec![0.0; 50];
        let tight = Options { gradient: 1e-10, decrease: 0.0, ..Options::default() };
        let value = minimize(&mut x, &tight, |x, g| {
            let mut value = 0.0;
            let mut curvature = 0.0;
            for (i, (x, g)) in x.iter().zip(g).enumerate() {
                curvature += 1.0;
                let away = x - f64::from(u32::try_from(i).unwrap());
                *g = curvature * away;
                value += 0.5 * curvature * away * away;
            }
            value
        });
        assert!(value < 1e-12, "{value}");
        assert!((x[49] - 49.0).abs() < 1e-6);
    }

    #[test]
    fn the_rosenbrock_valley_is_followed_to_its_end() {
        let mut x = [-1.2, 1.0];
        let options = Options { max_steps: 500, decrease: 0.0, ..Options::default() };
        minimize(&mut x, &options, |x, g| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * x[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!((x[0] - 1.0).abs() < 1e-4 && (x[1] - 1.0).abs() < 1e-4, "{x:?}");
    }

    #[test]
    fn a_wall_of_infinity_is_stepped_back_from() {
        let mut x = [1.0];
        minimize(&mut x, &Options::default(), |x, g| {
            if x[0] <= 0.0 {
                return f64::INFINITY;
            }
            g[0] = 1.0 - 0.01 / x[0];
            x[0] - 0.01 * x[0].ln()
        });
        assert!((x[0] - 0.01).abs() < 1e-4, "{x:?}");
    }
}
