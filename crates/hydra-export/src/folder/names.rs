//! What each family calls its tensors.

use super::config::{Config, Family, RELATIVE_BUCKETS, Task};

/// A part of the model that has weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// Table of words: `[vocab, hidden]`.
    Words,
    /// Table of positions: `[max_positions, hidden]`.
    Positions,
    /// Table of token types: `[token_types, hidden]`.
    TokenTypes,
    /// Layer normalisation of the sum of the tables.
    EmbeddingNorm,
    /// Table of relative positions: `[32, n_heads]`.
    RelativePositions,
    /// A part of the layer with this number, from 0.
    Layer(usize, LayerModule),
    /// First linear map on the first token: `[hidden, hidden]`.
    ClassifierHidden,
    /// Second linear map on the first token: `[classes, hidden]`.
    Classifier,
}

/// A part of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayerModule {
    Query,
    Key,
    Value,
    /// Linear map of what the heads gathered.
    AttentionOutput,
    AttentionNorm,
    /// Linear map to the wider space.
    Intermediate,
    /// Linear map back.
    Output,
    OutputNorm,
}

/// Which tensor of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Weight,
    Bias,
}

impl Module {
    /// Every module of a model.
    pub(super) fn all(config: &Config, task: Task) -> Vec<Self> {
        let mut all = vec![Self::Words, Self::Positions, Self::EmbeddingNorm];
        if config.token_types > 0 {
            all.push(Self::TokenTypes);
        }
        if config.family == Family::MpNet {
            all.push(Self::RelativePositions);
        }
        for layer in 0..config.n_layers {
            all.extend(LayerModule::ALL.map(|module| Self::Layer(layer, module)));
        }
        if task != Task::Encode {
            all.extend([Self::ClassifierHidden, Self::Classifier]);
        }
        all
    }

    /// The tensors that the module has.
    pub(super) fn parts(self) -> &'static [Part] {
        match self {
            Self::Words | Self::Positions | Self::TokenTypes | Self::RelativePositions => &[Part::Weight],
            _ => &[Part::Weight, Part::Bias],
        }
    }

    /// The shape in the checkpoint: linear maps are `[out, in]`.
    pub(super) fn shape(self, part: Part, config: &Config, task: Task) -> Vec<usize> {
        let hidden = config.hidden;
        let classes = match task {
            Task::Encode => 0,
            Task::Classify { classes } => classes,
        };
        let (out, into) = match self {
            Self::Words => (config.vocab, Some(hidden)),
            Self::Positions => (config.max_positions, Some(hidden)),
            Self::TokenTypes => (config.token_types, Some(hidden)),
            Self::RelativePositions => (RELATIVE_BUCKETS, Some(config.n_heads)),
            Self::Classifier => (classes, Some(hidden)),
            Self::Layer(_, LayerModule::Intermediate) => (config.intermediate, Some(hidden)),
            Self::Layer(_, LayerModule::Output) => (hidden, Some(config.intermediate)),
            Self::EmbeddingNorm | Self::Layer(_, LayerModule::AttentionNorm | LayerModule::OutputNorm) => {
                (hidden, None)
            }
            Self::ClassifierHidden | Self::Layer(..) => (hidden, Some(hidden)),
        };
        match (part, into) {
            (Part::Weight, Some(into)) => vec![out, into],
            _ => vec![out],
        }
    }

    /// The name in the checkpoint, without `.weight` or `.bias`; `prefix` is that of the encoder's tensors.
    pub(super) fn name(self, family: Family, prefix: &str) -> String {
        let name = match self {
            Self::Words => "embeddings.word_embeddings".to_owned(),
            Self::Positions => "embeddings.position_embeddings".to_owned(),
            Self::TokenTypes => "embeddings.token_type_embeddings".to_owned(),
            Self::EmbeddingNorm => "embeddings.LayerNorm".to_owned(),
            Self::RelativePositions => "encoder.relative_attention_bias".to_owned(),
            Self::Layer(layer, module) => {
                let stack = if family == Family::DistilBert { "transformer" } else { "encoder" };
                format!("{stack}.layer.{layer}.{}", module.name(family))
            }
            // The pooler belongs to BERT's encoder; the other families' classifiers lie outside it.
            Self::ClassifierHidden if family == Family::Bert => "pooler.dense".to_owned(),
            Self::ClassifierHidden if family == Family::DistilBert => return "pre_classifier".to_owned(),
            Self::ClassifierHidden => return "classifier.dense".to_owned(),
            Self::Classifier if matches!(family, Family::Roberta | Family::MpNet) => {
                return "classifier.out_proj".to_owned();
            }
            Self::Classifier => return "classifier".to_owned(),
        };
        format!("{prefix}{name}")
    }
}

impl LayerModule {
    const ALL: [Self; 8] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttentionOutput,
        Self::AttentionNorm,
        Self::Intermediate,
        Self::Output,
        Self::OutputNorm,
    ];

    fn name(self, family: Family) -> &'static str {
        let [bert, distilbert, mpnet] = match self {
            Self::Query => ["attention.self.query", "attention.q_lin", "attention.attn.q"],
            Self::Key => ["attention.self.key", "attention.k_lin", "attention.attn.k"],
            Self::Value => ["attention.self.value", "attention.v_lin", "attention.attn.v"],
            Self::AttentionOutput => ["attention.output.dense", "attention.out_lin", "attention.attn.o"],
            Self::AttentionNorm => ["attention.output.LayerNorm", "sa_layer_norm", "attention.LayerNorm"],
            Self::Intermediate => ["intermediate.dense", "ffn.lin1", "intermediate.dense"],
            Self::Output => ["output.dense", "ffn.lin2", "output.dense"],
            Self::OutputNorm => ["output.LayerNorm", "output_layer_norm", "output.LayerNorm"],
        };
        match family {
            Family::Bert | Family::Roberta => bert,
            Family::DistilBert => distilbert,
            Family::MpNet => mpnet,
        }
    }
}

impl Part {
    /// The ends that this tensor's name may have: converted TensorFlow checkpoints call gain and shift so.
    pub(super) fn suffixes(self) -> [&'static str; 2] {
        match self {
            Self::Weight => [".weight", ".gamma"],
            Self::Bias => [".bias", ".beta"],
        }
    }
}

/// The prefix that a family's encoder has inside a larger model.
pub(super) fn prefix(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert.",
        Family::Roberta => "roberta.",
        Family::DistilBert => "distilbert.",
        Family::MpNet => "mpnet.",
    }
}
