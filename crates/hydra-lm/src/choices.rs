//! Answers that must be one of a few.

use hydra_llm::ResponseFormat;
use serde_json::Value;

use crate::model::encode;
use crate::{LanguageModel, LmError};

impl LanguageModel {
    /// The tokens of each of these answers, for [`Prompt::choices`](crate::Prompt::choices): as they stand at the beginning
    /// of an answer.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if one has no tokens.
    pub fn choice_tokens<S: AsRef<str>>(&self, answers: &[S]) -> Result<Vec<Vec<u32>>, LmError> {
        let tokens = |answer: &S| {
            let tokens = encode(&self.plain, answer.as_ref())?;
            if tokens.is_empty() {
                return Err(LmError::Tokenizer { what: "a choice is empty" });
            }
            Ok(tokens)
        };
        answers.iter().map(tokens).collect()
    }
}

/// The answers that a format allows: none if any, an error value if the format is of a kind that is not served.
///
/// Of JSON schemas those are served that name every answer: `{"enum": [..]}`, also with a `type` beside it.
pub(crate) fn allowed(format: &ResponseFormat) -> Result<Option<Vec<String>>, NotServed> {
    let ResponseFormat::JsonSchema { schema, .. } = format else {
        return if *format == ResponseFormat::Text { Ok(None) } else { Err(NotServed) };
    };
    let object = schema.as_object().ok_or(NotServed)?;
    let others = object.keys().any(|key| key != "enum" && key != "type");
    let values = object.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty() && !others);
    Ok(Some(values.ok_or(NotServed)?.iter().map(Value::to_string).collect()))
}

/// A format that is not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotServed;

/// What all choices begin with, the last token of the shortest left out: it need not be drawn, and is read with the prompt.
pub(crate) fn common_beginning(choices: &[Vec<u32>]) -> &[u32] {
    let [first, others @ ..] = choices else { return &[] };
    let alike = |other: &Vec<u32>| first.iter().zip(other).take_while(|(a, b)| a == b).count();
    let most = choices.iter().map(|choice| choice.len().saturating_sub(1)).min().unwrap_or(0);
    &first[..others.iter().map(alike).min().unwrap_or(most).min(most)]
}

/// What may come next in an answer that must be one of `choices`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// Tokens that go on with one of them.
    pub(crate) tokens: Vec<u32>,
    /// Whether one of them is whole.
    pub(crate) whole: bool,
    /// What is left of the only one that is still possible.
    pub(crate) rest: Option<Vec<u32>>,
}

impl Next {
    pub(crate) fn after(choices: &[Vec<u32>], so_far: &(impl ExactSizeIterator<Item = u32> + Clone)) -> Self {
        let at = so_far.len();
        let fits = |choice: &&Vec<u32>| choice.len() >= at && so_far.clone().eq(choice[..at].iter().copied());
        let mut tokens: Vec<u32> = choices.iter().filter(fits).filter_map(|choice| choice.get(at).copied()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let whole = choices.iter().filter(fits).any(|choice| choice.len() == at);
        let mut possible = choices.iter().filter(fits);
        let rest = possible.next().filter(|_| possible.next().is_none()).map(|only| only[at..].to_vec());
        Self { tokens, whole, rest }
    }

    /// The same logits with everything else ruled out; tokens that end an answer are left where one of the choices is whole.
    pub(crate) fn mask(&self, logits: &[f32], stops: &[u32]) -> Vec<f32> {
        let mut masked = vec![f32::NEG_INFINITY; logits.len()];
        let ends = if self.whole { stops } else { &[] };
        for &id in self.tokens.iter().chain(ends) {
            if let Some(logit) = logits.get(id as usize) {
                masked[id as usize] = *logit;
            }
        }
        masked
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_come_next_is_what_goes_on_with_a_choice() {
        let choices = [vec![1, 2], vec![1, 2, 3], vec![1, 4], vec![5]];
        let after = |so_far: &[u32]| Next::after(&choices, &so_far.iter().copied());
        assert_eq!(after(&[]), Next { tokens: vec![1, 5], whole: false, rest: None });
        assert_eq!(after(&[1]), Next { tokens: vec![2, 4], whole: false, rest: None });
        assert_eq!(after(&[1, 2]), Next { tokens: vec![3], whole: true, rest: None });
        assert_eq!(after(&[1, 4]), Next { tokens: vec![], whole: true, rest: Some(vec![]) });
        assert_eq!(after(&[5]), Next { tokens: vec![], whole: true, rest: Some(vec![]) });
        assert_eq!(Next::after(&choices[2..], &[1].into_iter()).rest, Some(vec![4]));
        let logits = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let masked = after(&[1, 2]).mask(&logits, &[0]);
        let left: Vec<usize> = (0..6).filter(|&id| masked[id].is_finite()).collect();
        assert_eq!(left, [0, 3]);
    }

    #[test]
    fn what_all_choices_begin_with_leaves_something_to_draw() {
        assert_eq!(common_beginning(&[vec![1, 2, 3], vec![1, 2, 4, 5]]), [1, 2]);
        assert_eq!(common_beginning(&[vec![1, 2], vec![1, 2, 4]]), [1]);
        assert_eq!(common_beginning(&[vec![1, 2]]), [1]);
        assert_eq!(common_beginning(&[vec![1], vec![2]]), [0; 0]);
        assert_eq!(common_beginning(&[]), [0; 0]);
    }

    #[test]
    fn schemas_that_name_every_answer_are_served_and_no_others() {
        let schema = |schema| allowed(&ResponseFormat::JsonSchema { name: "x".into(), schema });
        assert_eq!(schema(json!({"enum": [1, "two"]})), Ok(Some(vec!["1".into(), "\"two\"".into()])));
        assert_eq!(schema(json!({"type": "integer", "enum": [1]})), Ok(Some(vec!["1".into()])));
        for other in [json!({"type": "string"}), json!({"enum": []}), json!({"enum": [1], "minLength": 2}), json!(true)]
        {
            assert_eq!(schema(other), Err(NotServed));
        }
        assert_eq!(allowed(&ResponseFormat::Text), Ok(None));
        assert_eq!(allowed(&ResponseFormat::JsonObject), Err(NotServed));
    }
}
