//! LaMP, the benchmark for language-model personalization: its tasks, files and answers.
//!
//! The benchmark's own files cannot be redistributed; [`load`] reads them where a user has them.
//!
//! # Source
//! Salemi et al. 2024, arXiv:2304.11406, and the code and files that come with it.

mod prompt;
mod read;

use hydra_types::Record;

use crate::answer::{AnswerSpace, RATINGS};

pub use read::{LampError, load};

/// One of the eight tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LampTask {
    /// LaMP-1: which of two papers would this author cite?
    Citation,
    /// LaMP-2N: the category that this journalist would give an article.
    NewsCategory,
    /// LaMP-2M: the tag that this user would give a film.
    MovieTag,
    /// LaMP-3: the rating that this user would give with a review.
    ProductRating,
    /// LaMP-4: the headline that this journalist would write.
    Headline,
    /// LaMP-5: the title that this author would give a paper.
    PaperTitle,
    /// LaMP-6: the subject that this user would give a mail. Its files are licensed separately.
    MailSubject,
    /// LaMP-7: how this user would put a tweet.
    Tweet,
}

impl LampTask {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Citation,
        Self::NewsCategory,
        Self::MovieTag,
        Self::ProductRating,
        Self::Headline,
        Self::PaperTitle,
        Self::MailSubject,
        Self::Tweet,
    ];

    /// The name of the task in the literature.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Citation => "LaMP-1",
            Self::NewsCategory => "LaMP-2N",
            Self::MovieTag => "LaMP-2M",
            Self::ProductRating => "LaMP-3",
            Self::Headline => "LaMP-4",
            Self::PaperTitle => "LaMP-5",
            Self::MailSubject => "LaMP-6",
            Self::Tweet => "LaMP-7",
        }
    }

    /// Which answers it has, and so how they are judged.
    #[must_use]
    pub fn answers(self) -> AnswerSpace {
        match self {
            Self::Citation | Self::NewsCategory | Self::MovieTag => {
                AnswerSpace::Labels(self.labels().iter().map(|&label| label.to_owned()).collect())
            }
            Self::ProductRating => AnswerSpace::Rating,
            Self::Headline | Self::PaperTitle | Self::MailSubject | Self::Tweet => AnswerSpace::Text,
        }
    }

    /// Whether the records of a history are earlier answers to the same question, so that each can be asked again.
    ///
    /// An author's papers are no citations, and a user's tweets are no paraphrases: of these nothing can be learned but what
    /// stands in a prompt.
    #[must_use]
    pub const fn records_are_answers(self) -> bool {
        !matches!(self, Self::Citation | Self::Tweet)
    }

    /// Every answer that counts, for tasks with labels or ratings; empty for texts.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Citation => &["[1]", "[2]"],
            Self::NewsCategory => &NEWS_CATEGORIES,
            Self::MovieTag => &MOVIE_TAGS,
            Self::ProductRating => &RATINGS,
            Self::Headline | Self::PaperTitle | Self::MailSubject | Self::Tweet => &[],
        }
    }
}

/// One question with the history of the user who is meant. Question ids are not user ids: one person may ask several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LampQuestion {
    /// The question's id.
    pub id: String,
    /// The question as the benchmark puts it, instruction included.
    pub input: String,
    /// The part of it that is about something, without the instruction: what retrieval looks for.
    pub query: String,
    /// The user's records in time order.
    pub history: Vec<Record>,
    /// The right answer, where the file with the outputs was given.
    pub gold: Option<String>,
}

const NEWS_CATEGORIES: [&str; 15] = [
    "food & drink",
    "sports",
    "education",
    "parents",
    "religion",
    "travel",
    "business",
    "crime",
    "science & technology",
    "culture & arts",
    "entertainment",
    "politics",
    "women",
    "style & beauty",
    "healthy living",
];

const MOVIE_TAGS: [&str; 15] = [
    "sci-fi",
    "based on a book",
    "comedy",
    "action",
    "twist ending",
    "dystopia",
    "dark comedy",
    "classic",
    "psychology",
    "fantasy",
    "romance",
    "thought-provoking",
    "social commentary",
    "violence",
    "true story",
];
