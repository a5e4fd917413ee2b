//! `manifest.json`: what is known about a model.

use std::collections::BTreeMap;

use hydra_types::{Fingerprint, axis};
use serde::{Deserialize, Serialize};

use super::description::{Description, Kind, Parity, Pooling, Precision};
use super::fingerprint::{self, sha256};
use super::{BundleError, MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE};
use crate::check::{Model, is_file_name};
use crate::spec::{Dim, Element, TensorSpec};

/// What a bundle says about its model: hashes, inputs and outputs, how features are made, what was measured.
///
/// One that exists is consistent: it was computed from a model, or read and validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    description: Description,
    fingerprint: Fingerprint,
    opset: i64,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    files: BTreeMap<String, FileEntry>,
}

/// Length and hash of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Fingerprint,
}

impl FileEntry {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

impl Manifest {
    /// Computes the manifest of a model.
    pub(super) fn new(description: Description, model: &Model, tokenizer: &[u8]) -> Result<Self, BundleError> {
        let files = [(MODEL_FILE, model.graph()), (TOKENIZER_FILE, tokenizer)]
            .into_iter()
            .chain(model.data().iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
            .map(|(name, bytes)| (name.to_owned(), FileEntry::of(bytes)))
            .collect();
        let facts = model.facts();
        let manifest = Self {
            fingerprint: fingerprint::of(&description, &files),
            description,
            opset: facts.opset,
            inputs: facts.inputs.clone(),
            outputs: facts.outputs.clone(),
            files,
        };
        manifest.validate()?;
        Ok(manifest)
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// [`BundleError::Format`] for a bundle of another version, whatever else it holds; else what does not hold.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        if json.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(BundleError::ManifestTooLong { limit: MAX_MANIFEST_BYTES });
        }
        let unreadable = |source| BundleError::Manifest { source };
        let Version { format } = serde_json::from_slice(json).map_err(unreadable)?;
        if format != FORMAT {
            return Err(BundleError::Format { found: format, supported: FORMAT });
        }
        let wire: Wire = serde_json::from_slice(json).map_err(unreadable)?;
        // A fuzzer cannot guess a hash: without it, it reaches what lies behind.
        if !cfg!(fuzzing) && wire.checksum != wire.body.checksum() {
            return Err(BundleError::Checksum);
        }
        let manifest = Self::from(wire.body);
        manifest.validate()?;
        Ok(manifest)
    }

    /// The bytes of `manifest.json`.
    ///
    /// # Panics
    /// Never: a manifest is plain data with text keys.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let body = Body::from(self.clone());
        let wire = Wire { format: FORMAT, checksum: body.checksum(), body };
        let mut json = serde_json::to_vec_pretty(&wire).expect("a manifest is plain data with text keys");
        json.push(b'\n');
        json
    }

    pub(super) fn with_parity(mut self, parity: Parity) -> Result<Self, BundleError> {
        self.description.parity = Some(parity);
        self.validate()?;
        Ok(self)
    }

