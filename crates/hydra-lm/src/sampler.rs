//! From logits to a token.

use crate::LmError;

/// How tokens are drawn. [`Sampling::default`] is the most probable token each time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most probable token.
    pub temperature: f32,
    /// Only the so many most probable tokens are drawn from; 0 for all.
    pub top_k: usize,
    /// Only the most probable tokens are drawn from that together reach this probability.
    pub top_p: f32,
    /// The same seed draws the same tokens from the same logits.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    pub(crate) fn check(&self) -> Result<(), LmError> {
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return Err(LmError::Sampling { name: "temperature", expected: "a finite number that is at least 0" });
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(LmError::Sampling { name: "top_p", expected: "a number above 0 and at most 1" });
        }
        Ok(())
    }
}

/// Draws one token after another.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self { random: SplitMix64(sampling.seed), sampling }
    }

    /// The next token. Ties go to the smaller id.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> Result<u32, LmError> {
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        let most = largest(logits)?;
        if temperature == 0.0 || top_k == 1 {
            return Ok(most);
        }
        let peak = f64::from(logits[most as usize]);
        let weight = |logit: f32| ((f64::from(logit) - peak) / f64::from(temperature)).exp();
        let point = self.random.unit();
        if top_k == 0 && top_p >= 1.0 {
            let total: f64 = logits.iter().map(|logit| weight(*logit)).sum();
            return Ok(pick(logits.iter().map(|logit| weight(*logit)).zip(0..), point * total, most));
        }
        let mut ids: Vec<u32> = (0..).take(logits.len()).collect();
        let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
        if (1..ids.len()).contains(&top_k) {
            ids.select_nth_unstable_by(top_k - 1, order);
            ids.truncate(top_k);
        }
        let total: f64 = ids.iter().map(|id| weight(logits[*id as usize])).sum();
        let kept = nucleus(&mut ids, order, |id| weight(logits[id as usize]), total * f64::from(top_p));
        let weights = || ids[..kept].iter().map(|id| (weight(logits[*id as usize]), *id));
        let total: f64 = weights().map(|(weight, _)| weight).sum();
        Ok(pick(weights(), point * total, most))
    }
}

/// Brings the most probable ids to the front, in order, and says how many of them reach `enough`.
///
/// # Source
/// Holtzman et al., *The Curious Case of Neural Text Degeneration*, arXiv:1904.09751, equation 2.
fn nucleus(
    ids: &mut [u32],
    order: impl Fn(&u32, &u32) -> std::cmp::Ordering + Copy,
    weight: impl Fn(u32) -> f64,
    enough: f64,
) -> usize {
    let mut front = FIRST_SORTED.min(ids.len());
    loop {
        // Sorting a whole vocabulary for each token costs more than the model; the nucleus is rarely large.
        if front < ids.len() {
            ids.select_nth_unstable_by(front - 1, order);
        }
        ids[..front].sort_unstable_by(order);
        let mut sum = 0.0;
        for (at, id) in ids[..front].iter().enumerate() {
            sum += weight(*id);
            if sum >= enough {
                return at + 1;
            }
        }
        if front == ids.len() {
            return front;
        }
        front = (front * 8).min(ids.len());
    }
}

/// The id whose share of the sum holds `point`.
fn pick(weights: impl Iterator<Item = (f64, u32)>, point: f64, otherwise: u32) -> u32 {
    let mut sum = 0.0;
    for (weight, id) in weights {
        sum += weight;
        if point < sum {
            return id;
        }
    }
    otherwise
}

/// The most probable token; ties go to the smaller id.
fn largest(logits: &[f32]) -> Result<u32, LmError> {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, logit) in (0..).zip(logits) {
        if logit.is_nan() {
            return Err(LmError::NotFinite);
        }
        if *logit > best.1 {
            best = (id, *logit);
        }
    }
    if best.1.is_finite() { Ok(best.0) } else { Err(LmError::NotFinite) }
}

