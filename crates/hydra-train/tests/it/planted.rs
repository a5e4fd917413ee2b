//! A population that is made up: people who like different things, and a stand-in for a language model whose usefulness
//! depends on the record that it is shown. What is planted is known, so that it can be asked whether it was found. This
//! tests our logic; it is no result about any model or any person.

use std::collections::BTreeMap;
use std::convert::Infallible;

use hydra_llm::{
    BoxFuture, Capabilities, Choice, FenceKey, LlmClient, LlmError, Request, Response, Template, TemplateParts, Usage,
};
use hydra_train::{FitView, History, LabelPlan, PseudoQuery, Split, Splitter};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, Fingerprint, Generation, PairFeatures, Record, RecordId, Scope, Time, UserId};
use sha2::{Digest, Sha256};

pub(crate) const LABELS: [&str; 4] = ["comedy", "dark comedy", "drama", "western"];
pub(crate) const BODY: Fingerprint = Fingerprint::new([5; 32]);
pub(crate) const HIDDEN: usize = STYLES + LABELS.len() + NOISE;
const STYLES: usize = 3;
const NOISE: usize = 5;

/// A number from 0 to 1 that is the same for the same texts and looks like chance.
pub(crate) fn chance(of: &[&str]) -> f64 {
    f64::from(number(of)) / f64::from(u32::MAX)
}

/// One of `n`, by the same kind of chance.
fn one_of(n: usize, of: &[&str]) -> usize {
    number(of) as usize % n
}

fn number(of: &[&str]) -> u32 {
    let mut hash = Sha256::new();
    for text in of {
        hash.update(text);
        hash.update([0]);
    }
    let digest = hash.finalize();
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The style whose records help this user: style 0 helps three users of five.
pub(crate) fn useful_style(user: UserId) -> usize {
    [0, 0, 0, 1, 2][(user.get() % 5) as usize]
}

/// What this user answers three times of four.
pub(crate) fn favourite(user: UserId) -> usize {
    one_of(LABELS.len(), &["favourite", &user.to_string()])
}

pub(crate) struct Population {
    pub(crate) split: Split,
    pub(crate) model: StandIn,
}

impl Population {
    /// `users` of whom half are asked the newest ten of their thirty records.
    pub(crate) fn new(users: u128) -> Self {
        let mut gold = BTreeMap::new();
        let history = |user: u128| {
            let user = UserId::new(user);
            let record = |id: u32| {
                let name = format!("film {id} of {user}");
                let style = one_of(STYLES, &["style", &name]);
                let label = if chance(&["taste", &name]) < 0.75 {
                    favourite(user)
                } else {
                    one_of(LABELS.len(), &["other", &name])
                };
                let input = format!("{name} style{style}");
                gold.insert((user, input.clone()), LABELS[label]);
                Record::new(RecordId::new(id.into()), Time::from_unix_millis(id.into()), input, LABELS[label])
            };
            History::new(Scope::acting_for(user), Generation::FIRST, (0..30).map(record).collect()).unwrap()
        };
        let histories = (1..=users).map(history).collect();
        let split = Splitter::new(users as usize / 2, 10, 1).split(histories).unwrap();
        Self { split, model: StandIn { gold } }
    }
}

/// Knows the right answer, and gives it nine times of ten if it is shown a record of the style that helps the user, and
/// hardly ever else. At temperature above 0 it guesses, with a slight lean to the right answer.
pub(crate) struct StandIn {
    gold: BTreeMap<(UserId, String), &'static str>,
}

impl StandIn {
    fn answer(&self, request: &Request, draw: u32) -> &'static str {
        let user = request.user.expect("every request says whose").user;
        let prompt = &request.messages.last().expect("a prompt").text;
        let query = prompt.lines().last().expect("the query").strip_prefix("Tag: ").expect("the template");
        let gold = self.gold[&(user, query.to_owned())];
        let draw = format!("{draw}");
        let other = LABELS[one_of(LABELS.len(), &["wrong", prompt, &draw])];
        if request.temperature > Some(0.0) {
            return if chance(&["lean", prompt, &draw]) < 0.1 { gold } else { other };
        }
        let style = format!("style{}", useful_style(user));
        let helps = prompt.lines().any(|line| line.starts_with("{\"film\"") && line.contains(&style));
        if chance(&["right", prompt]) < if helps { 0.9 } else { 0.05 } { gold } else { other }
    }
}

impl LlmClient for StandIn {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new("stand-in");
        capabilities.max_n = 8;
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let choices = (0..request.n).map(|draw| Choice::new(self.answer(&request, draw))).collect();
            Ok(Response::new(choices, Usage::reported(100, request.n.into())))
        })
    }
}

pub(crate) fn plan() -> LabelPlan {
    let template = Template::new(TemplateParts {
        system: "Answer with one tag.".into(),
        user: "{{history}}\nTag: {{query}}".into(),
        input_name: "film".into(),
        output_name: "tag".into(),
    });
    LabelPlan::paper(template.unwrap(), FenceKey::new([7; 32]))
}

/// Picks records as if at random, so that every style comes up.
pub(crate) fn retrieve(
    query: &PseudoQuery<'_>,
    most: usize,
) -> Result<Vec<RecordId>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(shuffled(query.earlier(), query.record().input(), most).into_iter().map(Record::id).collect())
}

pub(crate) fn shuffled<'r>(records: &'r [Record], query: &str, most: usize) -> Vec<&'r Record> {
    let mut all: Vec<&Record> = records.iter().collect();
    all.sort_by(|a, b| chance(&[query, a.input()]).total_cmp(&chance(&[query, b.input()])));
    all.truncate(most);
    all
}

/// Sees the style and the label that the second text names, and noise.
pub(crate) struct Planted;

impl Body for Planted {
    type Error = Infallible;

    fn fingerprint(&self) -> Fingerprint {
        BODY
    }

    fn hidden(&self) -> usize {
        HIDDEN
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
        let feature = |(row, at): (usize, usize)| {
            let (first, second) = &pairs[row];
            let named = match at {
                style if style < STYLES => second.contains(&format!("style{style}")),
                label if label < STYLES + LABELS.len() => second == LABELS[label - STYLES],
                noise => return one_of(101, &[first, second, &noise.to_string()]) as f32 / 100.0 - 0.5,
            };
            f32::from(u8::from(named))
        };
        let features = Array2::from_shape_fn((pairs.len(), HIDDEN), feature);
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

/// Views of the users who are judged by.
pub(crate) fn fit_views(split: &Split) -> Vec<FitView> {
    split.test.iter().map(|user| user.fit.clone()).collect()
}
