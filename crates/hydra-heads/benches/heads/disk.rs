//! More heads on disk than in memory: linear heads in int8, read through the resident set from a plain file and from
//! `hydra-store`. Wall time, since some of it is waiting.

mod source;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hydra_heads::{Features, Head, HeadName, HeadSource, Precision, ResidentHeads, Scratch, Shared, Weights};
use hydra_types::ndarray::{Array2, Axis};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};

use crate::measure::{Report, median};
use crate::population::{BODY, Population, normal};
use source::{HeadFile, HeadStore};

const HIDDEN: usize = 384;
/// A call scores this many users, each with as many rows as HYDRA retrieves records.
const USERS: usize = 32;
const ROWS: usize = 10;
const COLD_CALLS: usize = 1_000;
const CALLS: usize = 200;
const ROUNDS: usize = 9;

pub(crate) fn measure(report: &mut Report, users: u32) {
    let folder = tempfile::tempdir().unwrap();
    let shared = Population::new(4, HIDDEN).shared;
    let features = normal(&mut ChaCha8Rng::seed_from_u64(5), (USERS * ROWS, HIDDEN));
    report.add("disk_users", f64::from(users));

    let (in_file, in_store) = (folder.path().join("file"), folder.path().join("store"));
    HeadFile::write(&in_file, heads(&shared, users));
    HeadStore::write(&in_store, heads(&shared, users));
    let file = of_source(report, "", users, &shared, &features, &in_file, HeadFile::open);
    let store = of_source(report, "store_", users, &shared, &features, &in_store, HeadStore::open);
    report.add("zipf_share", zipf_share(users, &shared, &features, file));
    report.add("zipf_share_store", zipf_share(users, &shared, &features, store));

    // The prior head's two layers are most of the work above. Beside one that costs next to nothing, what is fetched
    // shows most.
    let prior = normal(&mut ChaCha8Rng::seed_from_u64(6), (1, HIDDEN)) * 0.05;
    let light = Arc::new(Shared::new(BODY, Weights::linear(prior.as_slice().unwrap(), 0.0).unwrap()).unwrap());
    let path = folder.path().join("light");
    HeadFile::write(&path, heads(&light, users));
    report.add("zipf_share_linear_prior", zipf_share(users, &light, &features, Arc::new(HeadFile::open(&path))));
}

/// Open, cold and memory figures of one source, whose files lie in the folder `path`.
fn of_source<S: HeadSource>(
    report: &mut Report,
    name: &str,
    users: u32,
    shared: &Arc<Shared>,
    features: &Array2<f32>,
    path: &Path,
    open: fn(&Path) -> S,
) -> Arc<S> {
    source::drop_pages(path);
    let start = Instant::now();
    let source = Arc::new(open(path));
    report.add(format!("disk_{name}open_ms"), start.elapsed().as_secs_f64() * 1e3);

    let mut resident = ResidentHeads::new(Arc::clone(shared), Arc::clone(&source), budget(shared, users));
    let mut times = cold_calls(&mut resident, users, features);
    times.sort_unstable_by(f64::total_cmp);
    report.add(format!("disk_{name}cold_p50_ms"), times[times.len() / 2]);
    report.add(format!("disk_{name}cold_p99_ms"), times[times.len() * 99 / 100]);
    fill(&mut resident, users, features);
    report.add(format!("disk_{name}rss_mib"), source::rss_mib());
    source
}

/// Milliseconds of calls that name one user each whose head is not in memory and whose pages were dropped.
fn cold_calls<S: HeadSource>(resident: &mut ResidentHeads<S>, users: u32, features: &Array2<f32>) -> Vec<f64> {
    let rows = features.slice_axis(Axis(0), (..ROWS).into());
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let cold = sample(&mut rng, users as usize, COLD_CALLS.min(users as usize)).into_iter().map(|index| {
        let names = [HeadName::User(source::user(u32::try_from(index).unwrap())); ROWS];
        let start = Instant::now();
        black_box(resident.scores(&names, &Features::new(BODY, &rows).unwrap()).unwrap());
        start.elapsed().as_secs_f64() * 1e3
    });
    cold.collect()
}