/// Natural logarithms of the probability of `token` and of the `count` most probable tokens, at temperature 1.
pub(crate) fn log_probabilities(logits: &[f32], token: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|logit| f64::from(logit - peak).exp()).sum();
    let normalizer = f64::from(peak) + total.ln();
    #[allow(clippy::cast_possible_truncation, reason = "handed out as f32")]
    let log = |id: u32| (f64::from(logits[id as usize]) - normalizer).min(0.0) as f32;
    let mut ids: Vec<u32> = (0..).take(logits.len()).collect();
    let order = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let count = count.min(ids.len());
    if count > 0 && count < ids.len() {
        ids.select_nth_unstable_by(count - 1, order);
    }
    ids.truncate(count);
    ids.sort_unstable_by(order);
    (log(token), ids.into_iter().map(|id| (id, log(id))).collect())
}

/// # Source
/// Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014, figure 17.
struct SplitMix64(u64);

impl SplitMix64 {
    /// A number in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let high = u32::try_from(z >> 32).expect("32 bits");
        f64::from(high) / 4_294_967_296.0
    }
}

const FIRST_SORTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sampling: Sampling, logits: &[f32], draws: u32) -> Vec<f64> {
        let mut sampler = Sampler::new(sampling);
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            counts[sampler.draw(logits).unwrap() as usize] += 1.0 / f64::from(draws);
        }
        counts
    }

    #[test]
    fn draws_follow_the_probabilities() {
        // Probabilities .1, .2, .3, .4.
        let logits: Vec<f32> = [0.1_f32, 0.2, 0.3, 0.4].iter().map(|p| p.ln()).collect();
        let close = |sampling: Sampling, expected: [f64; 4]| {
            for (got, expected) in counts(sampling, &logits, 40_000).into_iter().zip(expected) {
                assert!((got - expected).abs() < 0.01, "{got} {expected}");
            }
        };
        let warm = Sampling { temperature: 1.0, ..Sampling::default() };
        close(warm, [0.1, 0.2, 0.3, 0.4]);
        close(Sampling { temperature: 0.5, ..warm }, [0.01 / 0.3, 0.04 / 0.3, 0.09 / 0.3, 0.16 / 0.3]);
        close(Sampling { top_k: 2, ..warm }, [0.0, 0.0, 3.0 / 7.0, 4.0 / 7.0]);
        close(Sampling { top_p: 0.8, ..warm }, [0.0, 2.0 / 9.0, 3.0 / 9.0, 4.0 / 9.0]);
        close(Sampling { top_p: 0.39, ..warm }, [0.0, 0.0, 0.0, 1.0]);
        close(Sampling::default(), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_nucleus_of_a_flat_vocabulary_is_found_behind_the_first_sorted_ids() {
        let sampling = Sampling { temperature: 1.0, top_p: 0.5, seed: 3, ..Sampling::default() };
        let counts = counts(sampling, &[0.0; 1000], 2_000);
        // Ties go to the smaller id, so half of equal tokens are the first half.
        assert!(counts[500..].iter().all(|share| *share == 0.0));
        assert!(counts[..500].iter().filter(|share| **share > 0.0).count() > 400);
    }

    #[test]
    fn ties_go_to_the_smaller_id_and_no_number_is_an_error() {
        let draw = |logits: &[f32]| Sampler::new(Sampling::default()).draw(logits);
        assert_eq!(draw(&[1.0, 2.0, 2.0]).unwrap(), 1);
        assert!(matches!(draw(&[1.0, f32::NAN]), Err(LmError::NotFinite)));
        assert!(matches!(draw(&[f32::INFINITY]), Err(LmError::NotFinite)));
    }

    #[test]
    fn log_probabilities_are_those_of_the_softmax() {
        let logits: Vec<f32> = [0.1_f32, 0.2, 0.3, 0.4].iter().map(|p| p.ln() + 5.0).collect();
        let (of_token, top) = log_probabilities(&logits, 1, 2);
        assert!((of_token - 0.2_f32.ln()).abs() < 1e-6);
        assert_eq!(top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 2]);
        assert!((top[0].1 - 0.4_f32.ln()).abs() < 1e-6);
    }
}
