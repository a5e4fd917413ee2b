//! One word a thing, everywhere: `ARCHITECTURE.md` lists the words.

use super::{Complaint, Source};

/// `(word that is not ours, the one to write)`. Only words that cannot mean anything else here.
const WORDS: &[(&str, &str)] = &[
    ("re-ranker", "reranker"),
    ("re-rank", "rerank"),
    ("reranking model", "reranker"),
    ("tokeniser", "tokenizer"),
    ("tokenise", "tokenize"),
    ("hyper-parameter", "hyperparameter"),
    ("user head", "head of a user"),
    ("base model", "body"),
    ("backbone", "body"),
    ("model bundle", "bundle"),
    ("model card", "manifest"),
    ("feature vector", "features"),
    ("datapoint", "record"),
];

/// Where the words are explained, or belong to somebody else.
const EXEMPT: &[&str] = &["ARCHITECTURE.md", "xtask/src/tidy/words.rs", "crates/hydra-graph/src/proto/onnx.rs"];

/// Complaints about one file. Texts in quotation marks are data and are left alone.
pub(super) fn check(source: &Source) -> Vec<Complaint> {
    if !(source.is_rust() || source.is_markdown()) || EXEMPT.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let line = without_quotations(line).to_lowercase();
        for (word, ours) in WORDS {
            if line.match_indices(word).any(|(at, _)| starts_a_word(&line, at)) {
                complaints.push(source.complaint(index, format!("`{word}` is called `{ours}` here")));
            }
        }
    }
    complaints
}

fn starts_a_word(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|c: char| c.is_alphanumeric())
}

fn without_quotations(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        check(&Source { path: "docs/x.md".into(), text: text.into() }).len()
    }

    #[test]
    fn a_word_that_is_not_ours_is_found_and_a_quoted_one_is_left_alone() {
        assert_eq!(complaints("The Re-Ranker of a user."), 2);
        assert_eq!(complaints("The paper says \"base model\"."), 0);
        assert_eq!(complaints("a database model is none of them"), 0);
    }
}
