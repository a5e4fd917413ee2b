//! An encoder or a cross-encoder whose weights can be trained.

mod attention;
mod config;
mod dropout;
mod error;
mod names;
mod network;
mod parameter;
mod tokens;

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use hydra_heads::Weights;
use hydra_types::ndarray::{Array, Array2, Array3, Dimension, StrideShape};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

pub use config::{Config, Family, Task};
pub(crate) use dropout::Dropout;
pub use error::ModelError;
pub(crate) use names::Names;
pub(crate) use network::{Binding, Network};
pub(crate) use parameter::{Parameter, numbers, to_bytes};
pub use tokens::{Sequence, Tokens, TokensError};

use crate::file;
use parameter::{SINGLE, Unused, WeightFiles, read, to_safetensors};

/// A transformer encoder, or a classifier on one, with its weights as plain numbers.
///
/// Opened from a folder as models are published (`config.json`, `model.safetensors` or shards, `tokenizer.json`) and
/// saved as one, which `hydra-export` takes.
///
/// ```
/// use hydra_train::{Model, Sequence, Tokens};
///
/// # let folder = hydra_testkit::fixture("models/bert");
/// let model = Model::open(&folder)?;
/// let text = Sequence { ids: vec![2, 36, 58, 3], types: vec![0; 4] };
/// let states = model.hidden_states(&Tokens::pad(&[&text], model.config())?)?;
/// assert_eq!(states.dim(), (1, 4, model.config().hidden));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    config: Config,
    task: Task,
    parameters: Vec<Parameter>,
    unused: Vec<Unused>,
    config_json: Vec<u8>,
    /// The other files that a bundle is made from, where the folder has them.
    companions: Vec<(&'static str, Vec<u8>)>,
}

