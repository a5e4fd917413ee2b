//! Weights as plain arrays, read from safetensors files and written back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use hydra_types::ndarray::Array2;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::config::{Config, Task};
use super::error::ModelError;
use super::names::Names;

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// The family's name for it, without the prefix.
    pub(crate) name: String,
    /// The name in the file.
    pub(crate) file_name: String,
    pub(crate) shape: Vec<usize>,
    /// Row-major; linear maps are `[out, in]`.
    pub(crate) values: Vec<f32>,
}

/// A tensor of the file that the model does not use; it is written back as it was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unused {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Parameter {
    /// # Panics
    /// If it is a vector.
    pub(super) fn matrix(&self) -> Array2<f32> {
        let shape = (self.shape[0], self.shape[1]);
        Array2::from_shape_vec(shape, self.values.clone()).expect("parameters fit their shapes")
    }
}

impl Unused {
    /// Whether it is the tensor of this name, with or without the family's prefix.
    pub(super) fn matches(&self, name: &str, prefix: &str, shape: &[usize]) -> bool {
        self.name.strip_prefix(prefix).unwrap_or(&self.name) == name && self.shape == shape
    }

    /// Its numbers, if they are finite.
    pub(super) fn values(&self) -> Option<Vec<f32>> {
        numbers(&TensorView::new(self.dtype, self.shape.clone(), &self.bytes).ok()?)
    }
}

/// The tensors of a folder, still as bytes.
pub(super) struct WeightFiles {
    files: Vec<(String, Vec<u8>)>,
}

impl WeightFiles {
    /// Reads `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        if folder.join(SINGLE).is_file() || !folder.join(INDEX).is_file() {
            return Ok(Self { files: vec![(SINGLE.to_owned(), read(&folder.join(SINGLE))?)] });
        }
        let index: Index = serde_json::from_slice(&read(&folder.join(INDEX))?)
            .map_err(|source| ModelError::Json { file: INDEX, source })?;
        let mut shards: Vec<String> = index.weight_map.into_values().collect();
        shards.sort_unstable();
        shards.dedup();
        let mut files = Vec::new();
        for shard in shards {
            // A shard is a file of this folder, whatever the index says.
            let name = Path::new(&shard).file_name().map(Path::new).unwrap_or(Path::new(SINGLE));
            files.push((shard.clone(), read(&folder.join(name))?));
        }
        Ok(Self { files })
    }

    pub(super) fn open(&self) -> Result<Tensors<'_>, ModelError> {
        let mut tensors = BTreeMap::new();
        for (file, bytes) in &self.files {
            let views =
                SafeTensors::deserialize(bytes).map_err(|source| ModelError::Weights { file: file.clone(), source })?;
            tensors.extend(views.tensors());
        }
        Ok(Tensors { tensors })
    }
}

/// The tensors of all weight files, by name.
pub(super) struct Tensors<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl Tensors<'_> {
    /// The prefix of the encoder's tensors: the family's where the file has it, else none.
    pub(super) fn prefix(&self, names: Names) -> &'static str {
        let with_prefix = format!("{}{}.weight", names.prefix(), Names::WORDS);
        if self.tensors.contains_key(&with_prefix) { names.prefix() } else { "" }
    }

    /// The shape of a tensor, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(TensorView::shape)
    }

    /// Takes every tensor of a model; what is left is not used.
    pub(super) fn parameters(
        mut self,
        config: &Config,
        task: Task,
        prefix: &str,
    ) -> Result<(Vec<Parameter>, Vec<Unused>), ModelError> {
        let mut parameters = Vec::new();
        for spec in Names::of(config.family).tensors(config, task) {
            let published = if spec.in_encoder { format!("{prefix}{}", spec.name) } else { spec.name.clone() };
            let (file_name, view) = [published.clone(), as_converted(&published)]
                .into_iter()
                .find_map(|name| self.tensors.remove_entry(&name))
                .ok_or(ModelError::MissingTensor { tensor: published })?;
            if view.shape() != spec.shape {
                let got = view.shape().to_vec();
                return Err(ModelError::Shape { tensor: file_name, expected: spec.shape, got });
            }
            let values = numbers(&view).ok_or_else(|| ModelError::Numbers { tensor: file_name.clone() })?;
            parameters.push(Parameter { name: spec.name, file_name, shape: spec.shape, values });
        }
        let unused = self.tensors.into_iter().map(|(name, view)| Unused {
            name,
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        });
        Ok((parameters, unused.collect()))
    }
}

/// The bytes of a safetensors file; numbers are F32, what is not used stays as it was.
pub(super) fn to_safetensors(parameters: &[Parameter], unused: &[Unused]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = parameters.iter().map(|parameter| to_bytes(&parameter.values)).collect();
    let view = |dtype, shape: &[usize], bytes| {
        TensorView::new(dtype, shape.to_vec(), bytes).expect("the shape was checked when the tensor was made")
    };
    let ours = parameters.iter().zip(&bytes);
    let mut tensors: Vec<(&str, TensorView<'_>)> = ours
        .map(|(parameter, bytes)| (parameter.file_name.as_str(), view(Dtype::F32, &parameter.shape, bytes)))
        .collect();
    tensors
        .extend(unused.iter().map(|tensor| (tensor.name.as_str(), view(tensor.dtype, &tensor.shape, &tensor.bytes))));
    // What the reference implementation refuses to open a file without.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(tensors, Some(metadata)).expect("names differ, and shapes fit their bytes")
}

/// Little-endian.
pub(crate) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Little-endian F32, widened from fewer bits if need be; none if it is another type or not finite.
pub(crate) fn numbers(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = view.data();
    let pairs = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let numbers: Vec<f32> = match view.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
        }
        Dtype::F16 => pairs.map(|pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::BF16 => pairs.map(|pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        _ => return None,
    };
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// What checkpoints converted from TensorFlow call gain and shift.
fn as_converted(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, "weight")) => format!("{module}.gamma"),
        Some((module, _)) => format!("{module}.beta"),
        None => name.to_owned(),
    }
}

pub(super) const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
