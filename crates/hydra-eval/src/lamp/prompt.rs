//! How each task is asked.

use hydra_llm::TemplateParts;

use super::LampTask;

impl LampTask {
    /// The prompt of the task: the instruction in the benchmark's own words, with records above it and the question's
    /// [`query`](super::LampQuestion::query) below it. A query that somebody else wrote, such as an article, is quoted as data.
    ///
    /// # Source
    /// Instructions: the inputs of the questions, Salemi et al. 2024, arXiv:2304.11406; "written by a person", "following the
    /// given patterns": its prompts with histories, appendix and `LaMP/prompts/prompts.py` of LaMP-Benchmark/LaMP at de78cdb.
    /// **Differs:** records are lines of JSON between marks whose names say what is what, not clauses as in `the tag for the
    /// movie: "..." is "..."`, because a record must not pass for an instruction; labels are in the order of
    /// [`labels`](Self::labels); and in LaMP-1 papers have their abstracts, where the benchmark shows titles only.
    #[must_use]
    pub fn prompt(self) -> TemplateParts {
        let list = self.labels().join(", ");
        let (system, before, instruction, names) = match self {
            Self::Citation => (
                "You know which papers an author would cite.",
                "Papers of the author:",
                "{{query}}".to_owned(),
                ("abstract", "title"),
            ),
            Self::NewsCategory => (
                "You sort articles as one journalist does.",
                "Articles and the categories that the journalist gave them:",
                format!(
                    "Which category does this article relate to among the following categories? Just answer with the category name without further explanation. categories: [{list}] article: {{{{query_data}}}}"
                ),
                ("article", "category"),
            ),
            Self::MovieTag => (
                "You tag movies as one user does.",
                "Movies and the tags that the user gave them:",
                format!(
                    "Which tag does this movie relate to among the following tags? Just answer with the tag name without further explanation. tags: [{list}] description: {{{{query_data}}}}"
                ),
                ("description", "tag"),
            ),
            Self::ProductRating => (
                "You know which score a reviewer gives.",
                "Reviews of the same person and their scores:",
                "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without further explanation. review: {{query_data}}".to_owned(),
                ("review", "score"),
            ),
            Self::Headline => (
                "You write headlines as one journalist does.",
                "Articles of the journalist and their headlines:",
                "Generate a headline for the following article: {{query_data}}".to_owned(),
                ("article", "headline"),
            ),
            Self::PaperTitle => (
                "You write titles as one author does.",
                "Abstracts of the author and their titles:",
                "Following the given patterns, generate a title for the following abstract of a paper: {{query_data}}"
                    .to_owned(),
                ("abstract", "title"),
            ),
            Self::MailSubject => (
                "You write subjects of mails as one person does.",
                "Mails of the person and their subjects:",
                "Generate a subject for the following email: {{query_data}}".to_owned(),
                ("email", "subject"),
            ),
            Self::Tweet => (
                "You write tweets as one person does.",
                "These are written by a person:",
                "Following the given patterns, paraphrase the following tweet without any explanation before or after it: {{query_data}}".to_owned(),
                ("about", "tweet"),
            ),
        };
        let (input_name, output_name) = (names.0.to_owned(), names.1.to_owned());
        let user = format!("{before}\n{{{{history}}}}\n{instruction}");
        TemplateParts { system: system.to_owned(), user, input_name, output_name }
    }

    /// What an answer is called: the name of a record's output, except where records are no answers.
    #[must_use]
    pub fn answer_name(self) -> String {
        match self {
            Self::Citation => "reference".to_owned(),
            _ => self.prompt().output_name,
        }
    }
}
