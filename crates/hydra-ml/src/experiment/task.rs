//! What is asked, and what counts as right.

use std::num::NonZeroUsize;

use hydra_eval::{Answer, Better, LampTask, Metric};
use hydra_llm::{FenceKey, LengthLimits, ResponseFormat, Template, TemplateError, TemplateParts};
use hydra_train::{LabelPlan, LabelSet};
use serde_json::Value;

use super::Asked;
use super::ask::Answered;

/// A task with a fixed set of answers.
#[derive(Clone)]
pub struct ExperimentTask {
    template: Template,
    summary: Template,
    labels: LabelSet,
    judged_as: LampTask,
}

impl ExperimentTask {
    /// MovieLens 100K as a rating task: a film's title and genres in, 1 to 5 out. Judged as LaMP-3 is: by absolute error,
    /// where an answer that is no number counts as the farther of 1 and 5; and by how often it is right.
    ///
    /// # Errors
    /// Never, unless a placeholder of the templates is changed.
    ///
    /// # Panics
    /// Never.
    pub fn movielens() -> Result<Self, TemplateError> {
        let names = ("film".to_owned(), "rating".to_owned());
        let template = |system: &str, user: &str| {
            let (input_name, output_name) = names.clone();
            Template::new(TemplateParts { system: system.into(), user: user.into(), input_name, output_name })
        };
        Ok(Self {
            template: template(
                "You rate films from 1 to 5.",
                "{{history}}\nRate this film for the same person, as JSON: {{query}}",
            )?,
            summary: template(
                "You describe a person's taste in films.",
                "{{history}}\nWhich films does this person like, and how high are their ratings? Answer in one sentence.{{query}}",
            )?,
            labels: LabelSet::new(["1", "2", "3", "4", "5"]).expect("five different labels"),
            judged_as: LampTask::ProductRating,
        })
    }

    /// The prompt's numbers, with everything that an experiment does not set itself.
    pub(super) fn label_plan(&self) -> LabelPlan {
        LabelPlan {
            limits: LengthLimits::default(),
            max_tokens: Some(16),
            response_format: ResponseFormat::JsonSchema { name: "rating".into(), schema: self.schema() },
            at_once: NonZeroUsize::new(4).expect("not zero"),
            // What is quoted is nobody's secret here, and a recorded answer must be found again.
            ..LabelPlan::paper(self.template.clone(), FenceKey::new([0; 32]))
        }
    }

    /// Every answer as it stands behind a record of the prompt: a small model that has to begin with a bare number begins a
    /// list, and says 1.
    fn schema(&self) -> Value {
        let answers = ["1", "2", "3", "4", "5"].map(|label| format!("{{\"rating\":{label}}}"));
        let values = answers.map(|answer| serde_json::from_str::<Value>(&answer).expect("an object"));
        serde_json::json!({ "enum": values })
    }

    /// The label in an answer of the schema's form; any other answer is left as it is.
    pub(super) fn read(&self, said: &str) -> String {
        let value = serde_json::from_str::<Value>(said).ok();
        let rating = value.as_ref().and_then(|value| value.get("rating"));
        rating.map_or_else(|| said.trim().to_owned(), Value::to_string)
    }

    pub(super) fn summary(&self) -> &Template {
        &self.summary
    }

    pub(super) fn labels(&self) -> &LabelSet {
        &self.labels
    }

    pub(super) fn metrics(&self) -> [Metric; 2] {
        [
            Metric { name: "MAE".into(), better: Better::Lower },
            Metric { name: "accuracy".into(), better: Better::Higher },
        ]
    }

    /// Absolute error, and 1 if it is right.
    fn judge(&self, said: &str, gold: &str) -> [f64; 2] {
        let gold: f64 = gold.parse().expect("ratings are numbers");
        let answer: Answer = self.judged_as.official_answer(said);
        let error = (LampTask::counted_rating(&answer, gold) - gold).abs();
        [error, f64::from(error == 0.0)]
    }

    /// For each metric and user, the value on each query.
    pub(super) fn values(&self, users: usize, asked: &[Asked<'_>], answers: &[String]) -> Vec<Vec<Vec<f64>>> {
        let mut values = vec![vec![Vec::new(); users]; 2];
        for (asked, said) in asked.iter().zip(answers) {
            let judged = self.judge(said, asked.target.gold());
            for (metric, value) in judged.into_iter().enumerate() {
                values[metric][asked.user].push(value);
            }
        }
        values
    }

    /// The best of each query's candidates, which only who knows the answer can pick.
    pub(super) fn oracle(&self, asked: &[Asked<'_>], answered: &Answered) -> Vec<String> {
        let best = |(asked, said): (&Asked<'_>, &Vec<String>)| {
            let error = |one: &&String| self.judge(one, asked.target.gold())[0];
            said.iter().min_by(|a, b| error(a).total_cmp(&error(b))).cloned().unwrap_or_default()
        };
        asked.iter().zip(&answered.candidates).map(best).collect()
    }
}
