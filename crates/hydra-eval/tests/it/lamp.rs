//! Files of the benchmark's shape, written here.

use std::fs;
use std::path::PathBuf;

use hydra_eval::{LampError, LampQuestion, LampTask, load_lamp};
use hydra_llm::{FenceKey, LengthLimits, Template};
use hydra_types::Record;
use tempfile::TempDir;

/// A record of each task, with blanks that must stay.
const RECORDS: [(LampTask, &str); 8] = [
    (LampTask::Citation, r#"{"id": "10", "title": "On Rivers", "abstract": " Rivers flow. "}"#),
    (LampTask::NewsCategory, r#"{"id": "10", "title": "On Rivers", "text": " Rivers flow. ", "category": "travel"}"#),
    (LampTask::MovieTag, r#"{"id": "10", "description": " Rivers flow. ", "tag": "classic"}"#),
    (LampTask::ProductRating, r#"{"id": "10", "text": " Rivers flow. ", "score": 4}"#),
    (LampTask::Headline, r#"{"id": "10", "text": " Rivers flow. ", "title": "On Rivers"}"#),
    (LampTask::PaperTitle, r#"{"id": "10", "title": "On Rivers", "abstract": " Rivers flow. "}"#),
    (LampTask::MailSubject, r#"{"id": "10", "text": " Rivers flow. ", "title": "On Rivers"}"#),
    (LampTask::Tweet, r#"{"id": "10", "text": " Rivers flow. "}"#),
];

fn files(questions: &str, outputs: &str) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (q, o) = (folder.path().join("dev_questions.json"), folder.path().join("dev_outputs.json"));
    fs::write(&q, questions).unwrap();
    fs::write(&o, outputs).unwrap();
    (folder, q, o)
}

fn read(task: LampTask, questions: &str, outputs: &str) -> Result<Vec<LampQuestion>, LampError> {
    let (_folder, q, o) = files(questions, outputs);
    load_lamp(task, &q, Some(&o))
}

fn question(profile: &str) -> String {
    format!(r#"[{{"id": "1", "input": "instruction description: What flows? ", "profile": [{profile}]}}]"#)
}

const TAGGED: &str = r#"{"task": "LaMP_2", "golds": [{"id": "1", "output": "classic"}]}"#;

#[test]
fn every_task_is_read() {
    for (task, record) in RECORDS {
        let (_folder, q, _) = files(&question(record), "");
        let questions = load_lamp(task, &q, None).unwrap();
        let record = &questions[0].history[0];
        let (input, output) = (record.input(), record.output());
        match task {
            LampTask::Tweet => assert_eq!((input, output), ("", " Rivers flow. ")),
            _ => assert_eq!(input, " Rivers flow. ", "{}", task.name()),
        }
        assert!(task.labels().is_empty() || task == LampTask::Citation || task.labels().contains(&output), "{output}");
        assert_eq!(questions[0].gold, None);
    }
}

#[test]
fn a_question_comes_with_its_query_and_its_gold() {
    let questions = read(LampTask::MovieTag, &question(RECORDS[2].1), TAGGED).unwrap();
    assert_eq!(questions[0].query, "What flows?");
    assert_eq!(questions[0].input, "instruction description: What flows? ");
    assert_eq!(questions[0].gold.as_deref(), Some("classic"));
}

#[test]
fn records_are_in_the_order_of_their_dates_if_all_have_one() {
    let order = |records: [&str; 3]| -> Vec<String> {
        let (_folder, q, _) = files(&question(&records.join(",")), "");
        let questions = load_lamp(LampTask::Tweet, &q, None).unwrap();
        questions[0].history.iter().map(|record| record.output().to_owned()).collect()
    };
    let (a, b) = (r#"{"text": "a", "date": "2020-03-01"}"#, r#"{"text": "b", "date": "2020-02-29"}"#);
    assert_eq!(order([a, b, r#"{"text": "c", "date": "2020-02-29"}"#]), ["b", "c", "a"]);
    assert_eq!(order([a, b, r#"{"text": "c"}"#]), ["a", "b", "c"]);
}

#[test]
fn files_that_do_not_fit_are_refused_without_quoting_them() {
    let gold =
        |id: &str, output: &str| format!(r#"{{"task": "LaMP_2", "golds": [{{"id": {id}, "output": {output}}}]}}"#);
    let tagged = RECORDS[2].1;
    let cases: [(&str, &str, &str); 8] = [
        (&question(tagged), &TAGGED.replace("LaMP_2", "LaMP_9"), "the outputs are those of LaMP_9"),
        (&question(tagged), &gold("\"1\"", "\"secret\""), "is none of the answers of LaMP-2M"),
        (&question(tagged), &gold("\"2\"", "\"classic\""), "question 1 has no gold answer"),
        ("[]", TAGGED, "gold answer 1 has no question"),
        (&question(r#"{"description": "secret"}"#), TAGGED, "record 0 of question 1 has no field `tag`"),
        (&question(&tagged.replace("\"id\": \"10\"", "\"date\": \"secret\"")), TAGGED, "not of the form YYYY-MM-DD"),
        ("{\"secret\": 1}", TAGGED, "not a file of the benchmark"),
        (&question(tagged)[..40], TAGGED, "not a file of the benchmark"),
    ];
    for (questions, outputs, expected) in cases {
        let message = read(LampTask::MovieTag, questions, outputs).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{message}");
    }
    let missing = load_lamp(LampTask::Tweet, "nowhere.json".as_ref(), None).unwrap_err().to_string();
    assert!(missing.contains("cannot open"), "{missing}");
}

#[test]
fn a_file_that_is_far_too_long_is_refused_unread() {
    let (_folder, questions, outputs) = files("", TAGGED);
    // A hole, which takes no room on the disk.
    fs::File::create(&questions).unwrap().set_len((8 << 30) + 1).unwrap();
    assert!(matches!(load_lamp(LampTask::MovieTag, &questions, Some(&outputs)), Err(LampError::Long { .. })));
}

#[test]
fn every_task_has_a_prompt_that_shows_records_and_names_every_answer() {
    for task in LampTask::ALL {
        let template = Template::new(task.prompt()).unwrap();
        assert!(template.quotes_history(), "{}", task.name());
        let rendered = template.render(&[], "QUERY", &FenceKey::new([0; 32]), &LengthLimits::default()).unwrap();
        let asked = &rendered.messages[1].text;
        assert!(asked.contains("QUERY"), "{asked}");
        if task != LampTask::Citation {
            let missing = task.labels().iter().find(|label| !asked.contains(**label));
            assert_eq!(missing, None, "{}", task.name());
        }
        assert_eq!(task.answers().labels(), task.labels());
    }
    assert_eq!(LampTask::MovieTag.answer_name(), "tag");
    assert_eq!(LampTask::Citation.answer_name(), "reference");
}

#[test]
fn a_movie_is_asked_for_in_the_words_of_the_benchmark() {
    let question = &read(LampTask::MovieTag, &question(RECORDS[2].1), TAGGED).unwrap()[0];
    let template = Template::new(LampTask::MovieTag.prompt()).unwrap();
    let records: Vec<&Record> = question.history.iter().collect();
    let rendered =
        template.render(&records, &question.query, &FenceKey::new([0; 32]), &LengthLimits::default()).unwrap();
    let asked = &rendered.messages[1].text;
    assert!(asked.contains(r#"{"description":" Rivers flow. ","tag":"classic"}"#), "{asked}");
    assert!(
        asked.contains("Which tag does this movie relate to among the following tags? Just answer with"),
        "{asked}"
    );
    assert!(asked.contains("description: ") && asked.contains(r#"{"query":"What flows?"}"#), "{asked}");
}
