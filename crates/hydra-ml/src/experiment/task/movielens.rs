//! MovieLens 100K as a rating task.

use hydra_eval::AnswerSpace;
use hydra_llm::{ResponseFormat, Template, TemplateParts};
use serde_json::Value;

use super::{ExperimentTask, Summary, TaskError};

impl ExperimentTask {
    /// MovieLens 100K as a rating task: a film's title and genres in, 1 to 5 out. Judged as LaMP-3 is: by absolute error,
    /// where an answer that is no number counts as the farther of 1 and 5; and by how often it is right.
    ///
    /// # Errors
    /// Never, unless a placeholder of the templates is changed.
    pub fn movielens() -> Result<Self, TaskError> {
        let template = |system: &str, user: &str| {
            let (input_name, output_name) = ("film".to_owned(), "rating".to_owned());
            Template::new(TemplateParts { system: system.into(), user: user.into(), input_name, output_name })
        };
        let prompt = template(
            "You rate films from 1 to 5: 1 is very bad, 2 is bad, 3 is fair, 4 is good, 5 is very good.",
            "{{history}}\nRate this film for the same person, as JSON: {{query}}",
        )?;
        let summary = template(
            "You describe a person's taste in films.",
            "{{history}}\nWhich kind of film does this person like best, and what is their usual rating? Answer as JSON.{{query}}",
        )?;
        let summary = Summary { template: summary, format: profiles(), read: profile };
        let task = Self::new(prompt, AnswerSpace::Rating, "rating".to_owned())?;
        Ok(Self { summary, max_tokens: 16, ..task })
    }
}

/// Every profile that there can be. Free text would quote the films, and what is recorded must not.
fn profiles() -> ResponseFormat {
    let profile = |likes: &str, usual: u8| serde_json::json!({ "likes": likes, "usual_rating": usual });
    let all: Vec<Value> = GENRES.iter().flat_map(|likes| (1..=5).map(move |usual| profile(likes, usual))).collect();
    ResponseFormat::JsonSchema { name: "profile".into(), schema: serde_json::json!({ "enum": all }) }
}

/// A profile as it stands in a prompt.
fn profile(said: &str) -> String {
    let profile = serde_json::from_str::<Value>(said).unwrap_or_default();
    match (profile["likes"].as_str(), profile["usual_rating"].as_u64()) {
        (Some(likes), Some(usual)) => format!("Likes {likes} best and usually gives {usual}"),
        _ => said.trim().to_owned(),
    }
}

/// Of MovieLens.
const GENRES: [&str; 18] = [
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
