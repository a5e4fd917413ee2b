//! Two hundred users of one pipeline: most of them teach it their taste, and one call answers them all.
//!
//! No model is in it: the body looks for words, and the language model is a script that proposes the same tags to everybody. So
//! it runs anywhere in seconds, and shows who is served by which head and how long that takes; about quality it shows nothing.
//!
//! `cargo run --release -p hydra-ml --example many-users`
#![allow(clippy::print_stdout, reason = "an example answers on standard output")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use hydra_ml::heads::{HeadChoice, Outcome, Shared, Weights};
use hydra_ml::llm::{Capabilities, Choice, FenceKey, Response, ScriptedClient, Template, Usage, block_on};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Body, CandidateTemplate, Fingerprint, PairFeatures, Record, RecordId, Scope, Time, UserId};
use hydra_ml::{Answer, Ask, Feedback, Personalizer};

const USERS: u128 = 200;
/// Every fourth user says nothing about what they like.
const SILENT: u128 = 4;
const TAGS: [&str; 4] = ["comedy", "drama", "thriller", "western"];

/// Features of a pair: which tag its second text is.
struct WhichTag;

impl Body for WhichTag {
    type Error = Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([1; 32])
    }

    fn hidden(&self) -> usize {
        TAGS.len()
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
        let is = |row: usize, tag: usize| f32::from(u8::from(pairs[row].1.contains(TAGS[tag])));
        let features = Array2::from_shape_fn((pairs.len(), TAGS.len()), |(row, tag)| is(row, tag));
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

/// Proposes every tag, in the same order, as often as there are users.
fn script() -> ScriptedClient {
    let reply = || Ok(Response::new(TAGS.map(Choice::new).to_vec(), Usage::reported(40, 4)));
    let mut capabilities = Capabilities::new("scripted");
    capabilities.max_n = 4;
    ScriptedClient::replying((0..USERS).map(|_| reply())).with_capabilities(capabilities)
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::create(&folder.path().join("store"), &StoreKey::create_file(&folder.path().join("key"))?)?;
    let template: Template = serde_json::from_str(
        r#"{"system": "You tag films.", "user": "{{history}}\n{{query}}", "input_name": "film", "output_name": "tag"}"#,
    )?;
    let candidates = CandidateTemplate::query_only();
    // A prior head that prefers nothing: ties go to the first candidate.
    let prior = Weights::linear(&[0.0; TAGS.len()], 0.0)?;
    let shared = Arc::new(Shared::new(candidates.features_of(WhichTag.fingerprint()), prior)?);
    let hydra = Personalizer::builder(Arc::new(store), script(), template, FenceKey::new([7; 32]))
        .personal_adapter(WhichTag, shared, candidates)?
        .candidates(4, 1.0)
        .build()?;

    let day = |n: i64| Time::from_unix_millis(n * 86_400_000);
    let user = |user: u128| Scope::acting_for(UserId::new(user));
    let taste = |user: u128| TAGS[usize::try_from(user / SILENT).expect("few users") % TAGS.len()];

    let begin = Instant::now();
    for id in 0..USERS {
        let record = |n: u8| Record::new(RecordId::new(n.into()), day(n.into()), format!("film {n}"), taste(id));
        block_on(hydra.learn(&user(id), (1..=5).map(record).collect()))?;
    }
    println!("learned   {} records in {:.1} s", USERS * 5, begin.elapsed().as_secs_f64());

    let (begin, mut rows) = (Instant::now(), 0);
    for id in (0..USERS).filter(|id| id % SILENT != 0) {
        for film in 1..=4 {
            for tag in TAGS {
                let feedback = Feedback::candidate(format!("film {film}"), &[], tag, tag == taste(id));
                block_on(hydra.feedback(&user(id), feedback))?;
                rows += 1;
            }
        }
    }
    println!("kept      {rows} rows of feedback in {:.1} s", begin.elapsed().as_secs_f64());

    let (begin, mut fitted) = (Instant::now(), 0);
    for id in 0..USERS {
        let report = block_on(hydra.fit(&user(id)))?;
        fitted += usize::from(report.adapter.is_some_and(|head| head.outcome == Outcome::Fitted));
    }
    println!("fitted    {fitted} heads in {:.1} s", begin.elapsed().as_secs_f64());

    let begin = Instant::now();
    let asks = (0..USERS).map(|id| Ask::new(&user(id), "a film about rain", day(9))).collect();
    let answers: Vec<Answer> = block_on(hydra.answer_many(asks)).into_iter().collect::<Result<_, _>>()?;
    let seconds = begin.elapsed().as_secs_f64();
    let own = |answer: &Answer| answer.trace.heads.adapter.is_some_and(|head| head.choice == HeadChoice::Own);
    let liked = (0..USERS).zip(&answers).filter(|(id, answer)| own(answer) && answer.text == taste(*id)).count();
    let served_by_own = answers.iter().filter(|answer| own(answer)).count();
    let others = answers.len() - served_by_own;
    println!("answered  {} queries in one call of {:.1} ms", answers.len(), 1e3 * seconds);
    println!("          {served_by_own} by the user's own head, {liked} of these with the tag that the user likes");
    println!("          {others} by the prior head, which gives everybody the first tag");
    Ok(())
}