    /// Compares what the manifest says about the graph with the graph.
    pub(super) fn describes(&self, model: &Model) -> Result<(), BundleError> {
        let facts = model.facts();
        let differ = |what, expected: String, found: String| Err(BundleError::Interface { what, expected, found });
        if self.opset != facts.opset {
            return differ("operators", format!("opset {}", self.opset), format!("opset {}", facts.opset));
        }
        if self.inputs != facts.inputs {
            return differ("inputs", list(&self.inputs), list(&facts.inputs));
        }
        if self.outputs != facts.outputs {
            return differ("outputs", list(&self.outputs), list(&facts.outputs));
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), BundleError> {
        for name in [MODEL_FILE, TOKENIZER_FILE] {
            if !self.files.contains_key(name) {
                return Err(BundleError::MissingFile { name: name.to_owned() });
            }
        }
        if let Some(name) = self.files.keys().find(|name| !is_file_name(name) || name.as_str() == MANIFEST_FILE) {
            return Err(BundleError::FileName { name: name.chars().take(64).collect() });
        }
        let computed = fingerprint::of(&self.description, &self.files);
        if computed != self.fingerprint {
            return Err(BundleError::Fingerprint { stated: self.fingerprint, computed });
        }
        self.description.validate()?;
        self.validate_interface()
    }

    fn validate_interface(&self) -> Result<(), BundleError> {
        self.validate_inputs()?;
        let wrong = |output: &str, axes: &str| BundleError::Interface {
            what: "outputs",
            expected: format!("{output}: f32 {axes}"),
            found: list(&self.outputs),
        };
        let kind = self.description.kind;
        if self.width().is_none() {
            let axes = match kind {
                Kind::Encoder => "[batch, seq, a number]",
                Kind::CrossEncoder => "[batch, a number]",
                Kind::LanguageModel => "[rows, a number]",
            };
            return Err(wrong(kind.output(), axes));
        }
        let names_features = self.outputs.iter().any(|output| output.name == FEATURES);
        if kind == Kind::CrossEncoder && names_features && self.features_width().is_none() {
            return Err(wrong(FEATURES, "[batch, a number]"));
        }
        Ok(())
    }

    /// What reads a language model checks its cache: here only the inputs are known that every one has.
    fn validate_inputs(&self) -> Result<(), BundleError> {
        let rows = [Dim::from(axis::BATCH), Dim::from(axis::SEQ)];
        let known = |input: &TensorSpec| {
            INPUTS.contains(&input.name.as_str()) && input.element == Element::I64 && input.shape == rows
        };
        let has = |name: &str| self.inputs.iter().any(|input| input.name == name);
        if self.description.kind == Kind::LanguageModel {
            let of = |name: &str, element: Element, axes: usize| {
                self.inputs.iter().any(|i| i.name == name && i.element == element && i.shape.len() == axes)
            };
            let tokens = of(INPUT_IDS, Element::I64, 2) || of(INPUTS_EMBEDS, Element::F32, 3);
            if tokens && of(POSITION_IDS, Element::I64, 2) && of(ATTENTION_BIAS, Element::F32, 4) {
                return Ok(());
            }
            return Err(BundleError::Interface {
                what: "inputs",
                expected: format!(
                    "{INPUT_IDS} or {INPUTS_EMBEDS}, {POSITION_IDS}, {ATTENTION_BIAS} and what the cache needs"
                ),
                found: list(&self.inputs),
            });
        }
        if !self.inputs.iter().all(known) || !has(INPUT_IDS) || !has(ATTENTION_MASK) {
            return Err(BundleError::Interface {
                what: "inputs",
                expected: format!(
                    "{INPUT_IDS} and {ATTENTION_MASK}, perhaps {TOKEN_TYPE_IDS} and {POSITION_IDS}, all i64 [{}, {}]",
                    axis::BATCH,
                    axis::SEQ
                ),
                found: list(&self.inputs),
            });
        }
        Ok(())
    }

    /// Length of the last axis of the output, if the output is as its kind says.
    fn width(&self) -> Option<usize> {
        let kind = self.description.kind;
        let leading: &[&str] = match kind {
            Kind::Encoder => &[axis::BATCH, axis::SEQ],
            Kind::CrossEncoder => &[axis::BATCH],
            Kind::LanguageModel => &["rows"],
        };
        self.width_of(kind.output(), leading)
    }

    /// Length of the last axis of an output, if there is one of this name, with these axes before the last.
    fn width_of(&self, name: &str, leading: &[&str]) -> Option<usize> {
        let output = self.outputs.iter().find(|output| output.name == name)?;
        let (last, first) = output.shape.split_last()?;
        let named = first.len() == leading.len() && first.iter().zip(leading).all(|(dim, &axis)| *dim == axis.into());
        match last {
            Dim::Fixed(width) if named && output.element == Element::F32 && *width > 0 => usize::try_from(*width).ok(),
            _ => None,
        }
    }
}

/// Reading what it says.
impl Manifest {
    /// Which body this is: see the crate's documentation of formats.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What the graph computes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.description.kind
    }

