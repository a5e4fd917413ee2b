//! A run that is cut off goes on where it stopped.

use std::fs;
use std::num::NonZeroUsize;

use hydra_llm::{LlmClient, Prices, ScriptedClient, block_on};
use hydra_train::{Journal, LabelPlan, LabelSet, Labels, Marking, RerankRow, rerank_labels};

use crate::labels::{newest, plan, view};

fn label(client: &dyn LlmClient, outputs: &[&str]) -> Labels<RerankRow> {
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    // One call at a time, so that the script's answers go to the same questions.
    let plan = LabelPlan { at_once: NonZeroUsize::MIN, ..plan() };
    block_on(rerank_labels(client, &[view(1, outputs)], &mut newest, &plan, Marking::Classes(&labels))).unwrap()
}

#[test]
fn wherever_the_file_ends_no_answer_in_it_is_paid_twice_and_the_labels_are_the_same() {
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
    let folder = tempfile::tempdir().unwrap();
    let client = ScriptedClient::answering(["drama"]);
    let journal = Journal::open(client, &folder.path().join("journal"), Prices::default()).unwrap();
    let views = [view(1, &["drama", "drama"]), view(1, &["drama", "drama"])];
    let labels = LabelSet::new(["comedy", "drama"]).unwrap();
    let made = block_on(rerank_labels(&journal, &views, &mut newest, &plan(), Marking::Classes(&labels))).unwrap();
    assert_eq!((made.rows.len(), journal.spent().calls), (2, 1));
}
