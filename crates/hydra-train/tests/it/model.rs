//! Models against PyTorch, and folders that are written back.

use std::collections::BTreeMap;
use std::path::Path;

use hydra_testkit::{Tolerance, fetched, fixture};
use hydra_train::{Model, ModelError, Sequence, Task, Tokens};
use hydra_types::ndarray::s;
use safetensors::SafeTensors;

use crate::golden::{Golden, MODELS};

#[test]
fn every_family_computes_what_pytorch_computes() {
    for name in MODELS {
        let golden = Golden::open(name);
        let got = match golden.model.task() {
            Task::Encode => golden.model.hidden_states(&golden.tokens).unwrap().into_raw_vec_and_offset().0,
            _ => golden.model.logits(&golden.tokens).unwrap().into_raw_vec_and_offset().0,
        };
        if let Err(worst) = Tolerance::absolute(1e-5).compare(&got, &golden.output) {
            panic!("{name}: {worst}");
        }
    }
}

/// Ids of "A man is eating food." and the published vector's first numbers.
#[test]
fn minilm_gives_the_published_vector() {
    let model = Model::open(fetched("encoder")).unwrap();
    let ids = vec![101, 1037, 2158, 2003, 5983, 2833, 1012, 102];
    let sequence = Sequence { types: vec![0; ids.len()], ids };
    let states = model.hidden_states(&Tokens::pad(&[&sequence], model.config()).unwrap()).unwrap();
    let mut pooled: Vec<f32> = states.sum_axis(hydra_types::ndarray::Axis(1)).into_raw_vec_and_offset().0;
    let norm = pooled.iter().map(|x| x * x).sum::<f32>().sqrt();
    pooled.iter_mut().for_each(|x| *x /= norm);
    Tolerance::absolute(1e-5).assert_close(&pooled[..5], &[0.03324, 0.00441, -0.00628, 0.04838, -0.13870]);
}

#[test]
fn a_model_that_is_saved_unchanged_has_the_same_names_and_bits() {
    for name in ["bert", "mpnet"] {
        let folder = fixture(&format!("models/{name}"));
        let saved = tempfile::tempdir().unwrap();
        Model::open(&folder).unwrap().save(saved.path()).unwrap();
        let [before, after] =
            [folder.as_path(), saved.path()].map(|folder| std::fs::read(folder.join("model.safetensors")).unwrap());
        let [before, after] = [&before, &after].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        let [mut names, mut names_after] = [before.names(), after.names()];
        names.sort_unstable();
        names_after.sort_unstable();
        assert_eq!(names, names_after);
        for tensor in names {
            let [before, after] = [&before, &after].map(|file| file.tensor(tensor).unwrap());
            assert_eq!((before.dtype(), before.shape(), before.data()), (after.dtype(), after.shape(), after.data()));
        }
        for file in ["config.json", "tokenizer.json"] {
            let [before, after] =
                [folder.as_path(), saved.path()].map(|folder| std::fs::read(folder.join(file)).unwrap());
            assert_eq!(before, after, "{file}");
        }
    }
}

/// A link keeps what a file held: who writes into the file, and is cut off, has lost it.
#[test]
fn a_model_that_is_saved_over_another_never_writes_into_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = Model::open(fixture("models/bert")).unwrap();
    model.save(folder.path()).unwrap();
    let names = ["config.json", "model.safetensors", "tokenizer.json"];
    let before = names.map(|name| std::fs::read(path(name)).unwrap());
    for name in names {
        std::fs::hard_link(path(name), path(&format!("old-{name}"))).unwrap();
    }
    Model::open(folder.path()).unwrap().with_classifier(2, 1).unwrap().save(folder.path()).unwrap();
    for (name, before) in names.iter().zip(before) {
        assert_eq!(std::fs::read(path(&format!("old-{name}"))).unwrap(), before, "{name}");
    }
    assert_eq!(Model::open(folder.path()).unwrap().task(), Task::Classify { classes: 2 });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2 * names.len(), "nothing is left beside");

    // What cannot be written is found before anything is replaced.
    let other = Model::open(fixture("models/mpnet")).unwrap();
    let blocked = tempfile::tempdir().unwrap();
    model.save(blocked.path()).unwrap();
    let weights = blocked.path().join("model.safetensors");
    let before = std::fs::read(&weights).unwrap();
    std::fs::remove_file(blocked.path().join("config.json")).unwrap();
    std::fs::create_dir(blocked.path().join("config.json")).unwrap();
    assert!(matches!(other.save(blocked.path()), Err(ModelError::Io { .. })));
    assert_eq!(std::fs::read(&weights).unwrap(), before);
}

/// Names and shapes of a weight file, without what the family's classifier has besides.
fn layout(folder: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect()
}

