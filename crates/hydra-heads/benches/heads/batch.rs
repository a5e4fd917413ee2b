//! A batch of 32 rows of 32 users, each with the paper's head at `hidden` = 384: against the number of registered users,
//! against the one-hot product, and against the time to read the same heads from memory.

use std::hint::black_box;
use std::sync::Arc;

use hydra_heads::{Features, HeadBank, HeadName, Kind, Precision, Scratch, Weights};
use hydra_types::UserId;
use hydra_types::ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::rngs::ChaCha8Rng;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};

use crate::measure::{Report, cpu_ms, median};
use crate::population::{BODY, Population, normal};

const HIDDEN: usize = 384;
const KIND: Kind = Kind::TwoLayer { inner: HIDDEN };
const BATCH: usize = 32;
const ROUNDS: usize = 61;
/// How often all heads are put into memory anew. The best counts: which pages of memory the system hands out is luck, and bad
/// luck with the largest bank's is not a cost of heads.
const BUILDS: usize = 3;
const REGISTERED: [usize; 3] = [100, 1_000, 10_000];
const BLOCKS: usize = 200;
const ONE_HOT: [usize; 3] = [50, 200, 800];

pub(crate) fn measure(report: &mut Report) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let population = Population::new(1, HIDDEN);
    let features = normal(&mut rng, (BATCH, HIDDEN));
    let base = normal(&mut rng, (1, KIND.parameters(HIDDEN))) * 0.05;
    let base = base.as_slice().unwrap();
    let mut times = vec![f64::INFINITY; REGISTERED.len() + 3];
    for _ in 0..BUILDS {
        for (best, time) in times.iter_mut().zip(one_build(&population, base, &features, &mut rng)) {
            *best = best.min(time);
        }
    }
    let (ours, stream) = (&times[..REGISTERED.len()], times[REGISTERED.len() + 2]);
    for (users, time) in REGISTERED.iter().zip(ours) {
        report.add(format!("batch_ms_at_{users}"), *time);
    }
    let largest = ours.iter().copied().fold(0.0, f64::max);
    let smallest = ours.iter().copied().fold(f64::INFINITY, f64::min);
    report.add("cost_flatness", largest / smallest);
    report.add("stream_ms", stream);
    report.add("share_of_memory_limit", stream / ours[1]);
    report.add("f16_over_f32_speed", ours[1] / times[3]);
    report.add("int8_over_f32_speed", ours[1] / times[4]);

    let one_hot: Vec<f64> = ONE_HOT.iter().map(|&users| one_hot_ms(base, users, &features, &mut rng)).collect();
    for (users, time) in ONE_HOT.iter().zip(&one_hot) {
        report.add(format!("onehot_ms_at_{users}"), *time);
    }
    report.add("onehot_over_ours_at_800", one_hot[2] / ours[1]);
}

/// Median times of a batch, for banks of every size in [`REGISTERED`], for 1,000 users in f16 and in int8, and for reading
/// the same bytes.
fn one_build(population: &Population, base: &[f32], features: &Array2<f32>, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let of = |users, precision| (users, precision, HeadBank::new(Arc::clone(&population.shared)));
    let mut banks = REGISTERED.map(|users| of(users, Precision::F32)).to_vec();
    banks.extend([Precision::F16, Precision::Int8].map(|precision| of(1_000, precision)));
    // Other bytes of the size of heads: reading 32 of them is what scoring cannot do without.
    let mut memory: Vec<Vec<f32>> = Vec::new();
    // All grow side by side: what the system hands out early is less contiguous and slower than what it hands out late.
    let most = REGISTERED[2];
    for n in 0..most {
        for (users, precision, bank) in &mut banks {
            if n % (most / *users) == 0 {
                insert(bank, n / (most / *users), base, *precision);
            }
        }
        if n % (most / BLOCKS) == 0 {
            memory.push(scaled(base, n));
        }
    }
    let mut cold = Cold::new();

    let mut times = vec![Vec::new(); banks.len() + 1];
    for round in 0..ROUNDS {
        // Another one begins each round: what is measured first after reading plain memory is slower, whichever it is.
        for turn in 0..times.len() {
            let at = (round + turn) % times.len();
            times[at].push(match banks.get(at) {
                Some((users, _, bank)) => {
                    let names: Vec<HeadName> = sample(rng, *users, BATCH).into_iter().map(user).collect();
                    time_of(bank, &names, features, &mut cold)
                }
                None => {
                    let picks = sample(rng, memory.len(), BATCH).into_vec();
                    cold.evict();
                    cpu_ms(|| picks.iter().for_each(|&pick| _ = black_box(sum(&memory[pick]))))
                }
            });
        }
    }
    times.into_iter().map(median).collect()
}

