//! A run that is cut off goes on where it stopped, also if its process is killed.
//!
//! `HYDRA_TORTURE_SEED` kills at other moments.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hydra_llm::{
    BoxFuture, Capabilities, Choice, LlmClient, LlmError, Prices, Request, Response, ScriptedClient, Usage, block_on,
};
use hydra_testkit::{acknowledge, kill_after};
use hydra_train::{
    AdaptRow, Journal, LabelPlan, LabelSet, Labels, Marking, RerankRow, TextRecipe, adapt_labels, rerank_labels,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::labels::{newest, plan, view};

const FOLDER: &str = "HYDRA_TRAIN_CRASH_FOLDER";
const AT_ONCE: &str = "HYDRA_TRAIN_CRASH_AT_ONCE";
const SEED: &str = "HYDRA_TORTURE_SEED";

/// Held while a journal is open, and while children are started: a child that is just being started has for a moment every open
/// file of its parent, and with it the lock on it.
static OPEN_FILES: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn label(client: &dyn LlmClient, outputs: &[&str]) -> Labels<RerankRow> {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    // One call at a time, so that the script's answers go to the same questions.
    let plan = LabelPlan { at_once: NonZeroUsize::MIN, ..plan() };
    block_on(rerank_labels(client, &[view(1, outputs)], &mut newest, &plan, Marking::Classes(&labels))).unwrap()
}

#[test]
fn wherever_the_file_ends_no_answer_in_it_is_paid_twice_and_the_labels_are_the_same() {
    let _alone = alone();
    let outputs = ["drama", "comedy", "drama"];
    let script = ["comedy", "drama", "comedy"];
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let journal = Journal::open(ScriptedClient::answering(script), &whole, Prices::default()).unwrap();
    let expected = label(&journal, &outputs);
    assert_eq!((journal.spent().calls, journal.remembered(), expected.rows.len()), (3, 0, 3));
    drop(journal);
    let bytes = fs::read(&whole).unwrap();

    let mut remembered_before = 0;
    // Shorter than its own header a file is as good as none; that is the cassette's own test.
    for end in 16..=bytes.len() {
        let path = folder.path().join("cut");
        fs::write(&path, &bytes[..end]).unwrap();
        let remembered =
            Journal::open(ScriptedClient::answering::<&str>([]), &path, Prices::default()).unwrap().remembered();
        assert!(remembered >= remembered_before);
        remembered_before = remembered;
        // Answers are written in the order of the questions here, so that the rest of the script is what is still missing;
        // one call too many would find the script empty and panic.
        let rest = ScriptedClient::answering(script[remembered..].iter().copied());
        let journal = Journal::open(rest, &path, Prices::default()).unwrap();
        let made = label(&journal, &outputs);
        assert_eq!(made.rows, expected.rows, "cut at byte {end}");
        assert_eq!(made.report.usage, expected.report.usage);
        assert_eq!(usize::try_from(journal.spent().calls).unwrap() + remembered, script.len());
        drop(journal);
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file is what it would have been");
    }
    assert_eq!(remembered_before, 3);
}

#[test]
fn equal_questions_at_the_same_moment_are_paid_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let client = ScriptedClient::answering(["drama"]);
    let journal = Journal::open(client, &folder.path().join("journal"), Prices::default()).unwrap();
    let views = [view(1, &["drama", "drama"]), view(1, &["drama", "drama"])];
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let made = block_on(rerank_labels(&journal, &views, &mut newest, &plan(), Marking::Classes(&labels))).unwrap();
    assert_eq!((made.rows.len(), journal.spent().calls), (2, 1));
}

/// A model for tests: its answer depends on the question alone. Each call is written to a file, synced, before it is answered:
/// that is what was paid.
struct Paid {
    bill: PathBuf,
    /// How many calls were acknowledged to whoever kills this process; none if nobody does.
    acknowledged: Option<AtomicU64>,
}

impl Paid {
    fn at(folder: &Path) -> Self {
        Self { bill: folder.join("bill"), acknowledged: None }
    }

    /// Which call each line of the bill is for.
    fn lines(folder: &Path) -> Vec<String> {
        fs::read_to_string(folder.join("bill")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl LlmClient for Paid {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("paid");
        capabilities.max_n = 8;
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let mut question = DefaultHasher::new();
            request.user.map(|tag| tag.user.get()).hash(&mut question);
            request.n.hash(&mut question);
            request.messages.iter().for_each(|message| message.text.hash(&mut question));
            let question = question.finish();
            let mut bill = OpenOptions::new().append(true).create(true).open(&self.bill).unwrap();
            bill.write_all(format!("{question:016x}\n").as_bytes()).unwrap();
            bill.sync_all().unwrap();
            if let Some(calls) = &self.acknowledged {
                acknowledge(calls.fetch_add(1, Ordering::Relaxed));
            }
            let answer = |draw: u32| if (question >> draw).is_multiple_of(3) { "drama" } else { "comedy" };
            let choices = (0..request.n).map(|draw| Choice::new(answer(draw))).collect();
            Ok(Response::new(choices, Usage::reported(10, request.n.into())))
        })
    }
}

