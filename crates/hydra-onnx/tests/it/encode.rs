//! What an encoder does with texts of every kind.

use std::num::NonZeroUsize;

use hydra_onnx::{
    Bundle, CrossEncoder, Description, Encoder, EncoderError, EncoderOptions, Kind, Pooling, Precision, Rows,
};
use hydra_testkit::Tolerance;
use hydra_types::ndarray::Array1;
use proptest::prelude::*;

use crate::{bundle, chain};

fn encoder(options: EncoderOptions) -> Encoder {
    Encoder::open(&bundle("tiny-encoder"), &options).unwrap()
}

fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// Texts whose lengths go up and down.
fn texts(count: usize) -> Vec<String> {
    (0..count).map(|i| "dog cat is ".repeat(i * 7919 % 5) + ["food", "zebra", "a guitar"][i % 3]).collect()
}

#[test]
fn nothing_in_nothing_out() {
    let encoded = encoder(EncoderOptions::default()).encode(&[""; 0]).unwrap();
    assert_eq!(encoded.features.dim(), (0, 8));
    assert_eq!((encoded.tokens.len(), encoded.work.batches), (0, 0));
    let none = encoder(EncoderOptions::default()).encode_tokens(&[""; 0]).unwrap();
    assert!(none.features.is_empty());
}

#[test]
fn ten_thousand_texts_come_back_in_order_and_as_if_alone() {
    let texts = texts(10_000);
    let mut together = encoder(EncoderOptions::default());
    let many = together.encode(&texts).unwrap();
    assert_eq!(many.features.dim(), (10_000, 8));
    assert!(many.work.batches < 10_000 / 16);
    let mut alone = encoder(EncoderOptions::default().rows(Rows::Alone));
    let some: Vec<usize> = (0..10_000).step_by(97).collect();
    let picked: Vec<&str> = some.iter().map(|&i| texts[i].as_str()).collect();
    let expected = alone.encode(&picked).unwrap();
    assert_eq!(expected.work.batches, picked.len());
    assert_eq!(expected.work.padding, 0);
    for (at, &row) in some.iter().enumerate() {
        Tolerance::absolute(1e-5).assert_close(&many.features.row(row).to_vec(), &expected.features.row(at).to_vec());
    }
}

#[test]
fn rows_alone_are_the_same_bytes_in_any_company() {
    let mut encoder = encoder(EncoderOptions::default().rows(Rows::Alone));
    let all = encoder.encode(&texts(40)).unwrap();
    for (at, text) in texts(40).iter().enumerate() {
        assert_eq!(encoder.encode(&[text]).unwrap().features.row(0), all.features.row(at));
    }
}

#[test]
fn the_same_call_gives_the_same_bytes() {
    let mut encoder = encoder(EncoderOptions::default());
    assert_eq!(encoder.encode(&texts(100)).unwrap().features, encoder.encode(&texts(100)).unwrap().features);
}

#[test]
fn what_is_cut_is_counted() {
    let mut encoder = encoder(EncoderOptions::default());
    let long = "dog ".repeat(100);
    let encoded = encoder.encode(&[long.as_str(), "dog", ""]).unwrap();
    let use_of = |at: usize| (encoded.tokens[at].kept, encoded.tokens[at].cut_first, encoded.tokens[at].cut_second);
    assert_eq!(use_of(0), (24, 78, 0));
    assert_eq!(use_of(1), (3, 0, 0));
    assert_eq!(use_of(2), (2, 0, 0));
    assert_eq!(encoded.tokens, encoder.count_tokens(&[long.as_str(), "dog", ""]).unwrap());
    // Cut at the end: the kept tokens are those of the shorter text.
    let same = encoder.encode(&["dog ".repeat(22)]).unwrap();
    assert_eq!(same.features.row(0), encoder.encode(&[&long]).unwrap().features.row(0));
}

