//! Tasks of one's own, written here.

use std::fs;

use hydra_eval::{AnswerSpace, JsonLinesError, JsonLinesTask, UserRecords, load_json_lines};
use proptest::prelude::*;

const DESCRIPTION: &str = r#"{
    "name": "meals",
    "answers": {"labels": ["breakfast", "lunch"]},
    "prompt": {"user": "{{history}}\nWhen do I eat {{query}}?", "input_name": "dish", "output_name": "meal"},
    "histories": "meals.jsonl"
}"#;

const RECORDS: &str = r#"
{"user": 12, "time": "2024-05-02", "input": "soup", "output": "lunch"}
{"user": "Ada", "time": 7, "input": "eggs ", "output": "breakfast", "place": "home"}
{"user": 12, "time": "2024-05-01", "input": "porridge", "output": " breakfast"}
{"user": 12, "time": "2024-05-01", "input": "toast", "output": "breakfast"}
"#;

fn load(description: &[u8], records: &[u8]) -> Result<(JsonLinesTask, Vec<UserRecords>), JsonLinesError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.json");
    fs::write(&path, description).unwrap();
    fs::write(folder.path().join("meals.jsonl"), records).unwrap();
    load_json_lines(&path)
}

#[test]
fn users_have_their_records_in_time_order() {
    let (task, users) = load(DESCRIPTION.as_bytes(), RECORDS.as_bytes()).unwrap();
    assert_eq!((task.name.as_str(), task.max_tokens), ("meals", None));
    assert_eq!(task.answers, AnswerSpace::Labels(vec!["breakfast".into(), "lunch".into()]));
    assert_eq!(task.prompt.parts().output_name, "meal");
    let shown = |user: &UserRecords| -> Vec<(u64, String)> {
        user.records.iter().map(|record| (record.id().get(), record.input().to_owned())).collect()
    };
    assert_eq!(users.len(), 2);
    assert_eq!(users[0].user.get(), 12);
    assert_eq!(shown(&users[0]), [(4, "porridge".into()), (5, "toast".into()), (2, "soup".into())]);
    assert_eq!(users[0].records[0].time(), users[0].records[1].time(), "a day is one moment");
    assert!(users[1].user.get() >= 1 << 127, "a name is no number");
    assert_eq!(shown(&users[1]), [(3, "eggs ".into())]);
}

#[test]
fn ratings_may_be_numbers_and_texts_anything() {
    let described = |answers: &str| DESCRIPTION.replace(r#"{"labels": ["breakfast", "lunch"]}"#, answers);
    let line = |output: &str| format!(r#"{{"user": 1, "time": 0, "input": "soup", "output": {output}}}"#);
    for (answers, output, fits) in [
        ("\"rating\"", "4", true),
        ("\"rating\"", "\"4\"", true),
        ("\"rating\"", "4.5", false),
        ("\"rating\"", "6", false),
        ("\"text\"", "\"A fine soup\"", true),
        ("\"text\"", "\" \"", false),
    ] {
        let loaded = load(described(answers).as_bytes(), line(output).as_bytes());
        assert_eq!(loaded.is_ok(), fits, "{answers} {output}");
    }
}

#[test]
fn a_description_that_is_none_is_refused_without_quoting_it() {
    let with = |from: &str, to: &str| DESCRIPTION.replace(from, to);
    let many = format!("[{}]", (0..1001).map(|n| format!("\"secret {n}\"")).collect::<Vec<_>>().join(","));
    for (description, expected) in [
        ("{\"secret\": 1}".to_owned(), "line 1, column 9"),
        (with("\"name\"", "\"secret\": 1, \"name\""), "line 2, column 12"),
        (with("\"histories\"", "\"secret\""), "line 5, column"),
        (DESCRIPTION[..60].to_owned(), "line 3, column"),
        (with("\"meals\"", "\" \""), "name is not usable"),
        (with("\"meals\"", "\"secret\\n\""), "name is not usable"),
        (with("\"breakfast\", ", ""), "labels are not usable"),
        (with("\"lunch\"", "\" Breakfast\""), "labels are not usable"),
        (with("\"lunch\"", "\" \""), "labels are not usable"),
        (with("[\"breakfast\", \"lunch\"]", &many), "labels are not usable"),
        (with("{{query}}", "secret"), "prompt is not usable"),
        (with("{{history}}", "secret"), "no place for records"),
        (with("\"histories\"", "\"max_tokens\": 0, \"histories\""), "line 5, column"),
        (" ".repeat((1 << 20) + 1), "no description"),
    ] {
        let error = load(description.as_bytes(), RECORDS.as_bytes()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{expected}: {message}");
        assert!(message.contains("task.json"), "{message}");
    }
    let missing = load_json_lines("nowhere.json".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("cannot read"), "{missing}");
}

#[test]
fn a_line_that_is_no_record_is_refused_by_its_number() {
    let record = r#"{"user": 1, "time": 0, "input": "soup", "output": "lunch"}"#;
    let with = |from: &str, to: &str| format!("{record}\n\n{}\n{record}\n", record.replace(from, to));
    let long = format!("\"{}\"", "s".repeat((16 << 10) + 1));
    for (records, expected) in [
        (with("\"output\"", "\"secret\""), "line 3, column"),
        (with("}", ""), "line 3, column"),
        (with("1", "-1"), "line 3, column"),
        (with("0", "\"secret\""), "line 3: `time` is no day"),
        (with("0", "\"2024-13-01\""), "line 3: `time` is no day"),
        (with("1", "\" \""), "line 3: `user` is blank"),
        (with("\"soup\"", "\"\""), "line 3: `input` is blank"),
        (with("\"soup\"", &long), "line 3: `input` is longer than 16384 bytes"),
        (with("\"lunch\"", "\"secret\""), "line 3: `output` is none of the task's answers"),
        (with("soup", &"s".repeat(1 << 18)), "line 3 is longer than 262144 bytes"),
        ("\n \n".to_owned(), "there is no record"),
        (String::new(), "there is no record"),
    ] {
        let message = load(DESCRIPTION.as_bytes(), records.as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected) && !message.contains("secret"), "{expected}: {message}");
        assert!(message.contains("meals.jsonl"), "{message}");
    }
    assert!(load(DESCRIPTION.as_bytes(), b"\xff\xfe{").is_err());
}

proptest! {
    #[test]
    fn what_is_cut_off_or_flipped_is_read_or_refused(at: prop::sample::Index, bit in 0..8) {
        let (mut description, mut records) = (DESCRIPTION.as_bytes().to_vec(), RECORDS.as_bytes().to_vec());
        let all = description.len() + records.len();
        let place = at.index(all);
        match place.checked_sub(description.len()) {
            None => {
                let _ = load(&description[..place], &records);
                description[place] ^= 1_u8 << bit;
            }
            Some(place) => {
                let _ = load(&description, &records[..place]);
                records[place] ^= 1_u8 << bit;
            }
        }
        let _ = load(&description, &records);
    }
}
