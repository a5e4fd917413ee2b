//! `hydra scifact warm-up`: groups of rows that need no claim.

use std::path::PathBuf;

use anyhow::{Context, Result};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};
use hydra_types::RecordId;

use super::data::{Abstract, SciFact};
use super::first_stage::FirstStage;
use super::passages::{Passages, Place};
use super::rows::{Row, RowFile, spread};
use super::{Data, bar};

/// Write rows that need no claim: from which abstract is a sentence, and which are near it by the sentence encoder?
///
/// A group is an abstract's last sentence as the query, the abstract without it, and others of those that BM25 finds best for
/// it. Half of the label is for the sentence's own abstract, the other half is shared out by the softmax of the cosines: a
/// cross-encoder that begins as a sentence encoder learns first what the sentence encoder knows.
#[derive(clap::Args)]
pub(super) struct WarmUp {
    #[command(flatten)]
    data: Data,

    /// Bundle of the sentence encoder
    #[arg(long, value_name = "DIR")]
    encoder: PathBuf,

    /// Where the rows go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Abstracts that a sentence is taken from, evenly from all
    #[arg(long, default_value_t = 800)]
    groups: usize,

    /// Other abstracts beside it
    #[arg(long, default_value_t = 7)]
    negatives: usize,

    /// Best abstracts that they are taken from, evenly
    #[arg(long, default_value_t = 49)]
    depth: usize,
}

pub(super) fn run(warm_up: &WarmUp) -> Result<()> {
    let data = warm_up.data.load()?;
    let first_stage = FirstStage::new(&data)?;
    let passages = Passages::new(&data)?;
    let bundle = Bundle::open(&warm_up.encoder).context("cannot open the encoder")?;
    let mut encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
    let mut file = RowFile::create(&warm_up.out)?;
    let asked = asked(&data, warm_up.groups);
    let bar = bar("sentences", asked.len());
    for (group, (own, written)) in asked.into_iter().enumerate() {
        let sentence = written.sentences.len() - 1;
        let query = &written.sentences[sentence];
        let shared = passages.shared(query)?;
        let mut others: Vec<RecordId> =
            first_stage.best(query, warm_up.depth + 1)?.into_iter().map(|found| found.id).collect();
        others.retain(|&id| id != own);
        let others = spread(others.len(), warm_up.negatives, group).map(|at| others[at]);
        let left_out = Place { id: own, sentence };
        let texts: Vec<String> =
            std::iter::once(own).chain(others).map(|id| passages.passage(&shared, id, Some(left_out))).collect();
        let all: Vec<&str> = std::iter::once(query.as_str()).chain(texts.iter().map(String::as_str)).collect();
        let vectors = encoder.encode(&all)?.features;
        let cosines: Vec<f32> = (1..all.len()).map(|row| vectors.row(0).dot(&vectors.row(row))).collect();
        for (text, label) in texts.iter().zip(labels(&cosines)) {
            file.write(&Row { query, text, label, group })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("{} rows: {}", file.finish()?, warm_up.out.display());
    Ok(())
}

/// So many abstracts, evenly from all that have enough sentences to be known without the last one.
fn asked(data: &SciFact, groups: usize) -> Vec<(RecordId, &Abstract)> {
    let long_enough: Vec<_> = data.abstracts.iter().filter(|(_, written)| written.sentences.len() > 2).collect();
    let groups = groups.min(long_enough.len());
    (0..groups).map(|group| long_enough[group * long_enough.len() / groups]).map(|(&id, found)| (id, found)).collect()
}

/// `(1 + softmax(cosines / T)) / 2` for the first, which is the right one, and `softmax(cosines / T) / 2` for the others.
fn labels(cosines: &[f32]) -> Vec<f32> {
    let greatest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let near: Vec<f32> = cosines.iter().map(|cosine| ((cosine - greatest) / TEMPERATURE).exp()).collect();
    let sum: f32 = near.iter().sum();
    near.iter().enumerate().map(|(place, near)| (f32::from(u8::from(place == 0)) + near / sum) / 2.0).collect()
}

/// A tenth more of cosine is a factor of 7.
///
/// # Source
/// sentence-transformers/all-MiniLM-L6-v2, `train_script.py`: the encoder was trained at a scale of 20.
const TEMPERATURE: f32 = 0.05;

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn half_is_for_the_right_one_and_half_by_cosine() {
        let close = |got: &[f32], expected: &[f32]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4);
        // exp(0.05 / 0.05) = 2.71828.
        assert!(close(&labels(&[0.5, 0.55]), &[0.5 + 0.134_47, 0.365_53]));
        assert!(close(&labels(&[0.3, 0.3, 0.3, 0.3]), &[0.625, 0.125, 0.125, 0.125]));
        assert!(close(&labels(&[0.2]), &[1.0]));
    }
}
