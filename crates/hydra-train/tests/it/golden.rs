//! Tiny models of every family with what PyTorch made of them: see xtask/python/make_tiny_models.py.

use hydra_train::{Model, Tokens};
use hydra_types::ndarray::Array2;
use safetensors::SafeTensors;

/// A committed model and its golden run.
pub(crate) struct Golden {
    pub(crate) model: Model,
    pub(crate) tokens: Tokens,
    /// What PyTorch gave, in row-major order.
    pub(crate) output: Vec<f32>,
}

/// Every committed model, by the name of its folder.
pub(crate) const MODELS: [&str; 9] = [
    "bert",
    "bert-classifier",
    "distilbert",
    "distilbert-classifier",
    "mpnet",
    "mpnet-classifier",
    "roberta",
    "roberta-classifier",
    "xlm-roberta-classifier",
];

impl Golden {
    pub(crate) fn open(model: &str) -> Self {
        let path = hydra_testkit::fixture(&format!("models/{model}"));
        let bytes = std::fs::read(path.join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let integers = |name| {
            let view = golden.tensor(name).ok()?;
            let numbers = view.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
            Some(Array2::from_shape_vec((view.shape()[0], view.shape()[1]), numbers.collect()).unwrap())
        };
        let (ids, mask) = (integers("input_ids").unwrap(), integers("attention_mask").unwrap());
        let types = integers("token_type_ids").unwrap_or_else(|| Array2::zeros(ids.raw_dim()));
        let output = golden.tensor("logits").or_else(|_| golden.tensor("last_hidden_state")).unwrap();
        Self {
            model: Model::open(path).unwrap(),
            tokens: Tokens::new(ids, mask, types).unwrap(),
            output: output.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
        }
    }
}

/// Named arrays of a golden file.
pub(crate) struct Arrays(Vec<u8>);

impl Arrays {
    /// What PyTorch made for training.
    pub(crate) fn training() -> Self {
        Self(std::fs::read(hydra_testkit::fixture("train/golden.safetensors")).unwrap())
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    pub(crate) fn integers(&self, name: &str) -> Array2<i64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let numbers = view.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
        Array2::from_shape_vec((view.shape()[0], view.shape()[1]), numbers.collect()).unwrap()
    }

    pub(crate) fn matrix(&self, name: &str) -> Array2<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let shape = file.tensor(name).unwrap().shape().to_vec();
        Array2::from_shape_vec((shape[0], shape[1]), self.numbers(name)).unwrap()
    }
}
