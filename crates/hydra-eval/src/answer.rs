//! What a language model meant, by the benchmark's rule and by a lenient one.

use serde::Deserialize;

/// Which answers a task has, and so how they are judged.
///
/// ```
/// use hydra_eval::{Answer, AnswerSpace};
///
/// let meals = AnswerSpace::Labels(vec!["lunch".into(), "late lunch".into()]);
/// assert_eq!(meals.official("The meal is \"Late lunch\"."), Answer::Unreadable);
/// assert_eq!(meals.lenient("The meal is \"Late lunch\"."), Answer::Label("late lunch"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerSpace {
    /// One of these: accuracy and macro-F1.
    Labels(Vec<String>),
    /// A number from 1 to 5: MAE and RMSE.
    Rating,
    /// A text: ROUGE-1 and ROUGE-L.
    Text,
}

/// An answer as a task counts it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<'l> {
    /// One of the task's labels.
    Label(&'l str),
    /// A rating.
    Rating(f64),
    /// A text.
    Text(String),
    /// None of the task's answers: wrong, and for a rating as far off as the official rule says.
    Unreadable,
}

impl AnswerSpace {
    /// Every answer that there can be; none for texts, of which there is no list.
    #[must_use]
    pub fn labels(&self) -> Vec<&str> {
        match self {
            Self::Labels(labels) => labels.iter().map(String::as_str).collect(),
            Self::Rating => RATINGS.to_vec(),
            Self::Text => Vec::new(),
        }
    }

    /// Whether somebody who is asked can have answered this: one of the labels but for blanks around it, or any text that
    /// is not blank.
    #[must_use]
    pub fn has(&self, answer: &str) -> bool {
        match self {
            Self::Text => !answer.trim().is_empty(),
            _ => self.labels().iter().any(|label| label.trim() == answer.trim()),
        }
    }

    /// The answer by the rule of the LaMP benchmark: blanks around it are cut off, and what is left must be a label or a
    /// number to the letter.
    ///
    /// # Source
    /// `eval/evaluation.py` of LaMP-Benchmark/LaMP at 021b860. **Differs:** a number that is not finite is unreadable,
    /// where the official code averages over it.
    #[must_use]
    pub fn official(&self, said: &str) -> Answer<'_> {
        let said = said.trim();
        match self {
            Self::Labels(labels) => {
                let label = labels.iter().find(|label| label.trim() == said);
                label.map_or(Answer::Unreadable, |label| Answer::Label(label))
            }
            Self::Rating => rating(said),
            Self::Text => Answer::Text(said.to_owned()),
        }
    }

    /// The answer that the text gives in so many words, as in `The tag is "dark comedy".`: the one label that stands in
    /// it as whole words, whatever their case. A label inside a longer one does not count ("comedy" in "dark comedy"), and
    /// a text that names two labels has not answered.
    #[must_use]
    pub fn lenient(&self, said: &str) -> Answer<'_> {
        if *self == Self::Text {
            return Answer::Text(said.trim().trim_matches(['"', '\'']).to_owned());
        }
        let mut rest = said.to_lowercase();
        let mut longest_first = self.labels();
        longest_first.sort_by_key(|label| std::cmp::Reverse(label.len()));
        longest_first.retain(|label| take_words(&mut rest, &label.trim().to_lowercase()));
        match longest_first[..] {
            [only] if *self == Self::Rating => rating(only),
            [only] => Answer::Label(only),
            _ => Answer::Unreadable,
        }
    }
}

impl Answer<'_> {
    /// What a rating counts as: an answer that is no number counts as the farther of 1 and 5, and as 5 if both are
    /// equally far.
    ///
    /// # Source
    /// `create_metric_mae_rmse` of `eval/evaluation.py` of LaMP-Benchmark/LaMP at 021b860.
    #[must_use]
    pub fn counted_rating(&self, gold: f64) -> f64 {
        match self {
            Self::Rating(rating) => *rating,
            _ if (1.0 - gold).abs() > (5.0 - gold).abs() => 1.0,
            _ => 5.0,
        }
    }
}

