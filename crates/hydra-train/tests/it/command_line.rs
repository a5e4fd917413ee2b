//! The binary, on a tiny model.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hydra_testkit::fixture;
use hydra_train::{Model, Task};

/// Texts of the tiny model's words; in each group the first row is the useful one.
fn rows() -> String {
    let row = |row: usize| {
        let (group, label) = (row / 3, u8::from(row.is_multiple_of(3)));
        let text = if label == 1 { "w7 w8" } else { "w20 w21 w22" };
        format!(
            "{{\"query\": \"w{}\", \"text\": \"{text}\", \"label\": {label}, \"group\": {group}}}\n",
            10 + group % 5
        )
    };
    (0..60).map(row).collect()
}

fn train(rows: &str, out: &Path) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, rows).unwrap();
    let options = ["--epochs", "3", "--batch", "4", "--learning-rate", "1e-3", "--hold-out", "5", "--model"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydra-train"));
    command.arg("reranker").arg(file).args(options).arg(fixture("models/bert")).arg("--out").arg(out);
    command.output().unwrap()
}

#[test]
fn rows_become_a_cross_encoder_with_its_curve() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let output = train(&rows(), &out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Model::open(&out).unwrap().task(), Task::Classify { classes: 1 });
    let csv = fs::read_to_string(out.join("loss.csv")).unwrap();
    // 16 groups are learned from, four a step, three times.
    assert_eq!(csv.lines().count(), 1 + 12);
    assert!(fs::read_to_string(out.join("loss.svg")).unwrap().starts_with("<svg"));
    assert!(!out.join("checkpoint.safetensors").exists(), "nothing is left to go on with");
}

#[test]
fn what_is_wrong_with_the_rows_is_said_without_their_text() {
    let folder = tempfile::tempdir().unwrap();
    for (rows, said) in [
        (rows() + "{\"query\": \"secret\"}\n", "line 61"),
        (String::new(), "no rows"),
        (rows().lines().take(6).collect::<Vec<_>>().join("\n"), "fewer groups"),
    ] {
        let output = train(&rows, &folder.path().join("model"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(said), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
