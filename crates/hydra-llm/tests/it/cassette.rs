//! Cassettes: recorded, replayed, cut off in the middle, and damaged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt};
use hydra_llm::{
    Capabilities, Cassette, CassetteError, CassetteMode, DryRun, KeyScope, LlmClient, LlmError, Prices, ScriptedClient,
    StreamEvent, TokenEstimate, block_on,
};

use crate::support::{Streaming, able, ask, by_user, end, last_piece, piece};

fn open<C: LlmClient>(model: C, path: &Path, mode: CassetteMode) -> Result<Cassette<C>, CassetteError> {
    Cassette::open(model, path, mode, KeyScope::User)
}

fn nobody() -> DryRun {
    DryRun::new(Capabilities::new("scripted"), Prices::default(), TokenEstimate::default())
}

fn record(path: &Path, asked: &[&str]) {
    let model = ScriptedClient::answering(asked.iter().map(|text| format!("answer to {text}")));
    let cassette = open(model, path, CassetteMode::Record).unwrap();
    for text in asked {
        block_on(cassette.complete(ask(text))).unwrap();
    }
}

fn replay(path: &Path, text: &str) -> Result<String, LlmError> {
    let player = open(nobody(), path, CassetteMode::Replay)?;
    block_on(player.complete(ask(text))).map(|response| response.text().to_owned())
}

#[test]
fn what_was_recorded_is_replayed_and_strict_replay_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a cassette");
    record(&path, &["one", "two"]);
    assert_eq!(replay(&path, "two").unwrap(), "answer to two");
    match replay(&path, "three") {
        Err(LlmError::Cassette(CassetteError::NotRecorded { .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn pass_through_asks_for_what_is_missing_and_records_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    record(&path, &["one"]);
    let before = fs::read(&path).unwrap();
    let model = Arc::new(ScriptedClient::answering(["fresh"]));
    let cassette = open(Arc::clone(&model), &path, CassetteMode::PassThrough).unwrap();
    assert_eq!(block_on(cassette.complete(ask("one"))).unwrap().text(), "answer to one");
    assert_eq!(block_on(cassette.complete(ask("new"))).unwrap().text(), "fresh");
    drop(cassette);
    assert_eq!((model.asked().len(), fs::read(&path).unwrap()), (1, before));
}

#[test]
fn recording_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    record(&path, &["one", "two"]);
    let model = Arc::new(ScriptedClient::answering(["answer to three"]));
    let cassette = open(Arc::clone(&model), &path, CassetteMode::Record).unwrap();
    assert_eq!((cassette.recorded_at_open(), cassette.dropped_bytes()), (2, 0));
    for text in ["one", "two", "three", "three"] {
        assert_eq!(block_on(cassette.complete(ask(text))).unwrap().text(), format!("answer to {text}"));
    }
    assert_eq!(model.asked().len(), 1);
}

#[test]
fn a_crash_at_any_byte_loses_at_most_the_last_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    record(&path, &["one"]);
    let one = fs::read(&path).unwrap().len();
    record(&path, &["one", "two"]);
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        if cut >= one {
            assert_eq!(replay(&path, "one").unwrap(), "answer to one", "cut at {cut}");
        }
        let model = ScriptedClient::answering(["answer again", "answer again"]);
        let cassette = open(model, &path, CassetteMode::Record).unwrap();
        let first = block_on(cassette.complete(ask("one"))).unwrap().text().to_owned();
        let second = block_on(cassette.complete(ask("two"))).unwrap().text().to_owned();
        drop(cassette);
        assert_eq!(replay(&path, "one").unwrap(), first, "cut at {cut}");
        assert_eq!(replay(&path, "two").unwrap(), second, "cut at {cut}");
        assert_eq!(first == "answer again", cut < one, "cut at {cut}");
    }
}