fn rating(said: &str) -> Answer<'static> {
    match said.parse::<f64>() {
        Ok(number) if number.is_finite() => Answer::Rating(number),
        _ => Answer::Unreadable,
    }
}

/// Blanks out every place where `label` stands as whole words; tells whether there was one.
fn take_words(text: &mut String, label: &str) -> bool {
    if label.is_empty() {
        return false;
    }
    let mut found = false;
    let mut from = 0;
    while let Some(at) = text[from..].find(label).map(|at| from + at) {
        let end = at + label.len();
        let inside_a_word =
            text[..at].ends_with(char::is_alphanumeric) || text[end..].starts_with(char::is_alphanumeric);
        if !inside_a_word {
            text.replace_range(at..end, &"\n".repeat(label.len()));
            found = true;
        }
        from = end;
    }
    found
}

/// Every rating that somebody gives.
pub(crate) const RATINGS: [&str; 5] = ["1", "2", "3", "4", "5"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LampTask;

    #[test]
    fn the_official_rule_wants_the_label_to_the_letter() {
        let tags = LampTask::MovieTag.answers();
        assert_eq!(tags.official(" comedy\n"), Answer::Label("comedy"));
        for said in ["", "Comedy", "comedy.", "the tag is comedy", "omedy"] {
            assert_eq!(tags.official(said), Answer::Unreadable, "{said}");
        }
        assert_eq!(AnswerSpace::Rating.official("4.5 "), Answer::Rating(4.5));
        for said in ["four", "nan", "inf", ""] {
            assert_eq!(AnswerSpace::Rating.official(said), Answer::Unreadable, "{said}");
        }
    }

    #[test]
    fn the_lenient_rule_reads_what_was_said() {
        for (task, said, expected) in [
            (LampTask::MovieTag, "The tag is \"Dark Comedy\".", Answer::Label("dark comedy")),
            (LampTask::MovieTag, "comedy, definitely comedy", Answer::Label("comedy")),
            (LampTask::MovieTag, "comedy or action", Answer::Unreadable),
            (LampTask::MovieTag, "a tragicomedy", Answer::Unreadable),
            (LampTask::MovieTag, "dark comedy, or just comedy", Answer::Unreadable),
            (LampTask::MovieTag, "", Answer::Unreadable),
            (LampTask::NewsCategory, "Category: Food & Drink", Answer::Label("food & drink")),
            (LampTask::Citation, "Reference [2], I think.", Answer::Label("[2]")),
            (LampTask::ProductRating, "Score: 4", Answer::Rating(4.0)),
            (LampTask::ProductRating, "4 out of 5", Answer::Unreadable),
            (LampTask::ProductRating, "45", Answer::Unreadable),
            (LampTask::Headline, " \"A Headline\" ", Answer::Text("A Headline".into())),
        ] {
            assert_eq!(task.answers().lenient(said), expected, "{said}");
        }
    }

    #[test]
    fn labels_of_any_case_are_read_and_a_blank_one_names_nothing() {
        let labels = AnswerSpace::Labels(["Tea", " Green Tea ", ""].map(str::to_owned).to_vec());
        assert_eq!(labels.lenient("green tea!"), Answer::Label(" Green Tea "));
        assert_eq!(labels.official("Green Tea"), Answer::Label(" Green Tea "));
        assert_eq!(labels.lenient("coffee"), Answer::Unreadable);
        assert!(labels.has("Tea\n") && !labels.has("tea"));
        assert!(AnswerSpace::Text.has("anything") && !AnswerSpace::Text.has(" "));
    }

    #[test]
    fn an_unreadable_rating_counts_as_the_farther_end() {
        let counted = |gold| Answer::Unreadable.counted_rating(gold);
        assert_eq!([1.0, 2.0, 3.0, 4.0, 5.0].map(counted), [5.0, 5.0, 5.0, 1.0, 1.0]);
        assert_eq!(Answer::Rating(2.5).counted_rating(1.0), 2.5);
    }
}
