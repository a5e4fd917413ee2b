//! From what a result was made: who has all of it gets the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hydra_ml::experiment::ExperimentPlan;
use hydra_train::Split;
use hydra_types::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What stands beside a table.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Of this program.
    pub(super) version: String,
    /// As it was called.
    pub(super) command: Vec<String>,
    task: String,
    plan: serde_json::Value,
    /// As it names itself.
    language_model: String,
    /// Every file that was read, by what it is.
    files: BTreeMap<String, Read>,
    /// SHA-256 of the ids of who is trained on and who is asked what.
    split: String,
    /// As many as the machine has cores: sums of floats are cut up by them.
    threads: usize,
    /// Float sums are rounded otherwise by other instruction sets; on processors of one kind the bytes are the same.
    processor: String,
    /// SHA-256 of every file that was written beside this one, by its name.
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, String>,
}

/// A file that was read.
#[derive(Clone, Serialize, Deserialize)]
struct Read {
    path: PathBuf,
    /// How long it was: a cassette may have grown since, and its first record for a request holds.
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// To be taken when a run is over: the cassette has grown until then.
    pub(crate) fn new(
        task: &str,
        plan: &ExperimentPlan,
        language_model: &str,
        split: &Split,
        files: impl IntoIterator<Item = (&'static str, PathBuf)>,
    ) -> Result<Self> {
        let runtime = runtime().map(|path| (RUNTIME, path));
        let hashed = |(name, path): (&str, PathBuf)| Ok((name.to_owned(), Read::of(path)?));
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: std::env::args().skip(1).collect(),
            task: task.to_owned(),
            plan: serde_json::to_value(plan)?,
            language_model: language_model.to_owned(),
            files: files.into_iter().chain(runtime).map(hashed).collect::<Result<_>>()?,
            split: hash_of(split),
            threads: threads(),
            processor: processor(),
            outputs: BTreeMap::new(),
        })
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_reader(file.take(MOST_BYTES))
            .with_context(|| format!("it is no manifest of an evaluation: {}", path.display()))
    }

    /// Files that are not those that were read, in words.
    pub(super) fn changed_files(&self) -> Vec<String> {
        let changed = |(name, then): (&String, &Read)| {
            let place = format!("{name}: {}", then.path.display());
            let grows = name == CASSETTE;
            match Read::of_first(then.path.clone(), if grows { then.bytes } else { u64::MAX }) {
                Ok(now) if (now.bytes, &now.sha256) == (then.bytes, &then.sha256) => None,
                Ok(_) => Some(format!("{place} is not what it was")),
                Err(error) => Some(format!("{place} cannot be read from here: {error:#}")),
            }
        };
        self.files.iter().filter_map(changed).collect()
    }

    /// In what this program and this machine are not those of the run, in words.
    pub(super) fn other_circumstances(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                all.push(format!("{what}: {then} then, {now} now"));
            }
        };
        compare("version", &self.version, env!("CARGO_PKG_VERSION"));
        compare("threads", &self.threads.to_string(), &threads().to_string());
        compare("processor", &self.processor, &processor());
        let place = |path: Option<&Path>| path.map_or("the system's".into(), Path::to_string_lossy).into_owned();
        let then = self.files.get(RUNTIME).map(|read| read.path.as_path());
        compare("onnx runtime", &place(then), &place(runtime().as_deref()));
        all
    }

    pub(super) fn is_of(&self, split: &Split) -> bool {
        self.split == hash_of(split)
    }
}

impl Read {
    fn of(path: PathBuf) -> Result<Self> {
        Self::of_first(path, u64::MAX)
    }

    /// Of its first `most` bytes.
    fn of_first(path: PathBuf, most: u64) -> Result<Self> {
        let unread = || format!("cannot read {}", path.display());
        let mut file = File::open(&path).with_context(unread)?.take(most);
        let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 16], 0);
        loop {
            let read = file.read(&mut buffer).with_context(unread)?;
            if read == 0 {
                return Ok(Self { path, bytes, sha256: hex(&hash.finalize()) });
            }
            hash.update(&buffer[..read]);
            bytes += read as u64;
        }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of the users on both sides with the ids of their records, and of what is asked.
fn hash_of(split: &Split) -> String {
    let mut hash = Sha256::new_with_prefix(b"hydra evaluation split 1");
    let mut add = |user: hydra_types::UserId, records: &[Record], targets: &[hydra_train::Target]| {
        hash.update(user.get().to_le_bytes());
        let (records, targets) = (records.iter().map(Record::id), targets.iter().map(hydra_train::Target::id));
        for ids in [records.collect::<Vec<_>>(), targets.collect()] {
            hash.update((ids.len() as u64).to_le_bytes());
            ids.iter().for_each(|id| hash.update(id.get().to_le_bytes()));
        }
    };
    split.train.iter().for_each(|view| add(view.user(), view.records(), &[]));
    split.test.iter().for_each(|user| add(user.fit.user(), user.fit.records(), user.eval.targets()));
    hex(&hash.finalize())
}

/// The library that runs the graphs, by the name under which it lies on this machine, which has its version.
fn runtime() -> Option<PathBuf> {
    PathBuf::from(std::env::var_os("ORT_DYLIB_PATH")?).canonicalize().ok()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Its kind, and those of its instruction sets that sums of floats are made with.
fn processor() -> String {
    let mut words = vec![std::env::consts::ARCH];
    macro_rules! add_if_there {
        ($detected:ident: $($feature:tt),+) => {$(
            if std::arch::$detected!($feature) {
                words.push($feature);
            }
        )+};
    }
    #[cfg(target_arch = "x86_64")]
    add_if_there!(is_x86_feature_detected: "sse4.1", "avx", "avx2", "fma", "f16c", "avxvnni", "avx512f", "avx512bw", "avx512vnni", "avx512bf16");
    #[cfg(target_arch = "aarch64")]
    add_if_there!(is_aarch64_feature_detected: "neon", "fp16", "dotprod", "i8mm", "bf16", "sve");
    words.join(" ")
}

/// The file that may grow.
pub(crate) const CASSETTE: &str = "cassette";
const RUNTIME: &str = "onnxruntime";
const MOST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_changed_is_named_and_a_cassette_may_grow() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for name in ["a.cassette", "records.jsonl"] {
            fs::write(file(name), "one\n").unwrap();
        }
        let files = [(CASSETTE, file("a.cassette")), ("records", file("records.jsonl"))];
        let split = Split { train: Vec::new(), test: Vec::new() };
        let manifest = Manifest::new("films", &ExperimentPlan::default(), "a-model", &split, files).unwrap();
        let manifest: Manifest = serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(manifest.changed_files(), [""; 0]);
        assert_eq!(manifest.other_circumstances(), [""; 0]);
        assert!(manifest.is_of(&split));
        for name in ["a.cassette", "records.jsonl"] {
            fs::write(file(name), "one\ntwo\n").unwrap();
        }
        let [changed] = &manifest.changed_files()[..] else { panic!("{:?}", manifest.changed_files()) };
        assert!(changed.starts_with("records: ") && changed.ends_with("records.jsonl is not what it was"), "{changed}");
        fs::write(file("a.cassette"), "on").unwrap();
        fs::remove_file(file("records.jsonl")).unwrap();
        assert_eq!(manifest.changed_files().len(), 2);
    }
}
