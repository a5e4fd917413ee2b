//! A classifier's logits, one or two classes.

use std::convert::Infallible;

use hydra_rerank::{CrossReranker, RerankError, Reranker};
use hydra_types::ndarray::{Array2, ShapeBuilder};
use hydra_types::{Body, Fingerprint, PairFeatures, RecordTemplate};

use crate::toy::Load;

/// A classifier that likes long records: class `i` has the logit `(i + 1) * length`.
#[derive(Default)]
pub(crate) struct Logits {
    pub(crate) classes: usize,
    /// Whether the logits of a class lie side by side, and not those of a pair.
    pub(crate) by_column: bool,
}

impl Body for Logits {
    type Error = Infallible;

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([3; 32])
    }

    fn hidden(&self) -> usize {
        self.classes
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Infallible> {
        let logit = |(row, class): (usize, usize)| (class as f32 + 1.0) * pairs[row].1.len() as f32;
        let shape = (pairs.len(), self.classes);
        let features = Array2::from_shape_fn(shape.set_f(self.by_column), logit);
        Ok(PairFeatures { features, cut: vec![0; pairs.len()], tokens: 0 })
    }
}

#[test]
fn one_class_is_the_relevance_and_two_are_its_odds() {
    for (classes, by_column) in [(1, false), (2, false), (1, true), (2, true)] {
        let body = Logits { classes, by_column };
        let mut reranker = CrossReranker::around(body, RecordTemplate::input_only()).unwrap();
        Load::new().ask(2, |requests| {
            let ranking = reranker.rerank(&requests[..1]).unwrap().remove(0);
            let longest = requests[0].records.iter().map(|found| found.record.input().len()).max().unwrap();
            assert_eq!(ranking.ranked[0].score.get(), longest as f32, "{classes} {by_column}");
            // "abcd" and "aaaa" are equally long: the smaller id comes first.
            assert_eq!(ranking.ranked[1].id.get(), 13);
        });
    }
}

#[test]
fn a_classifier_of_topics_is_no_reranker() {
    for classes in [0, 3] {
        let body = Logits { classes, ..Logits::default() };
        let error = CrossReranker::around(body, RecordTemplate::input_only()).err().unwrap();
        assert!(matches!(error, RerankError::Classes { classes: c } if c == classes));
    }
}
