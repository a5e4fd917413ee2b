//! `hydra eval` as a program, on a task that is written here, against a server on loopback. The server only drives our own logic:
//! nothing is shown about language models.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use hydra_testkit::fixture;
use serde_json::{Value, json};

/// One answer a call, whatever it is asked for, and after so many answers none.
struct Server {
    address: String,
    answered: Arc<AtomicUsize>,
}

impl Server {
    fn start(most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answered);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                thread::spawn(move || serve(stream, most, &counted));
            }
        });
        Self { address, answered }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, most: usize, answered: &AtomicUsize) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    while input.read_line(&mut line).ok()? > 2 {
        if let Some(("content-length", bytes)) = line.to_ascii_lowercase().trim().split_once(": ") {
            length = bytes.parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let number = answered.fetch_add(1, Ordering::SeqCst);
    if number >= most {
        answered.fetch_sub(1, Ordering::SeqCst);
        // Silence, until the client is gone.
        input.read_exact(&mut [0]).ok()?;
    }
    let request: Value = serde_json::from_slice(&body).ok()?;
    let (status, answer) = if request["messages"].to_string().contains(REFUSED) {
        (400, json!({"error": {"message": "no", "code": "content_filter"}}))
    } else {
        // The same for the same request, so that the order in which calls arrive decides nothing.
        let sum: usize = body.iter().copied().map(usize::from).sum();
        let meal = LABELS[sum % LABELS.len()];
        let message = json!({"role": "assistant", "content": json!({"meal": meal}).to_string()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        (200, json!({"choices": [choice], "usage": {"prompt_tokens": 30, "completion_tokens": 2}}))
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", answer.len());
    stream.write_all(format!("{head}connection: close\r\n\r\n{answer}").as_bytes()).ok()
}

/// A task of 14 users who eat eight dishes each, and every other one always in the evening.
fn task(folder: &Path) {
    let prompt = json!({"user": "{{history}}\nWhen? {{query_data}}", "input_name": "dish", "output_name": "meal"});
    let task = json!({"name": "meals", "answers": {"labels": LABELS}, "prompt": prompt, "histories": "meals.jsonl"});
    let record = |number: usize| {
        let (user, at) = (number / 8, number % 8);
        let meal = if user.is_multiple_of(2) { LABELS[2] } else { LABELS[at % 3] };
        json!({"user": user, "time": at, "input": format!("dish {at} of user {user}."), "output": meal}).to_string()
    };
    fs::write(folder.join("meals.json"), task.to_string()).unwrap();
    fs::write(folder.join("meals.jsonl"), (0..14 * 8).map(record).collect::<Vec<_>>().join("\n")).unwrap();
}

/// The program, called in this folder.
fn hydra(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hydra"));
    // What the machine's environment says about proxies is not what is tested.
    command.current_dir(folder).env("NO_PROXY", "127.0.0.1").arg("eval");
    command
}

fn eval(folder: &Path, server: &Server, more: &[&str]) -> Command {
    let mut command = hydra(folder);
    command.args(["--task", "meals.json", "--train-users", "8", "--test-users", "6"]);
    command.args(["--train-queries", "2", "--train-rerank-queries", "1", "--train-tried", "2"]);
    command.args(["--test-queries", "2", "--test-rerank-queries", "1", "--test-tried", "1"]);
    command.arg("--encoder").arg(fixture("bundles/tiny-encoder"));
    command.args(["--llm-url", &server.address, "--llm-model", "a-model"]).args(more);
    command
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn fails(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    said(&output)
}

fn repeat(folder: &Path) -> Command {
    let mut command = hydra(folder);
    command.args(["--repeat", "first/manifest.json"]);
    command
}

/// The numbers that stand behind these words.
fn numbers_behind(text: &str, words: &str) -> Vec<usize> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split(words).skip(1).map(|rest| digits(rest).parse().unwrap()).collect()
}

#[test]
fn a_run_repeats_byte_for_byte_and_says_what_was_changed() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::start(usize::MAX));
    let folder = folder.path();
    task(folder);
    let first = succeeds(eval(folder, &server, &["--out", "first"]));
    let asked = server.answered();
    // As many calls as were announced for an endpoint that gives one answer a call, or fewer; not as many as for another.
    let [many_a_call, _, one_a_call, _] = numbers_behind(&first, "at most ")[..] else { panic!("{first}") };
    assert!(many_a_call < asked && asked <= one_a_call, "{asked} calls\n{first}");
    assert!(first.contains("target/hydra/eval/meals.cassette"), "{first}");

    let second = succeeds(eval(folder, &server, &["--out", "second"]));
    assert!(second.contains("0 calls to the model"), "{second}");
    assert_eq!(server.answered(), asked);
    let mut names: Vec<_> =
        fs::read_dir(folder.join("first")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() > 6, "{names:?}");
    for name in names.iter().filter(|name| *name != "manifest.json") {
        let [first, second] = ["first", "second"].map(|of| fs::read(folder.join(of).join(name)).unwrap());
        assert!(first == second, "{}", name.display());
    }
    let table: Value = serde_json::from_slice(&fs::read(folder.join("first/table.json")).unwrap()).unwrap();
    assert_eq!((&table["labels"]["calls"], &table["labels"]["failed"]), (&json!(8 * 4 + 6 * 3), &json!(0)));
    let hydra = table["unanswered"].as_array().unwrap().iter().find(|one| one["method"] == "HYDRA").unwrap();
    assert_eq!(hydra["calls"], 1);
    assert!(table["rows"].as_array().unwrap().iter().any(|row| row["mean_relative_gain"]["low"].is_number()));

    let again = succeeds(repeat(folder));
    assert!(again.contains("the same, byte for byte: accuracy-by-"), "{again}");
    assert_eq!(server.answered(), asked);

    let [records, csv] = ["meals.jsonl", "first/table.csv"].map(|name| folder.join(name));
    let before = fs::read_to_string(&records).unwrap();
    fs::write(&records, before.replacen("dinner", "lunch", 1)).unwrap();
    let changed = fails(repeat(folder));
    assert!(changed.contains("records: meals.jsonl is not what it was") && !changed.contains("cassette"), "{changed}");
    fs::write(&records, before).unwrap();
    fs::write(&csv, fs::read_to_string(&csv).unwrap().replacen("HYDRA", "OTHER", 1)).unwrap();
    let changed = fails(repeat(folder));
    assert!(changed.contains("table.csv differs from byte") && !changed.contains("table.json"), "{changed}");
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_stopped() {
    let whole = tempfile::tempdir().unwrap();
    task(whole.path());
    let server = Server::start(usize::MAX);
    succeeds(eval(whole.path(), &server, &["--out", "first"]));

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    task(folder);
    let until = 90;
    let silent = Server::start(until);
    let mut child = eval(folder, &silent, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (done, is_done) = mpsc::channel();
    let cassette = folder.join("target/hydra/eval/meals.cassette");
    thread::spawn(move || {
        // An end that is still being written is no record yet.
        while fs::read(&cassette).map_or(0, |bytes| whole_records(&bytes)) < until {
            thread::yield_now();
        }
        done.send(())
    });
    is_done.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    child.kill().unwrap();
    assert!(child.wait().unwrap().code().is_none(), "it ended by itself");

    let rest = Server::start(usize::MAX);
    succeeds(eval(folder, &rest, &["--out", "first"]));
    assert_eq!(until + rest.answered(), server.answered(), "every call was made once");
    succeeds(repeat(folder));
}

/// How many records of a cassette are there to their end.
fn whole_records(bytes: &[u8]) -> usize {
    let (mut rest, mut records) = (bytes.get(16..).unwrap_or_default(), 0);
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let Some(after) = rest.get(40 + u32::from_le_bytes(*length) as usize + 16..) else { break };
        (rest, records) = (after, records + 1);
    }
    records
}

const LABELS: [&str; 3] = ["breakfast", "lunch", "dinner"];
/// A query that the server's filter stops.
const REFUSED: &str = "dish 7 of user 3.";
