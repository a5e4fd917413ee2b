//! trec_eval: rankings.

use std::collections::BTreeMap;

use hydra_eval::{Judgements, Ranking};
use serde::Deserialize;

use crate::{assert_equal, cases};

#[derive(Deserialize)]
struct Case {
    qrel: BTreeMap<String, i32>,
    run: BTreeMap<String, f32>,
    #[serde(rename = "P_5")]
    p_5: f64,
    map: f64,
    ndcg_cut_3: f64,
    ndcg_cut_10: f64,
    recall_5: f64,
    recip_rank: f64,
}

#[test]
fn all_are_those_of_trec_eval() {
    for (index, case) in cases::<Case>("ranking").into_iter().enumerate() {
        let ranking = Ranking::new(&Judgements::new(case.qrel), case.run);
        assert_equal(ranking.ndcg(3), case.ndcg_cut_3, index);
        assert_equal(ranking.ndcg(10), case.ndcg_cut_10, index);
        assert_equal(ranking.reciprocal_rank(), case.recip_rank, index);
        assert_equal(ranking.average_precision(), case.map, index);
        assert_equal(ranking.precision(5), case.p_5, index);
        assert_equal(ranking.recall(5), case.recall_5, index);
    }
}

#[test]
fn the_order_of_arrival_decides_nothing_and_a_nan_ranks_last() {
    let judgements = Judgements::new([("b".to_owned(), 1)]);
    let of = |scored: &[(&str, f32)]| Ranking::new(&judgements, scored.iter().map(|&(i, s)| (i.to_owned(), s)));
    assert_eq!(of(&[("a", 1.0), ("b", 1.0)]), of(&[("b", 1.0), ("a", 1.0)]));
    assert_eq!(of(&[("a", 0.0), ("b", -0.0)]).reciprocal_rank(), 1.0);
    assert_eq!(of(&[("a", f32::MIN), ("b", f32::NAN)]).reciprocal_rank(), 0.5);
}