    /// The numbers that it computes with.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.description.precision
    }

    /// How features are made of the vectors of tokens.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.description.pooling
    }

    /// Whether features are divided by their length.
    #[must_use]
    pub fn normalize(&self) -> bool {
        self.description.normalize
    }

    /// Most tokens of a row, those that the tokenizer adds included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.description.max_tokens
    }

    /// What was measured against the reference, if it was.
    #[must_use]
    pub fn parity(&self) -> Option<&Parity> {
        self.description.parity.as_ref()
    }

    /// Version of the default operator set.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// What the graph takes.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// What the graph gives.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Numbers of one features vector, or classes of a cross-encoder.
    ///
    /// # Panics
    /// Never: a manifest without it does not exist.
    #[must_use]
    pub fn output_width(&self) -> usize {
        self.width().expect("validated when it was made")
    }

    /// Numbers of one features vector: of an encoder, and of a cross-encoder whose graph gives the features that its
    /// classifier reads; none of any other graph.
    #[must_use]
    pub fn features_width(&self) -> Option<usize> {
        match self.description.kind {
            Kind::Encoder => self.width(),
            Kind::CrossEncoder => self.width_of(FEATURES, &[axis::BATCH]),
            Kind::LanguageModel => None,
        }
    }

    /// Length and hash of every file, by name.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, FileEntry> {
        &self.files
    }

    /// SHA-256 of the tokenizer.
    ///
    /// # Panics
    /// Never: a manifest without a tokenizer does not exist.
    #[must_use]
    pub fn tokenizer_sha256(&self) -> Fingerprint {
        self.files[TOKENIZER_FILE].sha256
    }
}

/// `manifest.json`, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u64,
    /// Over `body`: every damaged byte shows, also one in a figure that nothing else depends on.
    checksum: Fingerprint,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    kind: Kind,
    fingerprint: Fingerprint,
    precision: Precision,
    pooling: Pooling,
    normalize: bool,
    max_tokens: usize,
    opset: i64,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    files: BTreeMap<String, FileEntry>,
    parity: Option<Parity>,
}

impl Body {
    fn checksum(&self) -> Fingerprint {
        sha256(&serde_json::to_vec(self).expect("a manifest is plain data with text keys"))
    }
}

impl From<Manifest> for Body {
    fn from(manifest: Manifest) -> Self {
        let Manifest { description, fingerprint, opset, inputs, outputs, files } = manifest;
        let Description { kind, precision, pooling, normalize, max_tokens, parity } = description;
        Self { kind, fingerprint, precision, pooling, normalize, max_tokens, opset, inputs, outputs, files, parity }
    }
}

impl From<Body> for Manifest {
    fn from(body: Body) -> Self {
        let Body {
            kind,
            fingerprint,
            precision,
            pooling,
            normalize,
            max_tokens,
            opset,
            inputs,
            outputs,
            files,
            parity,
        } = body;
        let description = Description { kind, precision, pooling, normalize, max_tokens, parity };
        Self { description, fingerprint, opset, inputs, outputs, files }
    }
}

fn list(specs: &[TensorSpec]) -> String {
    let specs: Vec<_> = specs.iter().map(ToString::to_string).collect();
    specs.join("; ")
}

/// Version of the folder's layout and of the manifest.
const FORMAT: u64 = 1;
/// A manifest has a few kilobytes.
pub(super) const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What a cross-encoder's classifier reads.
pub(crate) const FEATURES: &str = "features";
/// Ids of tokens.
pub(crate) const INPUT_IDS: &str = "input_ids";
/// 1 for a token, 0 for padding.
pub(crate) const ATTENTION_MASK: &str = "attention_mask";
/// 0 for the first text, 1 for the second.
pub(crate) const TOKEN_TYPE_IDS: &str = "token_type_ids";
/// 0, 1, 2, ...
pub(crate) const POSITION_IDS: &str = "position_ids";
/// Vectors in the place of ids.
const INPUTS_EMBEDS: &str = "inputs_embeds";
/// Added to the scores of attention.
const ATTENTION_BIAS: &str = "attention_bias";
const INPUTS: [&str; 4] = [INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS, POSITION_IDS];
