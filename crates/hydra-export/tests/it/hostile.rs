//! Broken and hostile folders get an error that names what is wrong, and never a panic.

use std::fs;
use std::path::{Path, PathBuf};

use hydra_export::{Folder, FolderError, Pooling, PoolingKind};
use tempfile::TempDir;

use crate::gate::copy;

#[test]
fn what_is_missing_or_unknown_is_named() {
    let check = |edit: &dyn Fn(&Path), expected: &str| {
        let (_keep, folder) = model("bert");
        edit(&folder);
        let error = Folder::open(&folder).err().unwrap_or_else(|| panic!("accepted: {expected}")).to_string();
        assert!(error.contains(expected), "{error}");
    };
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        check(&|folder| fs::remove_file(folder.join(file)).unwrap(), &format!("no {file}"));
    }
    for (from, to, expected) in [
        (r#""model_type": "bert""#, r#""model_type": "gpt2""#, "`gpt2` is not supported: supported are bert, roberta"),
        (r#""hidden_act": "gelu""#, r#""hidden_act": "swish""#, "`hidden_act` is `swish`, supported: gelu, relu"),
        (r#""BertModel""#, r#""BertForQuestionAnswering""#, "`architectures` is `BertForQuestionAnswering`"),
        (r#""is_decoder": false"#, r#""is_decoder": true"#, "`is_decoder` is `true`"),
        (r#""hidden_size": 32"#, r#""hidden_size": 0"#, "`hidden_size` to 0"),
        (r#""hidden_size": 32"#, r#""hidden_size": 18446744073709551615"#, "`hidden_size` to 18446744073709551615"),
        (r#""hidden_size": 32"#, r#""hidden_sizes": 32"#, "no `hidden_size`"),
        (r#""hidden_size": 32"#, r#""hidden_size": 64"#, "config.json makes it"),
        (r#""num_attention_heads": 4"#, r#""num_attention_heads": 5"#, "5 attention heads of a vector of 32"),
        (
            r#""num_hidden_layers": 2"#,
            r#""num_hidden_layers": 3"#,
            "no tensor `encoder.layer.2.attention.self.query.weight`",
        ),
        (r#""BertModel""#, r#""BertForSequenceClassification""#, "no tensor `classifier.weight`"),
        (r#""pad_token_id": 0"#, r#""pad_token_id": 61"#, "`pad_token_id` to 61"),
        ("{", "[", "config.json is not what it should be"),
    ] {
        let edit = |folder: &Path| {
            let config = fs::read_to_string(folder.join("config.json")).unwrap();
            assert!(config.contains(from), "the fixture has no {from}");
            fs::write(folder.join("config.json"), config.replacen(from, to, 1)).unwrap();
        };
        check(&edit, expected);
    }
}

#[test]
fn every_cut_and_many_flips_of_the_weights_are_errors_or_other_numbers() {
    let (_keep, folder) = model("bert-classifier");
    let path = folder.join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    let header = 8 + usize::try_from(u64::from_le_bytes(whole[..8].try_into().unwrap())).unwrap();
    for length in (0..header).step_by(37).chain([header, whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(Folder::open(&folder).is_err(), "cut to {length} bytes");
    }
    // The lengths and the header: where a lie would make a reader run away.
    for at in (0..8).chain((8..header).step_by(11)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x15;
        fs::write(&path, &flipped).unwrap();
        drop(Folder::open(&folder));
    }
    let mut long = whole.clone();
    long.push(0);
    fs::write(&path, &long).unwrap();
    assert!(Folder::open(&folder).is_err(), "bytes behind the last tensor");
}

#[test]
fn shards_stay_in_the_folder_and_hold_what_the_index_says() {
    let check = |from: &str, to: &str| {
        let (_keep, folder) = model("distilbert");
        let index = folder.join("model.safetensors.index.json");
        let text = fs::read_to_string(&index).unwrap();
        assert!(text.contains(from));
        fs::write(&index, text.replace(from, to)).unwrap();
        Folder::open(&folder).err().unwrap()
    };
    let shard = "model-00002-of-00002.safetensors";
    for outside in ["../model.safetensors", "/etc/model.safetensors", ".hidden.safetensors", "a\\\\b.safetensors"] {
        assert!(matches!(check(shard, outside), FolderError::ShardName { .. }), "{outside}");
    }
    assert!(matches!(check(shard, "model-00003-of-00002.safetensors"), FolderError::MissingFile { .. }));
    assert!(matches!(check(shard, "model-00001-of-00002.safetensors"), FolderError::NotInShard { .. }));
}

#[test]
fn numbers_that_are_not_finite_are_found_when_they_are_read() {
    let (_keep, folder) = model("bert");
    let path = folder.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let (start, _) = metadata.info("encoder.layer.1.output.dense.bias").unwrap().data_offsets;
    bytes[8 + header + start..][..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = hydra_export::build(&Folder::open(&folder).unwrap(), 17).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}

#[test]
fn pooling_and_length_are_read_where_the_folder_says_them() {
    let (_keep, folder) = model("bert");
    assert_eq!(Folder::open(&folder).unwrap().pooling(), Pooling { kind: PoolingKind::Mean, l2: true });
    let modules = |kinds: &[&str]| {
        let modules: Vec<String> = kinds
            .iter()
            .map(|kind| format!(r#"{{"path": "1_{kind}", "type": "sentence_transformers.models.{kind}"}}"#))
            .collect();
        fs::write(folder.join("modules.json"), format!("[{}]", modules.join(","))).unwrap();
    };
    fs::create_dir(folder.join("1_Pooling")).unwrap();
    let config = folder.join("1_Pooling/config.json");
    fs::write(&config, r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#).unwrap();
    modules(&["Transformer", "Pooling"]);
    assert_eq!(Folder::open(&folder).unwrap().pooling(), Pooling { kind: PoolingKind::Cls, l2: false });
    fs::write(&config, r#"{"pooling_mode_mean_tokens": true}"#).unwrap();
    modules(&["Transformer", "Pooling", "Normalize"]);
    assert_eq!(Folder::open(&folder).unwrap().pooling(), Pooling { kind: PoolingKind::Mean, l2: true });
    fs::write(&config, r#"{"pooling_mode_max_tokens": true}"#).unwrap();
    assert!(matches!(Folder::open(&folder), Err(FolderError::Unsupported { .. })));
    modules(&["Transformer", "Dense"]);
    assert!(matches!(Folder::open(&folder), Err(FolderError::Unsupported { .. })));

    fs::remove_file(folder.join("modules.json")).unwrap();
    assert_eq!(Folder::open(&folder).unwrap().max_tokens(), 64);
    fs::write(folder.join("sentence_bert_config.json"), r#"{"max_seq_length": 48}"#).unwrap();
    assert_eq!(Folder::open(&folder).unwrap().max_tokens(), 48);
}

/// A copy of a committed model that may be broken.
fn model(name: &str) -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join(name);
    copy(&hydra_testkit::fixture(&format!("models/{name}")), &folder);
    (temporary, folder)
}
