//! How fast appends, bulk loads, opening, cold reads and forgetting are: `cargo xtask bench store --json`.
//!
//! `--users N` (100,000) and `--records N` a user (2) set the size. A record is 200 bytes of text and a vector of 384
//! `f32`. The plain sync of a small file is measured in the same run, because a durable append cannot be faster.
//! Progress goes to standard error, and with `--json` so does what is measured beside the figures of [`KEYS`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports")]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use hydra_store::{Batch, Scan, Store, StoreKey, Table};
use hydra_types::{Scope, UserId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const RECORDS: Table = Table::new("records");
const VECTORS: Table = Table::new("vectors");
const TEXT_BYTES: usize = 200;
const VECTOR_BYTES: usize = 384 * 4;
const APPENDS: usize = 400;
const FORGETS: usize = 300;
const COLD_READS: usize = 2_000;

/// What is compared from one version to the next.
const KEYS: [&str; 7] =
    ["append_p50_us", "append_p99_us", "batched_records_per_s", "open_ms", "rss_mib", "cold_read_p99_us", "forget_ms"];

const USAGE: &str = "\
How fast appends, bulk loads, opening, cold reads and forgetting are.

  --json       one JSON object on standard output, and nothing else
  --users N    users in the store (100,000)
  --records N  records a user (2)";

struct Arguments {
    help: bool,
    json: bool,
    users: u64,
    records: u64,
    /// Set in the second process, which opens what the first one wrote.
    probe: Option<String>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    if arguments.help {
        println!("{USAGE}");
        return Ok(());
    }
    if let Some(folder) = &arguments.probe {
        println!("{}", probe(Path::new(folder), arguments.users)?);
        return Ok(());
    }
    let report = measure(&arguments)?;
    if arguments.json {
        eprintln!("{report:#}");
        let keys = KEYS.map(|key| (key.to_owned(), report[key].clone()));
        println!("{}", Value::Object(keys.into_iter().collect()));
    } else {
        println!("{report:#}");
    }
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { help: false, json: false, users: 100_000, records: 2, probe: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => parsed.help = true,
            "--json" => parsed.json = true,
            "--users" => parsed.users = value()?.parse()?,
            "--records" => parsed.records = value()?.parse()?,
            "--probe" => parsed.probe = Some(value()?),
            // What `cargo bench` passes to every bench.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}: --help lists them").into()),
        }
    }
    if parsed.users < FORGETS as u64 {
        return Err(format!("--users must be at least {FORGETS}, got {}", parsed.users).into());
    }
    Ok(parsed)
}

fn measure(arguments: &Arguments) -> Result<Value> {
    let place = tempfile::tempdir_in(".")?;
    let folder = place.path().join("store");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let store = Store::create(&folder, &key())?;

    let start = Instant::now();
    let progress = |what: &str| eprintln!("{:6.1} s  {what}", start.elapsed().as_secs_f64());
    let users: Vec<_> = (0..arguments.users).collect();
    for record in 0..arguments.records {
        for users in users.chunks(2_000) {
            let batches: Vec<_> = users.iter().map(|&user| append(user, record, &mut rng)).collect();
            store.commit_many(&batches)?;
        }
        progress(&format!("{} of {} records of {} users", record + 1, arguments.records, arguments.users));
    }
    let batched = number(arguments.users * arguments.records) / start.elapsed().as_secs_f64();

    let mut appends = Vec::new();
    for nth in 0..APPENDS {
        let user = rng.random_range(0..arguments.users);
        let batch = append(user, arguments.records + nth as u64, &mut rng);
        appends.push(micros(|| store.commit(&batch))?);
    }
    let mut syncs = plain_syncs(place.path())?;

    progress(&format!("{APPENDS} single appends"));

    let mut forgets = Vec::new();
    for nth in 0..FORGETS {
        // Spread over the store; none twice.
        let user = nth as u64 * (arguments.users / FORGETS as u64);
        forgets.push(micros(|| store.forget(&scope(user)))? / 1_000.0);
    }
    progress(&format!("{FORGETS} users forgotten"));
    drop(store);
    let rows_mib = number(fs::metadata(folder.join("rows.redb"))?.len()) / MIB;

    let pages_dropped = drop_pages(&folder);
    let probed = Command::new(std::env::current_exe()?)
        .args(["--users", &arguments.users.to_string(), "--probe"])
        .arg(&folder)
        .output()?;
    if !probed.status.success() {
        return Err(format!("the probe failed: {}", String::from_utf8_lossy(&probed.stderr)).into());
    }
    progress("opened and read by another process");
    let mut report: Value = serde_json::from_slice(&probed.stdout)?;
    let append_p50 = percentile(&mut appends, 0.50);
    let forget_p50 = percentile(&mut forgets, 0.50);
    let sync_p50 = percentile(&mut syncs, 0.50);
    let own = json!({
        "users": arguments.users,
        "records_per_user": arguments.records,
        "rows_mib": rows_mib,
        "pages_dropped": pages_dropped,
        "append_p50_us": append_p50,
        "append_p99_us": percentile(&mut appends, 0.99),
        "plain_sync_p50_us": sync_p50,
        "plain_sync_p99_us": percentile(&mut syncs, 0.99),
        "append_in_plain_syncs": append_p50 / sync_p50,
        "batched_records_per_s": batched,
        "forget_ms": percentile(&mut forgets, 0.99),
        "forget_p50_ms": forget_p50,
        "forget_in_plain_syncs": forget_p50 * 1_000.0 / sync_p50,
    });
    let (Value::Object(report_keys), Value::Object(own)) = (&mut report, own) else {
        return Err("the probe printed no object".into());
    };
    report_keys.extend(own);
    Ok(report)
}

