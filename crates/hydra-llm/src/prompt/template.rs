//! Task templates as data.

use serde::{Deserialize, Serialize};

/// A template as it stands in a file: three texts and two words.
///
/// In `user`, `{{history}}` is where the records come, between marks; `{{query}}` is what the person asks, as it is;
/// `{{query_data}}` is the same between marks, for a query that somebody else wrote (an article to be titled).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateParts {
    /// What the application says. No placeholders; empty for no system message.
    #[serde(default)]
    pub system: String,
    /// What stands in the user's message.
    pub user: String,
    /// What the input of a record is called: `article`, `description`.
    #[serde(default = "input")]
    pub input_name: String,
    /// What the output of a record is called: `headline`, `tag`.
    #[serde(default = "output")]
    pub output_name: String,
}

fn input() -> String {
    "input".to_owned()
}

fn output() -> String {
    "output".to_owned()
}

/// A template that was checked.
///
/// ```
/// let template: hydra_llm::Template = serde_json::from_str(r#"{
///     "system": "You tag films. Answer with one tag.",
///     "user": "Films that I tagged:\n{{history}}\nTag this one:\n{{query_data}}",
///     "input_name": "description",
///     "output_name": "tag"
/// }"#)?;
/// assert!(template.quotes_history());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "TemplateParts", into = "TemplateParts")]
pub struct Template {
    parts: TemplateParts,
    pieces: Vec<Piece>,
}

/// A stretch of the user's message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Text(String),
    History,
    Query,
    QueryData,
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    /// [`TemplateError`] if a placeholder is unknown, unfinished, missing, doubled or in the system text, or if a name
    /// is no short word of ASCII letters, digits and `_`, or both names are the same.
    pub fn new(parts: TemplateParts) -> Result<Self, TemplateError> {
        if parts.system.contains(OPEN) {
            return Err(TemplateError::PlaceholderInSystem);
        }
        for name in [&parts.input_name, &parts.output_name] {
            let word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !word || name.is_empty() || name.len() > 32 || name == CUT {
                return Err(TemplateError::Name);
            }
        }
        if parts.input_name == parts.output_name {
            return Err(TemplateError::Name);
        }
        let pieces = split(&parts.user)?;
        let count = |wanted: &[Piece]| pieces.iter().filter(|piece| wanted.contains(piece)).count();
        if count(&[Piece::History]) > 1 || count(&[Piece::Query, Piece::QueryData]) > 1 {
            return Err(TemplateError::Doubled);
        }
        if count(&[Piece::Query, Piece::QueryData]) == 0 {
            return Err(TemplateError::NoQuery);
        }
        Ok(Self { parts, pieces })
    }

    /// Whether it has a place for records; without, it is the zero-shot template of its task.
    #[must_use]
    pub fn quotes_history(&self) -> bool {
        self.pieces.contains(&Piece::History)
    }

    /// The texts that it was made from.
    #[must_use]
    pub fn parts(&self) -> &TemplateParts {
        &self.parts
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl TryFrom<TemplateParts> for Template {
    type Error = TemplateError;

    fn try_from(parts: TemplateParts) -> Result<Self, TemplateError> {
        Self::new(parts)
    }
}

impl From<Template> for TemplateParts {
    fn from(template: Template) -> Self {
        template.parts
    }
}

/// What is wrong with a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Records and queries do not belong into the system role.
    #[error("the system text holds `{{{{`: placeholders stand in the user text only")]
    PlaceholderInSystem,
    /// Something else stands between the braces, or they are not closed.
    #[error(
        "byte {at} of the user text begins no placeholder: write {{{{history}}}}, {{{{query}}}} or {{{{query_data}}}}"
    )]
    Unknown {
        /// Where the braces open.
        at: usize,
    },
    /// A placeholder comes twice.
    #[error("a placeholder comes twice in the user text: keep one for the history and one for the query")]
    Doubled,
    /// The query has no place.
    #[error("the user text has no place for the query: write {{{{query}}}} or {{{{query_data}}}}")]
    NoQuery,
    /// A name of a field cannot be used.
    #[error("a field name is not usable: two different words of up to 32 ascii letters, digits and `_`, not `cut`")]
    Name,
}

fn split(user: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = user;
    while let Some(open) = rest.find(OPEN) {
        let at = user.len() - rest.len() + open;
        let inside = &rest[open + OPEN.len()..];
        let close = inside.find(CLOSE).ok_or(TemplateError::Unknown { at })?;
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        pieces.push(match &inside[..close] {
            "history" => Piece::History,
            "query" => Piece::Query,
            "query_data" => Piece::QueryData,
            _ => return Err(TemplateError::Unknown { at }),
        });
        rest = &inside[close + CLOSE.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// The field of a record that says that something was cut off.
pub(super) const CUT: &str = "cut";

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(system: &str, user: &str) -> TemplateParts {
        TemplateParts { system: system.to_owned(), user: user.to_owned(), input_name: input(), output_name: output() }
    }

    #[test]
    fn bad_templates_are_refused_with_the_reason() {
        for (system, user, expected) in [
            ("{{history}}", "{{query}}", TemplateError::PlaceholderInSystem),
            ("", "{{qeury}}", TemplateError::Unknown { at: 0 }),
            ("", "é {{query}} {{", TemplateError::Unknown { at: 13 }),
            ("", "{{ query }}", TemplateError::Unknown { at: 0 }),
            ("", "{{query}}{{query_data}}", TemplateError::Doubled),
            ("", "{{history}}{{history}}{{query}}", TemplateError::Doubled),
            ("", "{{history}}", TemplateError::NoQuery),
        ] {
            assert_eq!(Template::new(parts(system, user)), Err(expected), "{user}");
        }
        for name in ["", "a b", "a\"", "cut", "output", "ü"] {
            let mut bad = parts("", "{{query}}");
            bad.input_name = name.to_owned();
            assert_eq!(Template::new(bad), Err(TemplateError::Name), "{name}");
        }
    }

    #[test]
    fn a_template_is_split_at_its_placeholders() {
        let template = Template::new(parts("s", "a {{history}}{{query}} b {c}")).unwrap();
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(template.pieces, [text("a "), Piece::History, Piece::Query, text(" b {c}")]);
    }
}
