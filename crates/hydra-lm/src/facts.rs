//! What a language model says about itself, in the metadata of its graph.

use serde::Deserialize;

use crate::LmError;

/// What the graph does not say and a conversation needs.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Facts {
    /// The model's name.
    pub(crate) name: String,
    /// The most tokens that it reads.
    pub(crate) context: usize,
    /// The token that every text begins with, where the model was trained so.
    pub(crate) begin: Option<u32>,
    /// The text of that token, for templates.
    pub(crate) begin_text: Option<String>,
    /// The text of the token that ends a text, for templates.
    pub(crate) end_text: Option<String>,
    /// The tokens that end an answer.
    pub(crate) stops: Vec<u32>,
    /// How a conversation becomes a prompt.
    pub(crate) chat_template: Option<String>,
}

impl Facts {
    pub(crate) fn parse(json: &str) -> Result<Self, LmError> {
        let unfit = |what| LmError::Unfit { what };
        let facts: Self = serde_json::from_str(json).map_err(|_| unfit("its description cannot be read"))?;
        if facts.context < 2 {
            return Err(unfit("its description names no context"));
        }
        Ok(facts)
    }
}

/// Where the facts stand in the metadata.
pub(crate) const KEY: &str = "hydra.language_model";
