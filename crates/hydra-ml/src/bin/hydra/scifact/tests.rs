//! Made-up files of SciFact's form, and what is made from them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use hydra_types::{RecordId, Score, Scored};
use serde::Deserialize;

use super::data::{Claim, DataError, SciFact};
use super::first_stage::FirstStage;
use super::found::Found;
use super::passages::{Passages, Place};
use super::rows::{self, Rows};
use hydra_rerank::Ranking;

/// Rows of the three files, without their headers.
pub(super) struct Files<'a> {
    pub(super) corpus: &'a str,
    pub(super) train: &'a str,
    pub(super) development: &'a str,
}

impl Files<'_> {
    pub(super) fn write(&self, folder: &Path) {
        let claims = "id,claim,evidence_doc_id,evidence_label,evidence_sentences,cited_doc_ids\n";
        for (name, header, rows) in [
            ("corpus_train.csv", "doc_id,title,abstract,structured\n", self.corpus),
            ("claims_train.csv", claims, self.train),
            ("claims_validation.csv", claims, self.development),
        ] {
            fs::write(folder.join(name), format!("{header}{rows}")).unwrap();
        }
    }

    pub(super) fn load(&self) -> Result<SciFact, DataError> {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        SciFact::load(folder.path())
    }
}

/// Forty training claims, each about a pair of abstracts, and ten development claims.
fn many() -> (String, String, String) {
    let (mut corpus, mut train, mut development) = (String::new(), String::new(), String::new());
    for id in 0..60 {
        let list = format!("['Opening of subject{id} study.' 'Measured value{id} twice.' 'We conclude outcome{id}.']");
        writeln!(corpus, "{id},Title about subject{id},\"{list}\",False").unwrap();
    }
    for claim in 0..40 {
        // Two claims with even and next odd number cite a common abstract.
        writeln!(train, "{claim},Learned subject{claim} raises outcome{claim}.,,,[],[{claim} {}]", claim / 2 * 2 + 1)
            .unwrap();
    }
    for claim in 100..110 {
        writeln!(development, "{claim},Judged subject{} falls.,,,[],[{}]", claim - 60, claim - 60).unwrap();
    }
    (corpus, train, development)
}

#[derive(Deserialize)]
struct Read {
    query: String,
    text: String,
    label: f32,
    group: u64,
}

fn read(path: &Path) -> Vec<Read> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn rows_hold_every_training_claim_on_one_side_and_no_development_claim() {
    let (corpus, train, development) = many();
    let folder = tempfile::tempdir().unwrap();
    Files { corpus: &corpus, train: &train, development: &development }.write(folder.path());
    let [out, held_out] = ["rows.jsonl", "held-out.jsonl"].map(|name| folder.path().join(name));
    let data = super::Data { folder: folder.path().to_owned(), claims: None };
    let (out_file, held_out_file) = (out.clone(), held_out.clone());
    rows::run(&Rows { data, out: out_file, held_out: held_out_file, rounds: 2, negatives: 3, depth: 6 }).unwrap();

    let [learned, held_out] = [read(&out), read(&held_out)];
    assert!(!held_out.is_empty());
    let queries = |rows: &[Read]| {
        let mut queries: Vec<_> = rows.iter().map(|row| row.query.clone()).collect();
        queries.sort();
        queries.dedup();
        queries
    };
    assert_eq!(queries(&learned).len() + queries(&held_out).len(), 40);
    assert!(queries(&learned).iter().chain(&queries(&held_out)).all(|query| query.starts_with("Learned ")));
    let cited =
        |rows: &[Read]| rows.iter().filter(|row| row.label > 0.0).map(|row| row.text.clone()).collect::<Vec<_>>();
    let title = |text: &String| text.split(' ').nth(2).unwrap().to_owned();
    let of_held_out: Vec<_> = cited(&held_out).iter().map(title).collect();
    assert!(cited(&learned).iter().map(title).all(|title| !of_held_out.contains(&title)), "cited on both sides");

    let groups: Vec<&[Read]> = learned.chunk_by(|a, b| a.group == b.group).collect();
    assert_eq!(groups.len(), 2 * queries(&learned).len(), "two rounds, groups numbered apart");
    for group in &groups {
        assert!(group.iter().all(|row| row.query == group[0].query));
        assert_eq!(group.iter().filter(|row| row.label == 0.0).count(), 3);
    }
    let negatives = |group: &[Read]| -> Vec<String> {
        group.iter().filter(|row| row.label == 0.0).map(|row| row.text.clone()).collect()
    };
    let (first, second) = (groups[0], groups[1]);
    assert_eq!(first[0].query, second[0].query);
    assert!(negatives(first).iter().all(|text| !negatives(second).contains(text)), "another round, other negatives");
}