impl Model {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`ModelError`] if a file is missing or broken, the architecture is not one of [`Family`], or a tensor is missing
    /// or has another shape than `config.json` says.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ModelError> {
        let folder = folder.as_ref();
        let config_json = read(&folder.join("config.json"))?;
        let config = Config::parse(&config_json)?;
        let files = WeightFiles::read(folder)?;
        let tensors = files.open()?;
        let names = Names::of(config.family);
        let task = if config.names_classifier {
            let tensor = format!("{}.weight", names.classifier());
            match tensors.shape(&tensor) {
                Some([classes, _]) if *classes > 0 => Task::Classify { classes: *classes },
                _ => return Err(ModelError::MissingTensor { tensor }),
            }
        } else {
            Task::Encode
        };
        let prefix = tensors.prefix(names);
        let (parameters, unused) = tensors.parameters(&config, task, prefix)?;
        let mut companions = Vec::new();
        for name in COMPANIONS {
            let path = folder.join(name);
            if path.is_file() {
                companions.push((name, read(&path)?));
            }
        }
        Ok(Self { config, task, parameters, unused, config_json, companions })
    }

    /// The same encoder with a new classifier on its first token.
    ///
    /// New weights are drawn from a normal distribution of standard deviation 0.02, biases are 0; a pooler that the
    /// folder already has is kept.
    ///
    /// # Errors
    /// [`ModelError::Task`] if it is a classifier already.
    ///
    /// # Source
    /// Devlin et al. 2018, appendix A.2 and google-research/bert `modeling.py`, `initializer_range`.
    pub fn with_classifier(mut self, classes: usize, seed: u64) -> Result<Self, ModelError> {
        if self.task != Task::Encode {
            return Err(ModelError::Task { expected: "an encoder", got: "a classifier" });
        }
        let names = Names::of(self.config.family);
        for parameter in &mut self.parameters {
            if !parameter.file_name.starts_with(names.prefix()) {
                parameter.file_name = format!("{}{}", names.prefix(), parameter.file_name);
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.task = Task::Classify { classes };
        for spec in names.tensors(&self.config, self.task).into_iter().skip(self.parameters.len()) {
            let kept = self.unused.iter().position(|tensor| tensor.matches(&spec.name, names.prefix(), &spec.shape));
            let values = kept.and_then(|at| self.unused.remove(at).values()).unwrap_or_else(|| {
                let len = spec.shape.iter().product();
                if spec.name.ends_with(".bias") { vec![0.0; len] } else { normal(&mut rng, len) }
            });
            let prefix = if spec.in_encoder { names.prefix() } else { "" };
            let file_name = format!("{prefix}{}", spec.name);
            self.parameters.push(Parameter { name: spec.name, file_name, shape: spec.shape, values });
        }
        // A pooler that this family's classifier does not use is no part of the model, nor is the encoder's pooling.
        self.unused.clear();
        self.companions.retain(|(name, _)| !name.ends_with("config.json") || *name == "tokenizer_config.json");
        self.companions.retain(|(name, _)| *name != "modules.json");
        self.config_json = config::for_classifier(&self.config_json, classes)?;
        Ok(self)
    }

    /// The encoder alone, whose features are the last layer's vector of the first token, and the classifier as the prior head
    /// on them: what `hydra-export` makes a body of, and `hydra-heads` scores with.
    ///
    /// # Errors
    /// [`ModelError::Task`] if it is no classifier of two classes, or its family's classifier is no head of the paper's shape
    /// (DistilBERT).
    pub fn into_body_and_prior(mut self) -> Result<(Self, Weights), ModelError> {
        let names = Names::of(self.config.family);
        if self.task != (Task::Classify { classes: 2 }) || self.config.family == Family::DistilBert {
            return Err(ModelError::Task {
                expected: "a classifier of two classes with tanh between its linear maps",
                got: "another model",
            });
        }
        let encoder = names.tensors(&self.config, Task::Encode).len();
        let head = self.parameters.split_off(encoder);
        let [w1, b1, w2, b2] = &head[..] else { unreachable!("a classifier is two linear maps") };
        let prior = Weights::two_layer(&w1.matrix(), &b1.values, &w2.matrix(), &b2.values)
            .map_err(|_| ModelError::Numbers { tensor: w1.file_name.clone() })?;
        for parameter in &mut self.parameters {
            parameter.file_name = parameter.name.clone();
        }
        self.task = Task::Encode;
        self.config_json = config::for_encoder(&self.config_json)?;
        self.companions.retain(|(name, _)| !POOLING.iter().any(|(own, _)| own == name));
        self.companions.extend(POOLING.map(|(name, text)| (name, text.as_bytes().to_vec())));
        Ok((self, prior))
    }

    /// Sizes and family.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the model gives.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// How many numbers the model has.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }

    /// The last layer's vectors, without dropout. Rows of padding hold numbers without meaning.
    ///
    /// # Shapes
    /// - returns: `[batch, seq, hidden]`
    ///
    /// # Errors
    /// [`TokensError`] if an id is not in the tables or the sequence is too long.
    pub fn hidden_states(&self, tokens: &Tokens) -> Result<Array3<f32>, TokensError> {
        tokens.check(&self.config)?;
        let (batch, seq) = tokens.dim();
        let states = self.network().hidden_states(tokens);
        Ok(array((batch, seq, self.config.hidden), states))
    }

    /// The classifier's logits, without dropout.
    ///
    /// # Shapes
    /// - returns: `[batch, classes]`; of an encoder `[batch, 0]`.
    ///
    /// # Errors
    /// [`TokensError`] if an id is not in the tables or the sequence is too long.
    pub fn logits(&self, tokens: &Tokens) -> Result<Array2<f32>, TokensError> {
        tokens.check(&self.config)?;
        let (batch, _) = tokens.dim();
        let Task::Classify { classes } = self.task else {
            return Ok(Array2::zeros((batch, 0)));
        };
        let mut network = self.network();
        let states = network.hidden_states(tokens);
        let logits = network.logits(states, tokens);
        Ok(array((batch, classes), logits))
    }

    /// Writes the folder: `config.json`, `model.safetensors` with every number in F32, and the tokenizer's files as they
    /// were. Names are those of the folder that was opened. Each file appears whole or not at all, also in the folder that the
    /// model was opened from.
    ///
    /// # Errors
    /// [`ModelError::Io`] if a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), ModelError> {
        let folder = folder.as_ref();
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ModelError::Io { path, source }
        };
        let weights = to_safetensors(&self.parameters, &self.unused);
        let own = [("config.json", &self.config_json), (SINGLE, &weights)];
        let mut written = Vec::new();
        for (name, bytes) in own.into_iter().chain(self.companions.iter().map(|(name, bytes)| (*name, bytes))) {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            let file = fs::create_dir_all(parent).and_then(|()| file::beside(&path, bytes)).map_err(failed(&path))?;
            written.push((file, path));
        }
        // Nothing old is replaced before all that is new lies on the disk.
        for (file, path) in written {
            file.persist(&path).map_err(|error| failed(&path)(error.error))?;
        }
        Ok(())
    }

    pub(crate) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    pub(crate) fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn network(&self) -> Network<'_> {
        Network::new(&self.config, Binding::frozen(&self.parameters, &Device::flex()))
    }
}

fn array<D: Dimension>(shape: impl Into<StrideShape<D>>, tensor: Tensor<2>) -> Array<f32, D> {
    Array::from_shape_vec(shape, values(tensor)).expect("the network keeps its shapes")
}

/// The numbers of a tensor, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("every tensor of the network is F32")
}

/// Box and Muller 1958, `N(0, 0.02²)`.
fn normal(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    let draw = |_| {
        let (radius, angle): (f32, f32) = (rng.random_range(f32::MIN_POSITIVE..1.0), rng.random_range(0.0..1.0));
        INITIALIZER_RANGE * (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
    };
    (0..len).map(draw).collect()
}

/// How sentence encoders say that the first token's vector is the text's, as it is.
const POOLING: [(&str, &str); 2] = [
    (
        "modules.json",
        r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
"#,
    ),
    ("1_Pooling/config.json", "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}\n"),
];
const INITIALIZER_RANGE: f32 = 0.02;
const COMPANIONS: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];
