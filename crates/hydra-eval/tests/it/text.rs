//! rouge-score and sacreBLEU: texts.

use hydra_eval::{EvalError, Overlap, corpus_bleu, rouge_l, rouge_n, sentence_bleu};
use serde::Deserialize;

use crate::{assert_equal, cases};

#[derive(Deserialize)]
struct Rouge {
    reference: String,
    prediction: String,
    rouge1: [f64; 3],
    rouge2: [f64; 3],
    #[serde(rename = "rougeL")]
    rouge_l: [f64; 3],
}

#[test]
fn rouge_is_that_of_rouge_score() {
    for (index, case) in cases::<Rouge>("rouge").iter().enumerate() {
        let check = |got: Overlap, expected: [f64; 3]| {
            for (got, expected) in [got.precision, got.recall, got.f1()].into_iter().zip(expected) {
                assert_equal(got, expected, index);
            }
        };
        check(rouge_n(&case.reference, &case.prediction, 1), case.rouge1);
        check(rouge_n(&case.reference, &case.prediction, 2), case.rouge2);
        check(rouge_l(&case.reference, &case.prediction), case.rouge_l);
    }
}

#[derive(Deserialize)]
struct Bleu {
    cases: Vec<(String, Vec<String>)>,
    corpus: f64,
    sentence: f64,
}

#[test]
fn bleu_is_that_of_sacrebleu() {
    for (index, Bleu { cases, corpus, sentence }) in cases::<Bleu>("bleu").iter().enumerate() {
        let references: Vec<Vec<&str>> =
            cases.iter().map(|(_, references)| references.iter().map(String::as_str).collect()).collect();
        let pairs = cases.iter().zip(&references).map(|((prediction, _), refs)| (prediction.as_str(), refs.as_slice()));
        assert_equal(corpus_bleu(pairs).unwrap(), *corpus, index);
        assert_equal(sentence_bleu(&cases[0].0, &references[0]).unwrap(), *sentence, index);
    }
}

#[test]
fn no_reference_is_an_error_and_no_word_is_zero() {
    assert_eq!(sentence_bleu("a", &[]), Err(EvalError::Empty));
    assert_eq!(corpus_bleu([]), Err(EvalError::Empty));
    assert_eq!(sentence_bleu("", &["a"]), Ok(0.0));
    assert_eq!(rouge_l("", "").f1(), 0.0);
}
