//! What each family calls its tensors.

use super::config::{Config, Family, Task};

/// The names of a family's modules; `.weight` and `.bias` come behind them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    family: Family,
}

/// A part of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Query,
    Key,
    Value,
    AttentionOutput,
    AttentionNorm,
    Intermediate,
    Output,
    OutputNorm,
}

/// A tensor that a model has: its name without the family's prefix, and its shape.
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// Whether it lies in the encoder, whose tensors have the prefix inside a larger model.
    pub(super) in_encoder: bool,
}

impl Names {
    pub(crate) const WORDS: &str = "embeddings.word_embeddings";
    pub(crate) const POSITIONS: &str = "embeddings.position_embeddings";
    pub(crate) const TOKEN_TYPES: &str = "embeddings.token_type_embeddings";
    pub(crate) const EMBEDDING_NORM: &str = "embeddings.LayerNorm";
    pub(crate) const RELATIVE_POSITIONS: &str = "encoder.relative_attention_bias";

    pub(crate) const fn of(family: Family) -> Self {
        Self { family }
    }

    /// The prefix that the encoder's tensors have inside a larger model.
    pub(super) const fn prefix(self) -> &'static str {
        match self.family {
            Family::Bert => "bert.",
            Family::Roberta => "roberta.",
            Family::DistilBert => "distilbert.",
            Family::MpNet => "mpnet.",
        }
    }

    /// What comes before the name of every part of a layer.
    pub(crate) fn layer(self, layer: usize) -> String {
        let stack = if self.family == Family::DistilBert { "transformer" } else { "encoder" };
        format!("{stack}.layer.{layer}.")
    }

    pub(crate) fn part(self, layer: usize, part: Part) -> String {
        let [bert, distilbert, mpnet] = match part {
            Part::Query => ["attention.self.query", "attention.q_lin", "attention.attn.q"],
            Part::Key => ["attention.self.key", "attention.k_lin", "attention.attn.k"],
            Part::Value => ["attention.self.value", "attention.v_lin", "attention.attn.v"],
            Part::AttentionOutput => ["attention.output.dense", "attention.out_lin", "attention.attn.o"],
            Part::AttentionNorm => ["attention.output.LayerNorm", "sa_layer_norm", "attention.LayerNorm"],
            Part::Intermediate => ["intermediate.dense", "ffn.lin1", "intermediate.dense"],
            Part::Output => ["output.dense", "ffn.lin2", "output.dense"],
            Part::OutputNorm => ["output.LayerNorm", "output_layer_norm", "output.LayerNorm"],
        };
        let name = match self.family {
            Family::Bert | Family::Roberta => bert,
            Family::DistilBert => distilbert,
            Family::MpNet => mpnet,
        };
        format!("{}{name}", self.layer(layer))
    }

    /// The first linear map of the classifier.
    pub(crate) const fn classifier_hidden(self) -> &'static str {
        match self.family {
            Family::Bert => "pooler.dense",
            Family::DistilBert => "pre_classifier",
            Family::Roberta | Family::MpNet => "classifier.dense",
        }
    }

    /// The second linear map of the classifier.
    pub(crate) const fn classifier(self) -> &'static str {
        match self.family {
            Family::Bert | Family::DistilBert => "classifier",
            Family::Roberta | Family::MpNet => "classifier.out_proj",
        }
    }

    /// Every tensor of a model, in the order of the forward pass.
    pub(super) fn tensors(self, config: &Config, task: Task) -> Vec<Spec> {
        let (hidden, wide) = (config.hidden, config.intermediate);
        let mut specs = Vec::new();
        let mut table = |name: &str, rows, columns| {
            specs.push(Spec { name: format!("{name}.weight"), shape: vec![rows, columns], in_encoder: true });
        };
        table(Self::WORDS, config.vocab, hidden);
        table(Self::POSITIONS, config.max_positions, hidden);
        if config.token_types > 0 {
            table(Self::TOKEN_TYPES, config.token_types, hidden);
        }
        if self.family == Family::MpNet {
            table(Self::RELATIVE_POSITIONS, RELATIVE_BUCKETS, config.n_heads);
        }
        let mut with_bias = |name: &str, weight: Vec<usize>, in_encoder| {
            let bias = Spec { name: format!("{name}.bias"), shape: vec![weight[0]], in_encoder };
            specs.extend([Spec { name: format!("{name}.weight"), shape: weight, in_encoder }, bias]);
        };
        with_bias(Self::EMBEDDING_NORM, vec![hidden], true);
        for layer in 0..config.n_layers {
            for (part, shape) in [
                (Part::Query, vec![hidden, hidden]),
                (Part::Key, vec![hidden, hidden]),
                (Part::Value, vec![hidden, hidden]),
                (Part::AttentionOutput, vec![hidden, hidden]),
                (Part::AttentionNorm, vec![hidden]),
                (Part::Intermediate, vec![wide, hidden]),
                (Part::Output, vec![hidden, wide]),
                (Part::OutputNorm, vec![hidden]),
            ] {
                with_bias(&self.part(layer, part), shape, true);
            }
        }
        if let Task::Classify { classes } = task {
            // The pooler belongs to BERT's encoder; the other families' classifiers lie outside it.
            with_bias(self.classifier_hidden(), vec![hidden, hidden], self.family == Family::Bert);
            with_bias(self.classifier(), vec![classes, hidden], false);
        }
        specs
    }
}

/// Rows of MPNet's table of relative positions: fixed in the published model, whatever a configuration says.
pub(crate) const RELATIVE_BUCKETS: usize = 32;