#[test]
fn damage_is_a_typed_error_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    record(&path, &["one", "two"]);
    let whole = fs::read(&path).unwrap();
    for mode in [CassetteMode::Replay, CassetteMode::PassThrough, CassetteMode::Record] {
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            open(nobody(), &path, mode).err()
        };
        let mut changed = whole.clone();
        changed[60] ^= 1;
        assert!(matches!(error(&changed), Some(CassetteError::Corrupt { offset: 16, .. })));
        changed = whole.clone();
        changed[8] = 2;
        assert!(matches!(error(&changed), Some(CassetteError::Version { found: 2, .. })));
        let text = b"not a cassette, but a shopping list";
        assert!(matches!(error(text), Some(CassetteError::NotACassette { .. })));
        assert_eq!(fs::read(&path).unwrap(), text, "what is refused is not touched");
    }
    let missing = open(nobody(), &folder.path().join("missing"), CassetteMode::Replay).err();
    assert!(matches!(missing, Some(CassetteError::Io { .. })));
    assert!(open(nobody(), folder.path(), CassetteMode::Replay).is_err());
}

#[test]
fn two_recorders_cannot_mix_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let first = open(nobody(), &path, CassetteMode::Record).unwrap();
    let second = open(nobody(), &path, CassetteMode::Record).err();
    assert!(matches!(second, Some(CassetteError::InUse { .. })));
    drop(first);
    let (a, b) = (open(nobody(), &path, CassetteMode::Replay), open(nobody(), &path, CassetteMode::PassThrough));
    assert!(a.is_ok() && b.is_ok(), "any number may replay");
}

#[test]
fn answers_that_come_at_once_are_all_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let texts: Vec<_> = (0..50).map(|i| format!("{i}")).collect();
    let model = ScriptedClient::answering(vec!["a"; 50]);
    let cassette = open(model, &path, CassetteMode::Record).unwrap();
    for answer in block_on(join_all(texts.iter().map(|text| cassette.complete(ask(text))))) {
        answer.unwrap();
    }
    drop(cassette);
    assert_eq!(open(nobody(), &path, CassetteMode::Replay).unwrap().recorded_at_open(), 50);
}

#[test]
fn a_cassette_holds_no_prompt_and_is_smaller_than_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let answer = "a long and winding answer, ".repeat(200);
    let cassette = open(ScriptedClient::answering([answer.clone()]), &path, CassetteMode::Record).unwrap();
    block_on(cassette.complete(by_user("the prompt that nobody shall see", 7))).unwrap();
    drop(cassette);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() < answer.len() / 4, "{} bytes", bytes.len());
    assert!(!bytes.windows(10).any(|window| window == b"the prompt"));
}

#[test]
fn one_users_answer_is_not_replayed_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let cassette = open(ScriptedClient::answering(["a"]), &path, CassetteMode::Record).unwrap();
    block_on(cassette.complete(by_user("?", 1))).unwrap();
    drop(cassette);
    let player = open(nobody(), &path, CassetteMode::Replay).unwrap();
    assert!(block_on(player.complete(by_user("?", 1))).is_ok());
    assert!(block_on(player.complete(by_user("?", 2))).is_err());
}

#[test]
fn streams_are_recorded_whole_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let model = Streaming::new(vec![vec![piece("dra"), last_piece("ma"), end(3, 2)], vec![piece("half an answ")]]);
    let cassette = open(&model, &path, CassetteMode::Record).unwrap();
    let events: Vec<StreamEvent> = block_on(cassette.stream(ask("?")).try_collect()).unwrap();
    assert_eq!(events.len(), 3);
    let half: Vec<_> = block_on(cassette.stream(ask("half")).collect());
    assert_eq!(half.len(), 1);
    drop(cassette);
    let player = DryRun::new(able("streaming"), Prices::default(), TokenEstimate::default());
    let player = open(player, &path, CassetteMode::Replay).unwrap();
    assert_eq!(block_on(player.complete(ask("?"))).unwrap().text(), "drama");
    let replayed: Vec<StreamEvent> = block_on(player.stream(ask("?")).try_collect()).unwrap();
    assert_eq!(replayed.len(), 2);
    assert!(block_on(player.complete(ask("half"))).is_err());
}
