//! Which label an answer names.

/// The labels of a task, and the rule by which an answer names one of them.
///
/// ```
/// use hydra_train::LabelSet;
///
/// let tags = LabelSet::new(["comedy", "dark comedy", "drama"])?;
/// assert_eq!(tags.read(" Dark comedy. "), Some("dark comedy"));
/// assert_eq!(tags.read("The tag is \"comedy\""), Some("comedy"));
/// for said in ["", "tragicomedy", "comedy or drama", "come"] {
///     assert_eq!(tags.read(said), None);
/// }
/// # Ok::<(), hydra_train::LabelSetError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelSet {
    labels: Vec<String>,
    /// In lower case, longest first, with their places in `labels`.
    longest_first: Vec<(String, usize)>,
}

impl LabelSet {
    /// The set of these labels.
    ///
    /// # Errors
    /// [`LabelSetError`] if there are fewer than two, one is blank, or two are the same but for case and blanks around them.
    pub fn new<L: Into<String>>(labels: impl IntoIterator<Item = L>) -> Result<Self, LabelSetError> {
        let labels: Vec<String> = labels.into_iter().map(Into::into).collect();
        if labels.len() < 2 {
            return Err(LabelSetError::TooFew { labels: labels.len() });
        }
        let mut longest_first: Vec<(String, usize)> =
            labels.iter().enumerate().map(|(place, label)| (label.trim().to_lowercase(), place)).collect();
        longest_first.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        if longest_first.iter().any(|(label, _)| label.is_empty()) {
            return Err(LabelSetError::Blank);
        }
        if longest_first.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(LabelSetError::Twice);
        }
        Ok(Self { labels, longest_first })
    }

    /// The one label that stands in `answer` as whole words, whatever its case; none if there is none, or more than one. A
    /// label inside a longer one does not count: "comedy" in "dark comedy".
    #[must_use]
    pub fn read(&self, answer: &str) -> Option<&str> {
        self.named(answer).map(|place| self.labels[place].as_str())
    }

    /// The place of the label that an answer names.
    pub(super) fn named(&self, answer: &str) -> Option<usize> {
        let mut rest = answer.to_lowercase();
        let mut named = None;
        for (label, place) in &self.longest_first {
            if take_words(&mut rest, label) {
                if named.is_some() {
                    return None;
                }
                named = Some(*place);
            }
        }
        named
    }

    /// The place of a label, to the letter but for case and blanks around it.
    pub(super) fn index(&self, label: &str) -> Option<usize> {
        let label = label.trim().to_lowercase();
        self.longest_first.iter().find(|(known, _)| *known == label).map(|&(_, place)| place)
    }
}

/// Labels that are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelSetError {
    /// Nothing to choose from.
    #[error("{labels} labels leave no choice: give at least two")]
    TooFew {
        /// How many were given.
        labels: usize,
    },
    /// A label without a letter.
    #[error("a label is blank: every answer would name it")]
    Blank,
    /// The same label again.
    #[error("two labels are the same but for case and blanks: no answer could tell them apart")]
    Twice,
}

/// Blanks out every place where `label` stands as whole words; tells whether there was one.
fn take_words(text: &mut String, label: &str) -> bool {
    let mut found = false;
    let mut from = 0;
    while let Some(at) = text[from..].find(label).map(|at| from + at) {
        let end = at + label.len();
        let in_a_word = text[..at].ends_with(char::is_alphanumeric) || text[end..].starts_with(char::is_alphanumeric);
        if !in_a_word {
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
    fn what_is_no_set_is_refused() {
        let new = |labels: &[&str]| LabelSet::new(labels.iter().copied()).unwrap_err();
        assert_eq!(new(&["one"]), LabelSetError::TooFew { labels: 1 });
        assert_eq!(new(&["one", " "]), LabelSetError::Blank);
        assert_eq!(new(&["one", " One"]), LabelSetError::Twice);
    }

    #[test]
    fn numbers_and_nested_labels_are_told_apart() {
        let ratings = LabelSet::new(["1", "2", "10"]).unwrap();
        assert_eq!(ratings.read("10"), Some("10"));
        assert_eq!(ratings.read("1"), Some("1"));
        assert_eq!(ratings.read("12"), None);
        let news = LabelSet::new(["science", "science & technology"]).unwrap();
        assert_eq!(news.read("Science & Technology"), Some("science & technology"));
        assert_eq!(news.read("science"), Some("science"));
        assert_eq!(news.read("science, or rather science & technology"), None);
    }
}