/// Labels two users for reranker and adapter, with so many calls under way at once.
fn label_all(client: &dyn LlmClient, at_once: NonZeroUsize) -> (Vec<RerankRow>, Vec<AdaptRow>) {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let outputs = ["drama", "comedy", "comedy", "drama", "comedy", "drama", "drama", "comedy"];
    let views = [view(1, &outputs), view(2, &outputs[1..])];
    let (plan, marking) = (LabelPlan { at_once, ..plan() }, Marking::Classes(&labels));
    let records = block_on(rerank_labels(client, &views, &mut newest, &plan, marking)).unwrap();
    assert!(records.report.failures.is_empty(), "{:?}", records.report.failures);
    assert_eq!(plan.candidates, 8);
    let recipe = TextRecipe::RelativeMetric;
    let candidates = block_on(adapt_labels(client, &views, &mut newest, &plan, marking, recipe)).unwrap();
    assert!(candidates.report.failures.is_empty(), "{:?}", candidates.report.failures);
    (records.rows, candidates.rows)
}

/// Not a test by itself: the process that `a_killed_run_…` starts and kills.
#[test]
fn a_child_labels_until_it_is_killed() {
    let (Ok(folder), Ok(at_once)) = (std::env::var(FOLDER), std::env::var(AT_ONCE)) else { return };
    let folder = Path::new(&folder);
    let client = Paid { acknowledged: Some(AtomicU64::new(0)), ..Paid::at(folder) };
    let journal = Journal::open(client, &folder.join("journal"), Prices::default()).unwrap();
    label_all(&journal, at_once.parse().unwrap());
    File::create(folder.join("done")).unwrap();
    loop {
        acknowledge(u64::MAX);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_run_pays_at_most_what_was_under_way_again_and_its_labels_are_the_same() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let _alone = alone();
    let seed = std::env::var(SEED).map_or(1, |text| text.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for at_once in [1, 4] {
        let uninterrupted = tempfile::tempdir().unwrap();
        let expected = label_all(&Paid::at(uninterrupted.path()), NonZeroUsize::new(at_once).unwrap());
        let distinct: BTreeSet<String> = Paid::lines(uninterrupted.path()).into_iter().collect();
        // One call a record that may help; one for the eight candidates of each of 13 queries.
        assert_eq!((expected.0.len(), distinct.len()), (49, 49 + 13));
        assert!(expected.1.iter().any(|row| (2..8).contains(&row.count)), "draws of one call differ");

        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let remembered = || {
            let silent = ScriptedClient::answering::<&str>([]);
            Journal::open(silent, &folder.join("journal"), Prices::default()).unwrap().remembered()
        };
        let (mut kills, mut left_behind) = (0, 0);
        while !folder.join("done").exists() {
            let variables = [(FOLDER, folder.to_str().unwrap().to_owned()), (AT_ONCE, at_once.to_string())];
            // Also before the first call; the test's own output has some lines.
            let (lines, moment) = (rng.random_range(0..9), Duration::from_micros(rng.random_range(0..4_000)));
            kill_after("journal::a_child_labels_until_it_is_killed", &variables, lines, moment);
            kills += 1;
            let answered: BTreeSet<String> = Paid::lines(folder).into_iter().collect();
            let lost = answered.len() - remembered();
            assert!(lost <= at_once, "seed {seed}, kill {kills}: {lost} answers were paid for and are gone");
            left_behind += lost;
        }
        assert_eq!(remembered(), distinct.len());

        let journal = Journal::open(Paid::at(folder), &folder.join("journal"), Prices::default()).unwrap();
        assert_eq!(label_all(&journal, NonZeroUsize::MIN), expected, "seed {seed}");
        assert_eq!(journal.spent().calls, 0, "the last run pays nothing");
        let paid = Paid::lines(folder);
        assert_eq!(paid.iter().cloned().collect::<BTreeSet<_>>(), distinct);
        assert!(paid.len() - distinct.len() <= left_behind, "seed {seed}, {kills} kills");
        assert!(kills > 3, "seed {seed}: {kills} kills test little");
    }
}
