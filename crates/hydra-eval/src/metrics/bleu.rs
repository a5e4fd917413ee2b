//! BLEU.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::EvalError;

/// BLEU of a corpus, one or more references for each prediction: in `[0, 100]`, higher is better.
///
/// The signature is `nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp`: tokenization `13a`, exponential smoothing of
/// orders without a match, the brevity penalty by the closest reference.
///
/// # Errors
/// [`EvalError::Empty`] if there is no prediction or one has no reference.
///
/// # Source
/// Papineni et al. (2002), as sacreBLEU 2.6 computes `corpus_bleu` (Post 2018, arXiv:1804.08771).
pub fn corpus_bleu<'a>(cases: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Result<f64, EvalError> {
    Ok(Counts::of(cases)?.score(Orders::All))
}

/// BLEU of one text, over the orders that it is long enough for: in `[0, 100]`, higher is better.
///
/// # Errors
/// [`EvalError::Empty`] if there is no reference.
///
/// # Source
/// As [`corpus_bleu`], with `eff:yes`: `sentence_bleu` of sacreBLEU 2.6.
pub fn sentence_bleu(prediction: &str, references: &[&str]) -> Result<f64, EvalError> {
    Ok(Counts::of([(prediction, references)])?.score(Orders::Effective))
}

/// Which orders are averaged.
#[derive(Clone, Copy)]
enum Orders {
    /// All of them, also those for which the prediction is too short.
    All,
    /// Those for which it is long enough.
    Effective,
}

/// What BLEU adds up over a corpus.
#[derive(Default)]
struct Counts {
    matched: [usize; ORDERS],
    total: [usize; ORDERS],
    predicted_len: usize,
    reference_len: usize,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Result<Self, EvalError> {
        let mut counts = Self::default();
        let mut any = false;
        for (prediction, references) in cases {
            if references.is_empty() {
                return Err(EvalError::Empty);
            }
            counts.add(prediction, references);
            any = true;
        }
        if any { Ok(counts) } else { Err(EvalError::Empty) }
    }

    fn add(&mut self, prediction: &str, references: &[&str]) {
        let prediction = tokenize(prediction);
        let references: Vec<Vec<String>> = references.iter().map(|reference| tokenize(reference)).collect();
        let len = prediction.len();
        self.predicted_len += len;
        // Of two equally close lengths the shorter one counts.
        let closest = references.iter().map(Vec::len).min_by_key(|reference| (reference.abs_diff(len), *reference));
        self.reference_len += closest.expect("there is a reference");
        for order in 1..=ORDERS {
            let mut allowed: BTreeMap<&[String], usize> = BTreeMap::new();
            for reference in &references {
                for (run, count) in runs(reference, order) {
                    let most = allowed.entry(run).or_insert(0);
                    *most = count.max(*most);
                }
            }
            for (run, count) in runs(&prediction, order) {
                self.matched[order - 1] += count.min(allowed.get(run).copied().unwrap_or(0));
                self.total[order - 1] += count;
            }
        }
    }

    fn score(&self, orders: Orders) -> f64 {
        if self.matched.iter().all(|&matched| matched == 0) {
            return 0.0;
        }
        let brevity = if self.predicted_len < self.reference_len {
            (1.0 - self.reference_len as f64 / self.predicted_len as f64).exp()
        } else {
            1.0
        };
        let (mut logs, mut long_enough, mut smoothing) = (0.0, 0, 1.0);
        for (&matched, &total) in self.matched.iter().zip(&self.total).take_while(|(_, total)| **total > 0) {
            let share = if matched == 0 {
                smoothing *= 2.0;
                1.0 / (smoothing * total as f64)
            } else {
                matched as f64 / total as f64
            };
            logs += (100.0 * share).ln();
            long_enough += 1;
        }
        match orders {
            Orders::All if long_enough < ORDERS => 0.0,
            _ => brevity * (logs / f64::from(u32::try_from(long_enough).expect("at most four"))).exp(),
        }
    }
}

fn runs(words: &[String], order: usize) -> BTreeMap<&[String], usize> {
    let mut counts = BTreeMap::new();
    for run in words.windows(order) {
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

/// The tokenization of mteval-v13a: punctuation stands alone, but for periods and commas between digits.
fn tokenize(text: &str) -> Vec<String> {
    let text = text.trim_end_matches(is_space).replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = if text.contains('&') {
        text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    } else {
        text
    };
    let mut text = format!(" {text} ");
    for (pattern, replacement) in RULES.iter() {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    text.split(is_space).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// White space as the reference implementation's language has it: Unicode's, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    let rule = |pattern| Regex::new(pattern).expect("a valid pattern");
    [
        (rule(r"([{-~\[-` -&(-+:-@/])"), " $1 "),
        (rule(r"([^0-9])([.,])"), "$1 $2 "),
        (rule(r"([.,])([^0-9])"), " $1 $2"),
        (rule(r"([0-9])(-)"), "$1 $2 "),
    ]
});

/// Runs of one to four words.
const ORDERS: usize = 4;
