//! The file that describes a task.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use hydra_llm::{Template, TemplateParts};
use serde::Deserialize;

use super::{JsonLinesError, JsonLinesTask};
use crate::answer::AnswerSpace;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    answers: AnswerSpace,
    prompt: TemplateParts,
    #[serde(default)]
    max_tokens: Option<NonZeroU32>,
    histories: PathBuf,
}

/// The task. Its records are beside the description, unless it says otherwise.
pub(super) fn read(path: &Path) -> Result<JsonLinesTask, JsonLinesError> {
    let own = || path.to_owned();
    let file = File::open(path).map_err(|source| JsonLinesError::Read { path: own(), source })?;
    let mut text = Vec::new();
    let read = file.take(MOST_DESCRIPTION_BYTES + 1).read_to_end(&mut text);
    read.map_err(|source| JsonLinesError::Read { path: own(), source })?;
    if text.len() as u64 > MOST_DESCRIPTION_BYTES {
        return Err(JsonLinesError::LongDescription { path: own() });
    }
    let Description { name, answers, prompt, max_tokens, histories } = serde_json::from_slice(&text)
        .map_err(|at| JsonLinesError::Description { line: at.line(), column: at.column(), path: own() })?;
    if name.trim().is_empty() || name.len() > MOST_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(JsonLinesError::Name { path: own() });
    }
    let answers = match answers {
        AnswerSpace::Labels(labels) if !can_be_told_apart(&labels) => {
            return Err(JsonLinesError::Labels { path: own() });
        }
        AnswerSpace::Labels(labels) => {
            AnswerSpace::Labels(labels.iter().map(|label| label.trim().to_owned()).collect())
        }
        other => other,
    };
    let prompt = Template::new(prompt).map_err(|source| JsonLinesError::Prompt { path: own(), source })?;
    if !prompt.quotes_history() {
        return Err(JsonLinesError::NoHistory { path: own() });
    }
    let histories = path.parent().unwrap_or(Path::new("")).join(histories);
    Ok(JsonLinesTask { name, answers, prompt, max_tokens, histories })
}

fn can_be_told_apart(labels: &[String]) -> bool {
    let different: BTreeSet<String> = labels.iter().map(|label| label.trim().to_lowercase()).collect();
    (2..=MOST_LABELS).contains(&labels.len())
        && different.len() == labels.len()
        && labels.iter().all(|label| !label.trim().is_empty() && label.len() <= MOST_LABEL_BYTES)
}

pub(super) const MOST_DESCRIPTION_BYTES: u64 = 1 << 20;
pub(super) const MOST_LABELS: usize = 1000;
pub(super) const MOST_LABEL_BYTES: usize = 256;
const MOST_NAME_BYTES: usize = 100;
