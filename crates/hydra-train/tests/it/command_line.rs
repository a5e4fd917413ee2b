//! The binary, on a tiny model.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    train_as("reranker", rows, out, &[])
}

fn train_as(body: &str, rows: &str, out: &Path, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, rows).unwrap();
    command(body, &file, out, more).output().unwrap()
}

fn command(body: &str, file: &Path, out: &Path, more: &[&str]) -> Command {
    let options = ["--batch", "4", "--learning-rate", "1e-3"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydra-train"));
    command.arg(body).arg(file).args(options).arg("--out").arg(out).args(more);
    if !more.contains(&"--model") {
        command.arg("--model").arg(fixture("models/bert"));
    }
    if !more.contains(&"--epochs") {
        command.args(["--epochs", "3"]);
    }
    if !more.contains(&"--held-out") {
        command.args(["--hold-out", "5"]);
    }
    command
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

/// Two groups a user.
fn rows_of_users() -> String {
    let with_user = |(row, line): (usize, &str)| line.replace('}', &format!(", \"user\": {}}}\n", row / 6));
    rows().lines().enumerate().map(with_user).collect()
}

#[test]
fn an_adapters_body_is_trained_beside_the_heads_of_users_and_judged_on_others() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    let joint = ["--loss", "two-classes", "--user-heads", "1e-2"];
    let output = train_as("adapter", &rows_of_users(), &out, &joint);
    let (said, refused) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{refused}");
    // Two of ten users are held out, six rows each.
    assert!(said.contains("48 rows to learn from, 12 held out"), "{said}");
    assert_eq!(Model::open(&out).unwrap().task(), Task::Classify { classes: 2 });

    let nobody = train_as("adapter", &rows(), &folder.path().join("other"), &joint);
    let refused = String::from_utf8_lossy(&nobody.stderr);
    assert!(!nobody.status.success() && refused.contains("name its user"), "{refused}");
}

/// The tokens of an epoch, as the binary counts them, where every useful text is `text`.
fn tokens(text: &str, model: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows().replace("w7 w8", text);
    let more = ["--model", model.to_str().unwrap()];
    let output = train_as("reranker", &rows, &folder.path().join("model"), &more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split(", ").nth(2).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn a_text_that_names_special_tokens_is_ordinary_text() {
    let bert = fixture("models/bert");
    assert_eq!(tokens("w7 [SEP] [CLS] w8", &bert), tokens("w7 (sep) (cls) w8", &bert));

    // As SentencePiece has them: words of the vocabulary, which a text may say.
    let folder = tempfile::tempdir().unwrap();
    Model::open(fixture("models/mpnet")).unwrap().save(folder.path()).unwrap();
    let file = folder.path().join("tokenizer.json");
    let split = fs::read_to_string(&file).unwrap().replace("BertPreTokenizer", "WhitespaceSplit");
    fs::write(&file, split).unwrap();
    assert_eq!(tokens("w7 </s> <s> <pad> w8", folder.path()), tokens("w7 w8", folder.path()));
}

/// A checkpoint is written at every tenth step, behind the line that says so.
#[test]
fn a_run_that_is_killed_and_started_again_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, whole, out) = (folder.path().join("rows"), folder.path().join("whole"), folder.path().join("model"));
    fs::write(&file, rows_of_users()).unwrap();
    // 48 rows, four a step.
    let more = ["--loss", "two-classes", "--user-heads", "1e-2", "--epochs", "20", "--evaluate-every", "20"];
    let output = command("adapter", &file, &whole, &more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // The second kill comes before the first checkpoint of its process.
    for (began_at, kill_at) in [(None, "30/240 "), (Some(20), "going on"), (Some(20), "110/240 ")] {
        // Beside a terminal it would draw a bar, and say nothing of its steps.
        let mut command = command("adapter", &file, &out, &more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut began = None;
        let reached = said.any(|line| {
            began = line.strip_prefix("going on at step ").map(|step| step.parse::<u64>().unwrap()).or(began);
            line.starts_with(kill_at)
        });
        child.kill().unwrap();
        assert!(reached && child.wait().unwrap().code().is_none(), "it ended before {kill_at}");
        // The checkpoint of the step that was announced may have been written, or not yet.
        assert!(began == began_at || began == began_at.map(|step| step + 10), "{began:?}");
        assert!(out.join("checkpoint.safetensors").is_file() && !out.join("model.safetensors").exists());
    }
    let output = command("adapter", &file, &out, &more).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("going on at step 1"), "{said} {failed}");
    for name in ["model.safetensors", "config.json", "loss.csv", "loss.svg"] {
        assert!(fs::read(out.join(name)).unwrap() == fs::read(whole.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn held_out_rows_are_of_other_users_and_all_rows_name_theirs_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (out, held_out) = (folder.path().join("model"), folder.path().join("held-out.jsonl"));
    let with_held_out = |learned: &str, rows: &str| {
        fs::write(&held_out, rows).unwrap();
        let output = train_as("adapter", learned, &out, &["--held-out", held_out.to_str().unwrap()]);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let rows = rows_of_users();
    let of = |users: std::ops::Range<usize>| {
        rows.lines().take(users.end * 6).skip(users.start * 6).map(|row| format!("{row}\n")).collect::<String>()
    };
    let (fine, said) = with_held_out(&of(0..8), &of(8..10));
    assert!(fine, "{said}");
    let (fine, said) = with_held_out(&of(0..8), &of(6..10));
    assert!(!fine && said.contains("2 users of --held-out") && said.contains("one of the files"), "{said}");

    let nameless = rows.replacen(", \"user\": 0", "", 1);
    let output = train_as("adapter", &nameless, &out, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("59 of 60 rows name their user"), "{said}");
    let (fine, said) = with_held_out(&of(0..8), &nameless);
    assert!(!fine && said.contains("held-out.jsonl") && said.contains("of every row, or of none"), "{said}");
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
