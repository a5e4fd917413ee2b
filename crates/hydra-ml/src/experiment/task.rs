//! What is asked, and what counts as right.

mod judge;
mod movielens;

use std::num::NonZeroUsize;

use hydra_eval::{AnswerSpace, JsonLinesTask, LampTask};
use hydra_llm::{FenceKey, LengthLimits, ResponseFormat, Template, TemplateError, TemplateParts};
use hydra_train::{LabelPlan, LabelSet, LabelSetError};
use serde_json::Value;

use super::Labelling;

/// A task: its prompts, its answers and how they are judged.
#[derive(Clone)]
pub struct ExperimentTask {
    template: Template,
    summary: Summary,
    answers: AnswerSpace,
    /// The answers as labels, unless they are texts.
    labels: Option<LabelSet>,
    /// What an answer is called.
    answer_name: String,
    max_tokens: u32,
    records_are_answers: bool,
}

/// How a profile of a user is asked for, and made one that stands in a prompt.
#[derive(Clone)]
struct Summary {
    template: Template,
    format: ResponseFormat,
    read: fn(&str) -> String,
}

/// Why there is no such task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// A prompt cannot be made.
    #[error("a prompt of the task is not usable")]
    Prompt(#[from] TemplateError),
    /// Its labels cannot be told apart.
    #[error("the labels of the task are not usable")]
    Labels(#[from] LabelSetError),
}

impl ExperimentTask {
    /// A task of the LaMP benchmark, in its own words.
    ///
    /// Where records are no answers to the question (LaMP-1, LaMP-7), labels come from the questions of training users alone,
    /// every test user has the prior heads, and there is no majority answer.
    ///
    /// # Errors
    /// Never, unless the task's prompt is changed.
    pub fn lamp(task: LampTask) -> Result<Self, TaskError> {
        let template = Template::new(task.prompt())?;
        let mut made = Self::new(template, task.answers(), task.answer_name())?;
        made.records_are_answers = task.records_are_answers();
        Ok(made)
    }

    /// A task of one's own, as a file describes it.
    ///
    /// # Errors
    /// [`TaskError`] if its labels are no set.
    pub fn json_lines(task: &JsonLinesTask) -> Result<Self, TaskError> {
        let answer_name = task.prompt.parts().output_name.clone();
        let mut made = Self::new(task.prompt.clone(), task.answers.clone(), answer_name)?;
        made.max_tokens = task.max_tokens.map_or(made.max_tokens, std::num::NonZeroU32::get);
        Ok(made)
    }

    fn new(template: Template, answers: AnswerSpace, answer_name: String) -> Result<Self, TaskError> {
        let summary = Template::new(TemplateParts {
            system: "You describe how a person answers.".to_owned(),
            user: "{{history}}\nWhat do this person's answers have in common? Answer in one sentence.{{query}}"
                .to_owned(),
            ..template.parts().clone()
        })?;
        let summary = Summary { template: summary, format: ResponseFormat::Text, read: |said| said.trim().to_owned() };
        let labels = match &answers {
            AnswerSpace::Text => None,
            _ => Some(LabelSet::new(answers.labels())?),
        };
        let max_tokens = if labels.is_some() { LABEL_TOKENS } else { TEXT_TOKENS };
        Ok(Self { template, summary, answers, labels, answer_name, max_tokens, records_are_answers: true })
    }

    /// The prompt's numbers, with everything that an experiment does not set itself.
    pub(super) fn label_plan(&self) -> LabelPlan {
        LabelPlan {
            limits: LengthLimits::default(),
            max_tokens: Some(self.max_tokens),
            response_format: self.response_format(),
            at_once: NonZeroUsize::new(4).expect("not zero"),
            // What is quoted is nobody's secret here, and a recorded answer must be found again.
            ..LabelPlan::paper(self.template.clone(), FenceKey::new([0; 32]))
        }
    }

    /// Every answer as it stands behind a record of the prompt: a small model that has to begin with a bare number begins a
    /// list, and says 1.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn response_format(&self) -> ResponseFormat {
        let value = |label: &str| match self.answers {
            AnswerSpace::Rating => serde_json::from_str(label).expect("a rating is a number"),
            _ => Value::from(label),
        };
        let answer = |label| Value::Object([(self.answer_name.clone(), value(label))].into_iter().collect());
        match &self.answers {
            AnswerSpace::Text => ResponseFormat::Text,
            answers => {
                let all: Vec<Value> = answers.labels().into_iter().map(answer).collect();
                ResponseFormat::JsonSchema {
                    name: self.answer_name.clone(),
                    schema: serde_json::json!({ "enum": all }),
                }
            }
        }
    }

    /// The task's prompt.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Most tokens of an answer.
    #[must_use]
    pub fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    /// The answer in an object of the form in which records stand in the prompt; any other text is left as it is.
    #[must_use]
    pub fn read(&self, said: &str) -> String {
        let value = serde_json::from_str::<Value>(said).ok();
        match value.as_ref().and_then(|value| value.get(&self.answer_name)) {
            Some(Value::String(answer)) => answer.trim().to_owned(),
            Some(answer) => answer.to_string(),
            None => said.trim().to_owned(),
        }
    }

    /// What a profile is asked for with.
    pub(super) fn summary(&self) -> &Template {
        &self.summary.template
    }

    /// What shape a profile has.
    pub(super) fn summary_format(&self) -> ResponseFormat {
        self.summary.format.clone()
    }

    /// A profile as it stands in a prompt.
    pub(super) fn profile(&self, said: &str) -> String {
        (self.summary.read)(said)
    }

    /// Whether what a user answered most often answers the question.
    pub(super) fn records_are_answers(&self) -> bool {
        self.records_are_answers
    }

    /// What a training user is asked for labels: where records are no answers, the question alone, which is the newest.
    pub(super) fn of_train(&self, wanted: Labelling) -> Labelling {
        self.at_most(wanted, 1)
    }

    /// The same for a test user, whose question is not among them.
    pub(super) fn of_test(&self, wanted: Labelling) -> Labelling {
        self.at_most(wanted, 0)
    }

    fn at_most(&self, wanted: Labelling, questions: usize) -> Labelling {
        if self.records_are_answers {
            return wanted;
        }
        let Labelling { rerank_queries, adapt_queries, .. } = wanted;
        Labelling {
            rerank_queries: rerank_queries.min(questions),
            adapt_queries: adapt_queries.min(questions),
            ..wanted
        }
    }
}

/// Enough for a label in an object, or in a short sentence where a server keeps to no schema.
const LABEL_TOKENS: u32 = 32;
/// Enough for a title or a tweet.
const TEXT_TOKENS: u32 = 96;
