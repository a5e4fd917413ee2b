//! What an answer is worth.

use hydra_eval::{Answer, AnswerSpace, Better, Metric, macro_f1, mae, rmse, rouge_l, rouge_n};
use hydra_train::Marking;

use super::ExperimentTask;
use crate::experiment::Asked;
use crate::experiment::ask::Answered;

impl ExperimentTask {
    /// What is a mean over queries, so that it has an interval: labels by the official and the lenient reading side by side.
    pub(in crate::experiment) fn metrics(&self) -> [Metric; 2] {
        let (names, better) = match self.answers {
            AnswerSpace::Labels(_) => (["accuracy", "accuracy, lenient"], [Better::Higher; 2]),
            AnswerSpace::Rating => (["MAE", "accuracy"], [Better::Lower, Better::Higher]),
            AnswerSpace::Text => (["ROUGE-1", "ROUGE-L"], [Better::Higher; 2]),
        };
        [0, 1].map(|metric| Metric { name: names[metric].into(), better: better[metric] })
    }

    /// What counts as right when labels for heads are made.
    pub(in crate::experiment) fn marking(&self) -> Marking<'_> {
        match &self.labels {
            Some(labels) => Marking::Classes(labels),
            None => Marking::Text(&mean_rouge),
        }
    }

    /// One answer by each of the metrics.
    fn judge(&self, said: &str, gold: &str) -> [f64; 2] {
        let official = self.answers.official(said);
        match &self.answers {
            AnswerSpace::Labels(_) => {
                let right = self.answers.official(gold);
                [official, self.answers.lenient(said)].map(|answer| f64::from(answer == right))
            }
            AnswerSpace::Rating => {
                let gold = rating(gold);
                let error = (official.counted_rating(gold) - gold).abs();
                [error, f64::from(error == 0.0)]
            }
            AnswerSpace::Text => rouge(said, gold),
        }
    }

    /// For each metric and user, the value on each query.
    pub(in crate::experiment) fn values(
        &self,
        users: usize,
        asked: &[Asked<'_>],
        answers: &[String],
    ) -> Vec<Vec<Vec<f64>>> {
        let mut values = vec![vec![Vec::new(); users]; 2];
        for (asked, said) in asked.iter().zip(answers) {
            let judged = self.judge(said, asked.target.gold());
            for (metric, value) in judged.into_iter().enumerate() {
                values[metric][asked.user].push(value);
            }
        }
        values
    }

    /// Numbers about all answers together that have no place in the table: they are no means over queries, or of answers
    /// that were read leniently.
    pub(in crate::experiment) fn further(&self, asked: &[Asked<'_>], answers: &[String]) -> Vec<(&'static str, f64)> {
        if asked.is_empty() {
            return Vec::new();
        }
        let golds = || asked.iter().map(|asked| asked.target.gold());
        let lenient = || answers.iter().map(|said| self.answers.lenient(said));
        let official = || answers.iter().map(|said| self.answers.official(said));
        match &self.answers {
            AnswerSpace::Labels(_) => {
                let labels = self.answers.labels();
                let golds: Vec<&str> = golds().map(|gold| label(&self.answers.official(gold))).collect();
                let f1 = |answers: Vec<&str>| macro_f1(&labels, &golds, &answers).expect("one answer for each query");
                vec![
                    ("macro-F1", f1(official().map(|answer| label(&answer)).collect())),
                    ("macro-F1, lenient", f1(lenient().map(|answer| label(&answer)).collect())),
                ]
            }
            AnswerSpace::Rating => {
                let golds: Vec<f64> = golds().map(rating).collect();
                let counted = |answers: Vec<Answer<'_>>| -> Vec<f64> {
                    answers.iter().zip(&golds).map(|(answer, gold)| answer.counted_rating(*gold)).collect()
                };
                let (official, lenient) = (counted(official().collect()), counted(lenient().collect()));
                let finite = "ratings are finite, and there is one for each query";
                vec![
                    ("RMSE", rmse(&golds, &official).expect(finite)),
                    ("MAE, lenient", mae(&golds, &lenient).expect(finite)),
                    ("RMSE, lenient", rmse(&golds, &lenient).expect(finite)),
                ]
            }
            AnswerSpace::Text => {
                let text = |answer: &Answer<'_>| match answer {
                    Answer::Text(text) => text.clone(),
                    _ => String::new(),
                };
                let judged: Vec<[f64; 2]> =
                    lenient().zip(golds()).map(|(answer, gold)| rouge(&text(&answer), gold)).collect();
                let mean = |metric: usize| judged.iter().map(|of| of[metric]).sum::<f64>() / judged.len() as f64;
                vec![("ROUGE-1, lenient", mean(0)), ("ROUGE-L, lenient", mean(1))]
            }
        }
    }

    /// The best of each query's candidates, which only who knows the answer can pick.
    pub(in crate::experiment) fn oracle(&self, asked: &[Asked<'_>], answered: &Answered) -> Vec<String> {
        let best = |(asked, said): (&Asked<'_>, &Vec<String>)| {
            let loss = |one: &&String| {
                let [first, second] = self.judge(one, asked.target.gold());
                if self.answers == AnswerSpace::Rating { first } else { -(first + second) }
            };
            said.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).cloned().unwrap_or_default()
        };
        asked.iter().zip(&answered.candidates).map(best).collect()
    }
}

/// The label; none of them for anything else, since no label is blank.
fn label<'l>(answer: &Answer<'l>) -> &'l str {
    match answer {
        Answer::Label(label) => label,
        _ => "",
    }
}

fn rating(gold: &str) -> f64 {
    gold.trim().parse().expect("ratings are numbers")
}

fn rouge(said: &str, gold: &str) -> [f64; 2] {
    [rouge_n(gold, said, 1).f1(), rouge_l(gold, said).f1()]
}

/// What heads learn from where answers are texts.
///
/// # Source
/// Zhuang et al. 2024, arXiv:2406.02888: the mean of ROUGE-1 and ROUGE-L.
fn mean_rouge(said: &str, gold: &str) -> f64 {
    rouge(said, gold).iter().sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use hydra_eval::LampTask;

    use super::*;

    #[test]
    fn every_kind_of_answer_is_judged_by_its_own_metrics() {
        let judge = |task, said, gold| ExperimentTask::lamp(task).unwrap().judge(said, gold);
        assert_eq!(judge(LampTask::MovieTag, "comedy", "comedy"), [1.0, 1.0]);
        assert_eq!(judge(LampTask::MovieTag, "It is a comedy.", "comedy"), [0.0, 1.0]);
        assert_eq!(judge(LampTask::MovieTag, "what?", "comedy"), [0.0, 0.0]);
        assert_eq!(judge(LampTask::ProductRating, "4", "5"), [1.0, 0.0]);
        assert_eq!(judge(LampTask::ProductRating, "no idea", "2"), [3.0, 0.0]);
        assert_eq!(judge(LampTask::Headline, "a b", "b a"), [1.0, 0.5]);
        assert_eq!(mean_rouge("a b", "b a"), 0.75);
    }
}