#[test]
fn a_query_stays_whole_within_its_budget() {
    let encoder = encoder(EncoderOptions::default().first_budget(number(8)));
    let (query, long) = ("cat ".repeat(8), "dog ".repeat(50));
    let usage = |first: &str, second: &str| {
        let tokens = encoder.count_pair_tokens(&[(first, second)]).unwrap()[0];
        (tokens.kept, tokens.cut_first, tokens.cut_second)
    };
    // 24 tokens, 3 of them the tokenizer's own.
    assert_eq!(usage(&query, &long), (24, 0, 37));
    assert_eq!(usage(&long, &long), (24, 42, 37));
    assert_eq!(usage(&long, "dog"), (24, 30, 0));
    assert_eq!(usage("", &long), (24, 0, 29));
    assert_eq!(usage(&query, "dog"), (12, 0, 0));
}

#[test]
fn a_pair_whose_second_text_was_cut_is_the_shorter_pair() {
    let mut encoder = encoder(EncoderOptions::default().first_budget(number(8)));
    let long = encoder.encode_pairs(&[("cat is".to_owned(), "dog ".repeat(50))]).unwrap();
    let short = encoder.encode_pairs(&[("cat is".to_owned(), "dog ".repeat(19))]).unwrap();
    assert_eq!((long.tokens[0].cut_second, short.tokens[0].cut_second), (31, 0));
    assert_eq!(long.features, short.features);
}

#[test]
fn fewer_tokens_may_be_asked_for_and_not_more() {
    let encoder = |tokens| encoder(EncoderOptions::default().max_tokens(number(tokens)));
    assert_eq!(encoder(10).count_tokens(&["dog ".repeat(50)]).unwrap()[0].kept, 10);
    assert_eq!(encoder(1000).max_tokens(), 24);
    let open = |options| Encoder::open(&bundle("tiny-encoder"), &options).err().unwrap();
    assert!(matches!(open(EncoderOptions::default().max_tokens(number(4))), EncoderError::Options { .. }));
    assert!(matches!(open(EncoderOptions::default().first_budget(number(21))), EncoderError::Options { .. }));
}

#[test]
fn a_text_over_the_limit_is_refused_by_its_place_and_not_by_its_words() {
    let mut encoder = encoder(EncoderOptions::default().max_text_bytes(20));
    let error = encoder.encode(&["dog", "my secret is twenty bytes"]).unwrap_err();
    assert!(matches!(error, EncoderError::TextTooLong { row: 1, bytes: 25, limit: 20 }));
    assert!(!chain(&error).contains("secret"));
    encoder.encode(&["dog"]).unwrap();
}

#[test]
fn vectors_of_tokens_are_what_features_are_made_of() {
    let texts = texts(50);
    let mut encoder = Encoder::open(&bundle("tiny-external"), &EncoderOptions::default()).unwrap();
    let tokens = encoder.encode_tokens(&texts).unwrap();
    let features = encoder.encode(&texts).unwrap();
    for (at, states) in tokens.features.iter().enumerate() {
        assert_eq!(states.dim(), (tokens.tokens[at].kept, encoder.hidden()));
        // That bundle pools by the first token.
        assert_eq!(states.row(0), features.features.row(at));
    }
    let pairs = encoder.encode_pair_tokens(&[("a dog", "a cat")]).unwrap();
    assert_eq!(pairs.features[0].nrows(), 7);
}

#[test]
fn a_bundle_that_does_not_pool_says_so() {
    let (kind, precision, pooling) = (Kind::Encoder, Precision::Fp32, Pooling::None);
    let description = Description { kind, precision, pooling, normalize: false, max_tokens: 24, parity: None };
    let tiny = bundle("tiny-encoder");
    let unpooled = Bundle::new(description, tiny.model().clone(), tiny.tokenizer().to_vec()).unwrap();
    let mut encoder = Encoder::open(&unpooled, &EncoderOptions::default()).unwrap();
    assert!(matches!(encoder.encode(&["dog"]), Err(EncoderError::NotPooled)));
    assert_eq!(encoder.encode_tokens(&["dog"]).unwrap().features[0].dim(), (3, 8));
}

#[test]
fn a_bundle_of_the_other_kind_is_refused() {
    let error = CrossEncoder::open(&bundle("tiny-encoder"), &EncoderOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "the bundle is of kind `encoder`, and `cross-encoder` was asked for");
}

