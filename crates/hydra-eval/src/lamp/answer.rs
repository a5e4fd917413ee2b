//! What a language model meant.

use super::{AnswerKind, LampTask};

/// An answer as the task counts it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One of the task's labels.
    Label(&'static str),
    /// A rating.
    Rating(f64),
    /// A text.
    Text(String),
    /// None of the task's answers: wrong, and for a rating as far off as the official rule says.
    Unreadable,
}

impl LampTask {
    /// The answer by the benchmark's own rule: blanks around it are cut off, and what is left must be a label or a number
    /// to the letter.
    ///
    /// **Differs:** a number that is not finite is unreadable, where the official code averages over it.
    #[must_use]
    pub fn official_answer(self, said: &str) -> Answer {
        let said = said.trim();
        match self.answer_kind() {
            AnswerKind::Label => label(self.labels(), |label| label == said),
            AnswerKind::Rating => match said.parse::<f64>() {
                Ok(number) if number.is_finite() => Answer::Rating(number),
                _ => Answer::Unreadable,
            },
            AnswerKind::Text => Answer::Text(said.to_owned()),
        }
    }

    /// The answer that the text gives in so many words, as in `The tag is "dark comedy".`: the one label that stands in
    /// it as whole words, whatever their case. A label inside a longer one does not count ("comedy" in "dark comedy"), and
    /// a text that names two labels has not answered.
    #[must_use]
    pub fn lenient_answer(self, said: &str) -> Answer {
        if self.answer_kind() == AnswerKind::Text {
            return Answer::Text(said.trim().trim_matches(['"', '\'']).to_owned());
        }
        let mut rest = said.to_lowercase();
        let mut longest_first = self.labels().to_vec();
        longest_first.sort_by_key(|label| std::cmp::Reverse(label.len()));
        let mut named = Vec::new();
        for label in longest_first {
            if take_words(&mut rest, label) {
                named.push(label);
            }
        }
        match named[..] {
            [only] if self.answer_kind() == AnswerKind::Rating => self.official_answer(only),
            [only] => Answer::Label(only),
            _ => Answer::Unreadable,
        }
    }

    /// What a rating counts as: an answer that is no number counts as the farther of 1 and 5, and as 5 if both are
    /// equally far.
    ///
    /// # Source
    /// `create_metric_mae_rmse` of the official evaluation.
    #[must_use]
    pub fn counted_rating(answer: &Answer, gold: f64) -> f64 {
        match answer {
            Answer::Rating(rating) => *rating,
            _ if (1.0 - gold).abs() > (5.0 - gold).abs() => 1.0,
            _ => 5.0,
        }
    }
}

fn label(labels: &[&'static str], is_it: impl Fn(&str) -> bool) -> Answer {
    labels.iter().copied().find(|label| is_it(label)).map_or(Answer::Unreadable, Answer::Label)
}

/// Blanks out every place where `label` stands as whole words; tells whether there was one.
fn take_words(text: &mut String, label: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_rule_wants_the_label_to_the_letter() {
        let official = |said| LampTask::MovieTag.official_answer(said);
        assert_eq!(official(" comedy\n"), Answer::Label("comedy"));
        for said in ["", "Comedy", "comedy.", "the tag is comedy", "omedy"] {
            assert_eq!(official(said), Answer::Unreadable, "{said}");
        }
        assert_eq!(LampTask::ProductRating.official_answer("4.5 "), Answer::Rating(4.5));
        for said in ["four", "nan", "inf", ""] {
            assert_eq!(LampTask::ProductRating.official_answer(said), Answer::Unreadable, "{said}");
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
            assert_eq!(task.lenient_answer(said), expected, "{said}");
        }
    }

    #[test]
    fn an_unreadable_rating_counts_as_the_farther_end() {
        let counted = |gold| LampTask::counted_rating(&Answer::Unreadable, gold);
        assert_eq!([1.0, 2.0, 3.0, 4.0, 5.0].map(counted), [5.0, 5.0, 5.0, 1.0, 1.0]);
        assert_eq!(LampTask::counted_rating(&Answer::Rating(2.5), 1.0), 2.5);
    }
}