/// A fresh process: opening, its resident memory, and the first read of users nobody asked for yet.
fn probe(folder: &Path, users: u64) -> Result<Value> {
    let before = resident_mib()?;
    let open = || -> Result<(Store, f64)> {
        let start = Instant::now();
        let store = Store::open(folder, &key())?;
        Ok((store, start.elapsed().as_secs_f64() * 1_000.0))
    };
    let (store, open_ms) = open()?;
    let resident = resident_mib()?;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut reads = Vec::new();
    for _ in 0..COLD_READS {
        let scope = scope(rng.random_range(0..users));
        reads.push(micros(|| store.scan(Scan::new(&scope, RECORDS)))?);
    }
    drop(store);
    let (_store, reopen_ms) = open()?;
    Ok(json!({
        "open_ms": open_ms,
        "reopen_ms": reopen_ms,
        "rss_mib": resident,
        "rss_before_open_mib": before,
        "cold_read_p50_us": percentile(&mut reads, 0.50),
        "cold_read_p99_us": percentile(&mut reads, 0.99),
    }))
}

/// One record with its vector.
fn append(user: u64, record: u64, rng: &mut ChaCha8Rng) -> Batch {
    let mut text = vec![0; TEXT_BYTES];
    let mut vector = vec![0; VECTOR_BYTES];
    rng.fill(text.as_mut_slice());
    rng.fill(vector.as_mut_slice());
    let slot = record.to_be_bytes();
    Batch::new(&scope(user)).put(RECORDS, slot, text).put(VECTORS, slot, vector)
}

fn plain_syncs(folder: &Path) -> Result<Vec<f64>> {
    let mut file = File::create(folder.join("plain"))?;
    (0..APPENDS).map(|_| micros(|| file.write_all(&[1; 4096]).and_then(|()| file.sync_data()))).collect()
}

fn micros<T, E: Error + 'static>(work: impl FnOnce() -> Result<T, E>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the values")]
    let at = (values.len() as f64 * share) as usize;
    values[at.min(values.len() - 1)]
}

#[expect(clippy::cast_precision_loss, reason = "counts of this bench are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Resident memory of this process; Linux only, elsewhere zero.
fn resident_mib() -> Result<f64> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(0.0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0");
    Ok(kib.parse::<f64>()? / 1024.0)
}

/// Whether the store is read from the disk from now on: asks the system to forget the pages of its files.
fn drop_pages(folder: &Path) -> bool {
    ["keys", "rows.redb"].iter().all(|name| {
        let file = format!("if={}", folder.join(name).display());
        let dropped = Command::new("dd").args([&file, "iflag=nocache", "count=0", "status=none"]).status();
        dropped.is_ok_and(|status| status.success())
    })
}

fn scope(user: u64) -> Scope {
    Scope::acting_for(UserId::new(u128::from(user)))
}

fn key() -> StoreKey {
    StoreKey::from_bytes([5; 32])
}

const MIB: f64 = 1_048_576.0;
