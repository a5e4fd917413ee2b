//! Language models: the reference against PyTorch, the graph against the reference.

use hydra_export::{
    DecoderError, DecoderOptions, DecoderPrecision, Gguf, decoder_logits, export_decoder, tokenizer_json,
};
use hydra_onnx::Manifest;
use hydra_testkit::{Tolerance, fetched, fixture};
use safetensors::SafeTensors;

fn open(name: &str) -> Gguf {
    Gguf::open(&fixture(&format!("gguf/{name}.gguf"))).unwrap()
}

#[test]
fn the_reference_computes_what_pytorch_computes() {
    for name in ["tiny-llama", "tiny-qwen2"] {
        let golden = std::fs::read(fixture(&format!("gguf/{name}.safetensors"))).unwrap();
        let golden = SafeTensors::deserialize(&golden).unwrap();
        let bytes = |key: &str| golden.tensor(key).unwrap().data().to_vec();
        let tokens: Vec<u32> = bytes("tokens")
            .chunks_exact(8)
            .map(|b| u32::try_from(i64::from_le_bytes(b.try_into().unwrap())).unwrap())
            .collect();
        let expected: Vec<f32> =
            bytes("logits").chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let logits = decoder_logits(&open(name), &tokens).unwrap();
        assert_eq!(logits.nrows(), 24);
        Tolerance { absolute: 2e-4, relative: 2e-4 }.assert_close(logits.as_slice().unwrap(), &expected);
    }
}

#[test]
fn both_architectures_pass_the_gate_and_exporting_again_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-llama", "tiny-qwen2"] {
        let out = folder.path().join(name);
        let manifest = export_decoder(&open(name), &DecoderOptions::default(), &out).unwrap();
        let measures = &manifest.parity().unwrap().measures;
        assert!(measures.iter().all(|measure| measure.value >= 0.9999), "{measures:?}");
    }
    // What hydra-lm's tests run on.
    let both = |file: &str| {
        let folders = [fixture("lm/tiny-llama"), folder.path().join("tiny-llama")];
        folders.map(|folder| std::fs::read(folder.join(file)).unwrap())
    };
    for file in ["model.onnx", "tokenizer.json"] {
        let [committed, made] = both(file);
        assert!(committed == made, "{file}");
    }
    // But for the parity, whose last digits are the processor's.
    let [committed, made] = both("manifest.json").map(|json| {
        let mut manifest: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let mut body = manifest["body"].take();
        body.as_object_mut().unwrap().remove("parity").expect("it was measured");
        body
    });
    assert_eq!(committed, made);
}

#[test]
fn hidden_states_and_vectors_as_input_are_in_the_graph_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecoderOptions::default().embeddings_in().hidden_states_out(&[0, 1]);
    let manifest = export_decoder(&open("tiny-llama"), &options, &folder.path().join("a")).unwrap();
    let inputs: Vec<_> = manifest.inputs().iter().map(|input| input.name.as_str()).collect();
    assert!(inputs.contains(&"inputs_embeds") && !inputs.contains(&"input_ids"));
    assert!(manifest.outputs().iter().any(|output| output.name == "hidden.1"));
    assert!(manifest.parity().is_none());
    let beyond = DecoderOptions::default().hidden_states_out(&[2]);
    let error = export_decoder(&open("tiny-llama"), &beyond, &folder.path().join("b")).unwrap_err();
    assert!(matches!(error, DecoderError::Layer { layer: 2, layers: 2 }));
    assert!(!folder.path().join("b").exists());
}

#[test]
fn a_file_of_another_kind_or_with_a_part_missing_is_refused() {
    let error = |bytes: Vec<u8>| {
        let folder = tempfile::tempdir().unwrap();
        let gguf = Gguf::from_bytes(bytes).unwrap();
        export_decoder(&gguf, &DecoderOptions::default(), &folder.path().join("a")).unwrap_err()
    };
    let whole = std::fs::read(fixture("gguf/tiny-llama.gguf")).unwrap();
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|window| window == from).unwrap();
        [&whole[..at], to, &whole[at + to.len()..]].concat()
    };
    let architecture = [&5_u64.to_le_bytes()[..], b"llama"].concat();
    let other = [&5_u64.to_le_bytes()[..], b"mamba"].concat();
    assert!(matches!(error(replaced(&architecture, &other)), DecoderError::Architecture { .. }));
    assert!(matches!(error(replaced(b"blk.1.ffn_up", b"blk.1.ffn_UP")), DecoderError::Gguf(_)));
    assert!(matches!(error(replaced(b"smollm", b"smullm")), DecoderError::Tokenizer { .. }));
}

#[test]
fn the_tokenizer_is_the_one_of_the_file() {
    let tokenizer = tokenizers::Tokenizer::from_bytes(tokenizer_json(&open("tiny-llama")).unwrap()).unwrap();
    let encoded = tokenizer.encode("hello world<|im_end|>12", false).unwrap();
    assert_eq!(encoded.get_tokens(), ["hello", "\u{120}world", "<|im_end|>", "1", "2"]);
    assert_eq!(tokenizer.decode(encoded.get_ids(), true).unwrap(), "hello world12");
}

#[test]
fn the_fetched_model_passes_the_gate_in_8_bits_and_in_its_own_4() {
    let gguf = Gguf::open(&fetched("llm/model.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let exported = |precision: DecoderPrecision| {
        let options = DecoderOptions::default().precision(precision);
        export_decoder(&gguf, &options, &folder.path().join(precision.to_string())).unwrap()
    };
    let (int8, int4) = (exported(DecoderPrecision::Int8), exported(DecoderPrecision::Int4));
    for manifest in [&int8, &int4] {
        let value = |name: &str| manifest.parity().unwrap().measures.iter().find(|m| m.name == name).unwrap().value;
        assert!(value("mean_cosine") > 0.998 && value("equal_greedy_tokens") > 0.9);
    }
    let bytes = |manifest: &Manifest| manifest.files().values().map(|file| file.bytes).sum::<u64>();
    assert!(bytes(&int4) * 10 < bytes(&int8) * 8, "{} {}", bytes(&int4), bytes(&int8));
}

#[test]
fn weights_are_never_rounded_to_4_bits() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecoderOptions::default().precision(DecoderPrecision::Int4);
    let error = export_decoder(&open("tiny-llama"), &options, &folder.path().join("a")).unwrap_err();
    assert!(matches!(error, DecoderError::NoFourBits));
}