fn user(n: usize) -> HeadName {
    HeadName::User(UserId::new(n.try_into().unwrap()))
}

/// The numbers of head number `n`: all different, and quickly made.
fn scaled(base: &[f32], n: usize) -> Vec<f32> {
    let factor = 1.0 + f32::from(u16::try_from(n).unwrap()) / 16_384.0;
    base.iter().map(|number| number * factor).collect()
}

fn insert(bank: &mut HeadBank, n: usize, base: &[f32], precision: Precision) {
    let weights = Weights::from_parameters(KIND, HIDDEN, &scaled(base, n)).unwrap();
    let head = bank.shared().head(weights.to_precision(precision)).unwrap();
    bank.insert(UserId::new(n.try_into().unwrap()), head).unwrap();
}

fn time_of(bank: &HeadBank, names: &[HeadName], features: &Array2<f32>, cold: &mut Cold) -> f64 {
    let features = Features::new(BODY, features).unwrap();
    let (mut scratch, mut out) = (Scratch::new(), vec![0.0; names.len()]);
    // Once with other heads: the scratch has its size, and the code is warm.
    bank.scores_into(&[HeadName::Prior; BATCH], &features, &mut scratch, &mut out).unwrap();
    cold.evict();
    cpu_ms(|| bank.scores_into(names, &features, &mut scratch, black_box(&mut out)).unwrap())
}

/// Reads more than the caches hold, so that every timing starts with heads in memory and not in a cache: with 100 users
/// they would else be there, and 10,000 users would look dear.
struct Cold(Vec<f32>);

impl Cold {
    fn new() -> Self {
        Self(vec![1.0; 32 << 20])
    }

    fn evict(&mut self) {
        self.0[0] = black_box(sum(&self.0)).min(1.0);
    }
}

/// Every number once, with enough running sums that memory is the limit.
fn sum(numbers: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    for chunk in numbers.as_chunks::<32>().0 {
        for (sum, number) in sums.iter_mut().zip(chunk) {
            *sum += number;
        }
    }
    sums.iter().sum()
}

/// The product as the paper's released code computes it: every row through every user's head, then all but the own one
/// multiplied by zero. With a good matrix product, so that only the idea is compared.
fn one_hot_ms(base: &[f32], users: usize, features: &Array2<f32>, rng: &mut ChaCha8Rng) -> f64 {
    let heads: Vec<Vec<f32>> = (0..users).map(|n| scaled(base, n)).collect();
    let owners: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..users)).collect();
    let runs = (0..3).map(|_| {
        cpu_ms(|| {
            let mut scores = Array1::<f32>::zeros(BATCH);
            for (n, head) in heads.iter().enumerate() {
                let (w1, rest) = head.split_at(HIDDEN * HIDDEN);
                let (b1, rest) = rest.split_at(HIDDEN);
                let (w2, b2) = rest.split_at(2 * HIDDEN);
                let w1 = ArrayView2::from_shape((HIDDEN, HIDDEN), w1).unwrap();
                let w2 = ArrayView2::from_shape((2, HIDDEN), w2).unwrap();
                let inner = (features.dot(&w1.t()) + &Array1::from_vec(b1.to_vec())).mapv(f32::tanh);
                let logits = inner.dot(&w2.t()) + &Array1::from_vec(b2.to_vec());
                let mask: Array1<f32> = owners.iter().map(|&owner| if owner == n { 1.0 } else { 0.0 }).collect();
                scores += &((&logits.index_axis(Axis(1), 1) - &logits.index_axis(Axis(1), 0)) * mask);
            }
            black_box(scores);
        })
    });
    median(runs.collect())
}