/// Names every user once, so that the budget is full.
fn fill<S: HeadSource>(resident: &mut ResidentHeads<S>, users: u32, features: &Array2<f32>) {
    for user in 0..users {
        let row = features.slice_axis(Axis(0), (..1).into());
        let name = [HeadName::User(source::user(user))];
        resident.scores(&name, &Features::new(BODY, &row).unwrap()).unwrap();
    }
}

/// Throughput with a quarter of the heads in memory as a share of that with all of them, under users drawn from
/// Zipf(1.0): the median of rounds taken in turn.
fn zipf_share<S: HeadSource>(users: u32, shared: &Arc<Shared>, features: &Array2<f32>, source: Arc<S>) -> f64 {
    let features = Features::new(BODY, features).unwrap();
    let mut everything = ResidentHeads::new(Arc::clone(shared), Arc::clone(&source), usize::MAX);
    fill(&mut everything, users, &Array2::zeros((1, HIDDEN)));
    let mut quarter = ResidentHeads::new(Arc::clone(shared), source, budget(shared, users));

    let zipf = Zipf::new(users);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut call = || -> Vec<HeadName> {
        let drawn: Vec<HeadName> = (0..USERS).map(|_| HeadName::User(source::user(zipf.draw(&mut rng)))).collect();
        drawn.into_iter().flat_map(|name| [name; ROWS]).collect()
    };
    let (mut scratch, mut out) = (Scratch::new(), vec![0.0; USERS * ROWS]);
    for _ in 0..4 * users as usize / USERS {
        quarter.scores_into(&call(), &features, &mut scratch, &mut out).unwrap();
    }
    let mut shares = Vec::new();
    for _ in 0..ROUNDS {
        let calls: Vec<Vec<HeadName>> = (0..CALLS).map(|_| call()).collect();
        let mut time = |resident: &mut ResidentHeads<Arc<S>>| {
            let start = Instant::now();
            for names in &calls {
                resident.scores_into(names, &features, &mut scratch, &mut out).unwrap();
            }
            start.elapsed().as_secs_f64()
        };
        let all = time(&mut everything);
        shares.push(all / time(&mut quarter));
    }
    median(shares)
}

/// A quarter of what all heads count in memory.
fn budget(shared: &Arc<Shared>, users: u32) -> usize {
    let folder = tempfile::tempdir().unwrap();
    HeadFile::write(folder.path(), heads(shared, 1));
    let mut one = ResidentHeads::new(Arc::clone(shared), HeadFile::open(folder.path()), usize::MAX);
    one.pin(source::user(0)).unwrap();
    one.bytes() * users as usize / 4
}

/// One linear head after the other, in int8.
fn heads(shared: &Shared, users: u32) -> impl Iterator<Item = Head> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    (0..users).map(move |_| {
        let weights: Vec<f32> = (0..HIDDEN).map(|_| rng.random_range(-0.1..0.1)).collect();
        shared
            .head(Weights::linear(&weights, rng.random_range(-0.1..0.1)).unwrap())
            .unwrap()
            .to_precision(Precision::Int8)
    })
}

/// Users by popularity: the n-th is named in proportion to 1 / n. Popularity is spread over the ids.
struct Zipf {
    cumulative: Vec<f64>,
    ids: Vec<u32>,
}

impl Zipf {
    fn new(users: u32) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=users).map(|n| {
            sum += 1.0 / f64::from(n);
            sum
        });
        let cumulative = cumulative.collect();
        let mut ids: Vec<u32> = (0..users).collect();
        ids.shuffle(&mut ChaCha8Rng::seed_from_u64(10));
        Self { cumulative, ids }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let at = rng.random::<f64>() * self.cumulative[self.cumulative.len() - 1];
        self.ids[self.cumulative.partition_point(|&sum| sum <= at)]
    }
}