#[test]
fn a_cross_encoder_of_logits_alone_is_read_and_is_no_body() {
    let logits_alone = bundle("tiny-cross");
    assert!(matches!(Encoder::open(&logits_alone, &EncoderOptions::default()), Err(EncoderError::NoFeatures)));
    assert_eq!((logits_alone.manifest().features_width(), logits_alone.prior_head()), (None, None));
    let mut cross = CrossEncoder::open(&logits_alone, &EncoderOptions::default()).unwrap();
    assert!(matches!(cross.logits_and_features(&[("dog", "cat")]), Err(EncoderError::NoFeatures)));
    assert_eq!(cross.logits(&[("dog", "cat")]).unwrap().logits.nrows(), 1);
}

/// The bundle of fixtures/models/mpnet-classifier. `hydra-export`'s tests hold such bundles to PyTorch.
#[test]
fn a_body_and_its_prior_head_are_one_bundle() {
    let both = bundle("tiny-prior");
    let mut cross = CrossEncoder::open(&both, &EncoderOptions::default()).unwrap();
    let mut bodies = Encoder::open_many(&both, &EncoderOptions::default(), 2).unwrap();
    // Of several lengths, so that the order of batches is not the caller's.
    let pairs: Vec<(String, String)> = texts(40).into_iter().zip(texts(50).into_iter().skip(10)).collect();
    let (logits, features) = cross.logits_and_features(&pairs).unwrap();
    assert_eq!((logits.logits.dim(), features.dim()), ((40, 2), (40, 32)));
    for body in &mut bodies {
        assert_eq!(body.encode_pairs(&pairs).unwrap().features, features);
    }
    let head = both.prior_head().unwrap();
    for (z, logits) in features.rows().into_iter().zip(logits.logits.rows()) {
        let inner = (head.w1.dot(&z) + Array1::from(head.b1.clone())).mapv(f32::tanh);
        let expected = head.w2.dot(&inner) + Array1::from(head.b2.clone());
        Tolerance::absolute(1e-5).assert_close(&logits.to_vec(), &expected.to_vec());
    }
}

#[test]
fn a_tokenizer_that_is_none_is_an_error() {
    let tiny = bundle("tiny-encoder");
    let manifest = tiny.manifest();
    let description = Description {
        kind: manifest.kind(),
        precision: manifest.precision(),
        pooling: manifest.pooling(),
        normalize: true,
        max_tokens: 24,
        parity: None,
    };
    let broken = Bundle::new(description, tiny.model().clone(), b"{}".to_vec()).unwrap();
    let error = Encoder::open(&broken, &EncoderOptions::default()).unwrap_err();
    assert!(matches!(error, EncoderError::Tokenizer { .. }));
}

#[test]
fn encoders_of_one_bundle_work_on_several_threads() {
    let texts = &texts(200);
    let options = EncoderOptions::default();
    // One keeps its weights in the graph, the other beside it.
    for name in ["tiny-encoder", "tiny-external"] {
        let expected = Encoder::open(&bundle(name), &options).unwrap().encode(texts).unwrap().features;
        let encoders = Encoder::open_many(&bundle(name), &options, 3).unwrap();
        std::thread::scope(|scope| {
            let encode = |mut encoder: Encoder| scope.spawn(move || encoder.encode(texts).unwrap().features);
            let threads: Vec<_> = encoders.into_iter().map(encode).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), expected);
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_text_has_features_of_length_one(texts in prop::collection::vec(any::<String>(), 1..8)) {
        let mut encoder = encoder(EncoderOptions::default());
        let encoded = encoder.encode(&texts).unwrap();
        for row in encoded.features.rows() {
            prop_assert!((row.dot(&row) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn batching_never_shows(count in 1_usize..60, rows in 1_usize..9, tokens in 1_usize..200) {
        let options = EncoderOptions::default().max_rows(number(rows)).batch_tokens(number(tokens));
        let got = encoder(options).encode(&texts(count)).unwrap().features;
        let expected = encoder(EncoderOptions::default().rows(Rows::Alone)).encode(&texts(count)).unwrap().features;
        let close = Tolerance::absolute(1e-5).compare(got.as_slice().unwrap(), expected.as_slice().unwrap());
        prop_assert!(close.is_ok(), "{close:?}");
    }
}
