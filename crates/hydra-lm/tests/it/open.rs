//! Bundles that hold no language model.

use hydra_lm::{LanguageModel, LmError, LmOptions};
use hydra_onnx::{Bundle, Description, Kind, Model, Pooling, Precision};
use hydra_testkit::fixture;

fn description() -> Description {
    Description {
        kind: Kind::LanguageModel,
        precision: Precision::Fp32,
        pooling: Pooling::None,
        normalize: false,
        max_tokens: 256,
        parity: None,
    }
}

#[test]
fn a_vocabulary_that_does_not_match_is_typed() {
    let graph = std::fs::read(fixture("lm/tiny-llama/model.onnx")).unwrap();
    let tokenizer = std::fs::read_to_string(fixture("lm/tiny-llama/tokenizer.json")).unwrap();
    let mut tokenizer: serde_json::Value = serde_json::from_str(&tokenizer).unwrap();
    tokenizer["model"]["vocab"]["one more"] = 270.into();
    let tokenizer = serde_json::to_vec(&tokenizer).unwrap();
    let bundle = Bundle::new(description(), Model::new(graph).unwrap(), tokenizer).unwrap();
    let error = LanguageModel::from_bundle(&bundle, &LmOptions::default()).unwrap_err();
    assert!(matches!(error, LmError::Vocabulary { tokens: 271, vocabulary: 270 }), "{error:?}");
}

#[test]
fn a_rounded_model_is_called_another() {
    let name = |precision| {
        let graph = Model::new(std::fs::read(fixture("lm/tiny-llama/model.onnx")).unwrap()).unwrap();
        let tokenizer = std::fs::read(fixture("lm/tiny-llama/tokenizer.json")).unwrap();
        let bundle = Bundle::new(Description { precision, ..description() }, graph, tokenizer).unwrap();
        LanguageModel::from_bundle(&bundle, &LmOptions::default()).unwrap().name().to_owned()
    };
    let whole = name(Precision::Fp32);
    assert_eq!(name(Precision::Int8Blocks), format!("{whole} int8-blocks"));
    assert_eq!(name(Precision::Int4Blocks), format!("{whole} int4-blocks"));
}

#[test]
fn a_folder_without_a_bundle_is_an_error_with_its_cause() {
    let error = LanguageModel::open("no such folder".as_ref(), &LmOptions::default()).unwrap_err();
    assert!(matches!(error, LmError::Bundle(_)));
}