#[test]
fn a_passage_is_the_title_and_what_shares_most_with_the_query() {
    let sentences: Vec<String> = (0..9)
        .map(|at| {
            format!("'Here sentence{at} {}'", "fills the abstract with words until there is no more room for it.")
        })
        .collect();
    let corpus = format!("7,The title,\"[{}]\",False\n8,Short,['Alone.'],False\n", sentences.join(" "));
    let data = Files { corpus: &corpus, train: "0,c,,,[],[7]\n", development: "1,d,,,[],[7]\n" }.load().unwrap();
    let passages = Passages::new(&data).unwrap();
    let sentences = |passage: &str| -> Vec<usize> {
        let words = passage.split(' ').filter_map(|word| word.strip_prefix("sentence"));
        words.map(|number| number.parse().unwrap()).collect()
    };
    let passage = |query: &str, id: u64, left_out: Option<Place>| {
        passages.passage(&passages.shared(query).unwrap(), RecordId::new(id), left_out)
    };

    let best = passage("sentence6 or sentence3 or sentence6", 7, None);
    assert!(best.starts_with("The title Here sentence6 "), "{best}");
    assert_eq!(sentences(&best), [6, 3, 0], "the others in their order, while they fit");
    let left_out = Place { id: RecordId::new(7), sentence: 6 };
    assert_eq!(sentences(&passage("sentence6", 7, Some(left_out))), [0, 1, 2]);
    assert_eq!(sentences(&passage("nothing of that", 7, None)), [0, 1, 2]);
    assert_eq!(passage("sentence6", 8, None), "Short Alone.");
}

fn ranking(scores: &[(u64, f32)]) -> Ranking {
    let scored = |&(id, score): &(u64, f32)| Scored::new(RecordId::new(id), Score::new(score).unwrap());
    let mut ranked: Vec<_> = scores.iter().map(scored).collect();
    ranked.sort_unstable();
    Ranking { ranked, cut: Vec::new() }
}

#[test]
fn gains_and_weights_are_those_of_the_formula() {
    let corpus = "1,alpha,['alpha beta.'],False\n2,alpha,['alpha gamma.'],False\n3,delta,['delta.'],False\n";
    let claims = "0,alpha beta,,,[],[2 3]\n";
    let data = Files { corpus, train: "9,x,,,[],[1]\n", development: claims }.load().unwrap();
    let first_stage = FirstStage::new(&data).unwrap();
    let found = Found::new(&data.development, &first_stage).unwrap();
    let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-9, "{got} {expected}");

    // BM25 gives 1, 2, 3: two relevant ones at ranks 2 and 3, of an ideal at ranks 1 and 2.
    let (second, third) = (1.0 / 3_f64.log2(), 0.5);
    close(found.ndcg(&found.first_stage())[0], (second + third) / (1.0 + second));
    close(found.ndcg(&found.ideal())[0], 1.0);
    close(found.ndcg(&[ranking(&[(1, 0.0)])])[0], 0.0);

    let right = [ranking(&[(1, -1.0), (2, 1.0), (3, 1.0)])];
    let (weight, means) = found.best_weight(&right).unwrap();
    close(means[0], found.ndcg(&found.first_stage())[0]);
    close(means[10], 1.0);
    let fused = found.fused(&right, weight).unwrap();
    close(found.ndcg(&fused)[0], 1.0);
    let smaller = means.iter().take_while(|mean| **mean < 1.0).count();
    assert_eq!(weight.to_string(), format!("{:.1}", smaller as f64 / 10.0), "of equals the smallest");
    close(found.scored_by(&right).ndcg(&found.scored_by(&right).first_stage())[0], 1.0);
}

#[test]
fn a_trial_keeps_the_first_claims_of_each_kind_and_what_they_cite() {
    let (corpus, train, development) = many();
    let data = Files { corpus: &corpus, train: &train, development: &development }.load().unwrap();
    let firsts = |claims: &[Claim]| claims.iter().take(2).cloned().collect::<Vec<_>>();
    let expected = [&data.learned, &data.held_out, &data.development].map(|claims| firsts(claims));
    let trial = data.trial(2);
    for (kept, expected) in [&trial.learned, &trial.held_out, &trial.development].into_iter().zip(expected) {
        assert_eq!(*kept, expected);
        assert!(kept.iter().flat_map(|claim| &claim.cited).all(|cited| trial.abstracts.contains_key(cited)));
    }
    assert!(trial.abstracts.len() < 30, "{} of 60 abstracts", trial.abstracts.len());
}
