//! Models against PyTorch, and folders that are written back.

use hydra_testkit::{Tolerance, fetched, fixture};
use hydra_train::{Model, Sequence, Task, Tokens};
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