#[test]
fn a_new_classifier_is_laid_out_like_a_published_one() {
    for family in ["bert", "distilbert", "mpnet", "roberta"] {
        let published = fixture(&format!("models/{family}-classifier"));
        let Task::Classify { classes } = Model::open(&published).unwrap().task() else { panic!("{family}") };
        let encoder = Model::open(fixture(&format!("models/{family}"))).unwrap();
        let made = encoder.with_classifier(classes, 5).unwrap();
        let folder = tempfile::tempdir().unwrap();
        made.save(folder.path()).unwrap();
        assert_eq!(layout(folder.path()), layout(&published), "{family}");

        let opened = Model::open(folder.path()).unwrap();
        let text = Sequence { ids: vec![2, 7, 8, 9, 3], types: vec![0, 0, 1, 1, 1] };
        let tokens = Tokens::pad(&[&text], opened.config()).unwrap();
        let logits = opened.logits(&tokens).unwrap();
        assert_eq!(logits.dim(), (1, classes));
        assert_eq!(logits, made.logits(&tokens).unwrap());
        assert!(logits.iter().any(|logit| *logit != 0.0));
    }
}

#[test]
fn new_weights_depend_on_the_seed_alone() {
    let logits = |seed| {
        let model = Model::open(fixture("models/mpnet")).unwrap().with_classifier(2, seed).unwrap();
        let text = Sequence { ids: vec![0, 7, 2], types: vec![0; 3] };
        model.logits(&Tokens::pad(&[&text], model.config()).unwrap()).unwrap()
    };
    assert_eq!(logits(1), logits(1));
    assert_ne!(logits(1), logits(2));
}

#[test]
fn padding_and_company_do_not_change_a_row() {
    for name in MODELS {
        let model = Model::open(fixture(&format!("models/{name}"))).unwrap();
        let row = |ids: &[u32]| Sequence { ids: ids.to_vec(), types: vec![0; ids.len()] };
        let (short, long) = (row(&[4, 9, 30, 3]), row(&[4, 17, 22, 40, 55, 31, 8, 12, 3]));
        let alone = Tokens::pad(&[&short], model.config()).unwrap();
        let together = Tokens::pad(&[&long, &short], model.config()).unwrap();
        let (alone, together) = match model.task() {
            Task::Encode => {
                let first = |tokens, row| model.hidden_states(tokens).unwrap().slice_move(s![row, 0..4, ..]);
                (first(&alone, 0).into_raw_vec_and_offset().0, first(&together, 1).iter().copied().collect())
            }
            _ => {
                let row = |tokens, row| model.logits(tokens).unwrap().row(row).to_vec();
                (row(&alone, 0), row(&together, 1))
            }
        };
        Tolerance::absolute(1e-5).assert_close(&together, &alone);
    }
}

/// Each fault is planted in a good folder.
#[test]
fn a_folder_that_is_no_model_is_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let good = fixture("models/bert");
    let config = std::fs::read_to_string(good.join("config.json")).unwrap();
    let open = |config: &str, weights: Option<&[u8]>| {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let file = folder.path().join("model.safetensors");
        match weights {
            Some(bytes) => std::fs::write(file, bytes).unwrap(),
            None => drop(std::fs::copy(good.join("model.safetensors"), file).unwrap()),
        }
        Model::open(folder.path())
    };
    assert!(open(&config, None).is_ok());
    let replaced = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        open(&config.replace(from, to), None).unwrap_err()
    };
    let error = replaced("\"bert\"", "\"t5\"");
    assert!(matches!(error, ModelError::Unsupported { key: "model_type", .. }), "{error}");
    let error = replaced("\"num_attention_heads\": 4", "\"num_attention_heads\": 5");
    assert!(matches!(error, ModelError::Unsupported { key: "num_attention_heads", .. }), "{error}");
    let error = replaced("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    assert!(matches!(error, ModelError::MissingTensor { .. }), "{error}");
    let error = replaced("\"vocab_size\": 61", "\"vocab_size\": 62");
    assert!(matches!(error, ModelError::Shape { .. }), "{error}");
    let error = replaced("\"vocab_size\": 61", "\"vocab_size\": 0");
    assert!(matches!(error, ModelError::Unsupported { key: "vocab_size", .. }), "{error}");
    let error = replaced("\"BertModel\"", "\"BertForSequenceClassification\"");
    assert!(matches!(error, ModelError::MissingTensor { .. }), "{error}");
    assert!(matches!(open("{", None).unwrap_err(), ModelError::Json { .. }));
    assert!(matches!(open(&config, Some(b"no weights")).unwrap_err(), ModelError::Weights { .. }));

    let mut weights = std::fs::read(good.join("model.safetensors")).unwrap();
    let words = SafeTensors::deserialize(&weights).unwrap().tensor("embeddings.word_embeddings.weight").unwrap().data();
    let at = words.as_ptr() as usize - weights.as_ptr() as usize;
    weights[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(open(&config, Some(&weights)).unwrap_err(), ModelError::Numbers { .. }));
    assert!(matches!(Model::open(folder.path().join("nowhere")).unwrap_err(), ModelError::Io { .. }));
}
