//! Tiny models of every family with what PyTorch made of them: see xtask/python/make_tiny_models.py.

use hydra_export::{Folder, Tokens};
use hydra_types::ndarray::Array2;
use safetensors::SafeTensors;

/// A committed model and its golden run.
pub(crate) struct Golden {
    pub(crate) folder: Folder,
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
            let shape = (view.shape()[0], view.shape()[1]);
            let numbers = view.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
            Some(Array2::from_shape_vec(shape, numbers.collect()).unwrap())
        };
        let (ids, mask) = (integers("input_ids").unwrap(), integers("attention_mask").unwrap());
        let types = integers("token_type_ids").unwrap_or_else(|| Array2::zeros(ids.raw_dim()));
        let output = golden.tensor("logits").or_else(|_| golden.tensor("last_hidden_state")).unwrap();
        Self {
            folder: Folder::open(path).unwrap(),
            tokens: Tokens::new(ids, mask, types).unwrap(),
            output: output.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
        }
    }
}
