use hydra_testkit::{Tolerance, fixture};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    k1: f64,
    b: f64,
    texts: Vec<String>,
    queries: Vec<String>,
    scores: Vec<Vec<f64>>,
}

fn index(params: Bm25Params, texts: &[String]) -> Bm25 {
    let mut index = Bm25::new(params);
    for (id, text) in (0..).zip(texts) {
        index.add(RecordId::new(id), Time::from_unix_millis(0), Tags::NONE, text).unwrap();
    }
    index
}

fn ranked(index: &Bm25, query: &str) -> Vec<(u64, f32)> {
    let found = index.search(&Query::new().text(query), usize::MAX, &Filter::all(), &mut Scratch::new()).unwrap();
    found.into_iter().map(|scored| (scored.id.get(), scored.score.get())).collect()
}

#[test]
fn okapi_scores_are_those_of_rank_bm25() {
    let cases: Vec<Golden> = serde_json::from_slice(&std::fs::read(fixture("retrieval/bm25.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 12);
    for case in &cases {
        let index = index(Bm25Params::okapi().k1(case.k1).unwrap().b(case.b).unwrap(), &case.texts);
        for (query, expected) in case.queries.iter().zip(&case.scores) {
            let mut scores = ranked(&index, query);
            scores.sort_by_key(|&(id, _)| id);
            let scores: Vec<f64> = scores.into_iter().map(|(_, score)| f64::from(score)).collect();
            Tolerance { absolute: 1e-6, relative: 1e-6 }.assert_close(&scores, expected);
        }
    }
}

#[test]
fn both_words_beat_one_where_plain_okapi_says_otherwise() {
    let texts = ["a b", "a c", "b c"].map(str::to_owned);
    let best = |params| ranked(&index(params, &texts), "a b")[0].0;
    assert_ne!(best(Bm25Params::okapi()), 0, "the trap is gone from the test");
    assert_eq!(best(Bm25Params::default()), 0);
}

#[test]
fn parameters_out_of_range_are_refused() {
    for k1 in [-0.1, 101.0, f64::NAN] {
        assert!(Bm25Params::default().k1(k1).is_err());
    }
    let error = Bm25Params::default().b(1.5).unwrap_err();
    assert_eq!(error.to_string(), "b must be a number from 0 to 1, got 1.5");
}

#[test]
fn a_removed_text_leaves_no_word() {
    let mut index = index(Bm25Params::default(), &["canary shared".to_owned(), "shared".to_owned()]);
    assert!(index.remove(RecordId::new(0)));
    assert!(!index.remove(RecordId::new(0)));
    assert!(!index.postings.contains_key("canary"));
    assert_eq!(index.postings.len(), 1);
}

proptest! {
    #[test]
    fn one_more_word_in_common_never_lowers_a_score(
        texts in prop::collection::vec("[a-d]( [a-d]){3}", 1..12),
        words in prop::collection::vec("[a-d]", 1..4),
        extra in "[a-d]",
    ) {
        let index = index(Bm25Params::default(), &texts);
        let query = words.join(" ");
        let before: BTreeMap<u64, f32> = ranked(&index, &query).into_iter().collect();
        for (id, score) in ranked(&index, &format!("{query} {extra}")) {
            prop_assert!(score >= before[&id]);
            prop_assert_eq!(score > before[&id], texts[usize::try_from(id).unwrap()].contains(&extra));
        }
    }

    #[test]
    fn removing_is_never_having_added(
        texts in prop::collection::vec("[a-d]{1,2}( [a-d]{1,2}){0,4}", 1..12),
        gone in prop::collection::vec(any::<bool>(), 12),
        params in prop::sample::select(vec![Bm25Params::default(), Bm25Params::okapi()]),
        query in "[a-d]{1,2} [a-d]",
    ) {
        let mut all = index(params, &texts);
        let mut kept = Bm25::new(params);
        for ((id, text), &gone) in (0..).zip(&texts).zip(&gone) {
            if gone {
                all.remove(RecordId::new(id));
            } else {
                kept.add(RecordId::new(id), Time::from_unix_millis(0), Tags::NONE, text).unwrap();
            }
        }
        prop_assert_eq!(ranked(&all, &query), ranked(&kept, &query));
        prop_assert_eq!(all.words_in, kept.words_in);
        prop_assert_eq!(all.postings.len(), kept.postings.len());
    }
}
