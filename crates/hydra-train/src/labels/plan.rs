//! How much is asked, and what counts as right.

use std::num::NonZeroUsize;

use hydra_llm::{FenceKey, LengthLimits, ResponseFormat, Template};
use hydra_types::{RecordId, UserId};

use super::{LabelError, LabelSet};

/// How much is asked, and in which words.
#[derive(Clone)]
pub struct LabelPlan {
    /// The task's prompt, with a place for records.
    pub template: Template,
    /// What keeps records in their place; the same in every run, or no earlier answer is found again.
    pub key: FenceKey,
    /// How long quoted texts may be.
    pub limits: LengthLimits,
    /// How many of each user's newest records are asked as pseudo-queries.
    pub queries: usize,
    /// How many retrieved records each query is tried with, one at a time: for the reranker.
    pub records: usize,
    /// How many retrieved records stand in a prompt together: for the adapter.
    pub shown: usize,
    /// How many candidates are drawn for a query: for the adapter.
    pub candidates: u32,
    /// Most tokens of an answer; the server's choice if none.
    pub max_tokens: Option<u32>,
    /// What shape an answer has: a schema that names the labels keeps a model to them, where its server can.
    pub response_format: ResponseFormat,
    /// How many calls may be under way at once. Changes how long it takes, and nothing else.
    pub at_once: NonZeroUsize,
}

impl LabelPlan {
    /// The numbers of the HYDRA paper: ten pseudo-queries a user, each with its ten nearest records; four records in a
    /// prompt, eight candidates. Eight calls at once, which is ours.
    ///
    /// # Panics
    /// Never.
    ///
    /// # Source
    /// Zhuang et al. 2024, arXiv:2406.02888, sections 3.2, 3.3 and 4.1.
    #[must_use]
    pub fn paper(template: Template, key: FenceKey) -> Self {
        Self {
            template,
            key,
            limits: LengthLimits::default(),
            queries: 10,
            records: 10,
            shown: 4,
            candidates: 8,
            max_tokens: None,
            response_format: ResponseFormat::Text,
            at_once: NonZeroUsize::new(8).expect("not zero"),
        }
    }
}

/// What counts as right.
#[derive(Clone, Copy)]
pub enum Marking<'m> {
    /// The answer must name the label that the user gave: utility 1 or 0.
    Classes(&'m LabelSet),
    /// How near an answer (first) comes to what the user wrote (second), as a metric says: finite, higher is better.
    /// An answer counts as right if it is better than the mean of its group: all answers to one query of one user.
    Text(&'m (dyn Fn(&str, &str) -> f64 + Sync)),
}

impl Marking<'_> {
    /// How good an answer is.
    pub(super) fn utility(&self, user: UserId, query: RecordId, answer: &str, gold: &str) -> Result<f64, LabelError> {
        match self {
            Self::Classes(labels) => {
                let Some(right) = labels.index(gold) else {
                    return Err(LabelError::NotALabel { user, record: query });
                };
                Ok(if labels.named(answer) == Some(right) { 1.0 } else { 0.0 })
            }
            Self::Text(metric) => {
                let value = metric(answer, gold);
                if value.is_finite() { Ok(value) } else { Err(LabelError::Metric { user, query, value }) }
            }
        }
    }

    /// Which of a group's utilities are positive labels.
    pub(super) fn labels(&self, utilities: &[f64]) -> Vec<bool> {
        match self {
            Self::Classes(_) => utilities.iter().map(|&utility| utility > 0.5).collect(),
            Self::Text(_) => {
                let mean = utilities.iter().sum::<f64>() / utilities.len().max(1) as f64;
                // Equal answers may differ from their mean by its rounding.
                let slack = utilities.iter().fold(0.0, |max: f64, utility| max.max(utility.abs())) * 1e-12;
                utilities.iter().map(|&utility| utility > mean + slack).collect()
            }
        }
    }
}
