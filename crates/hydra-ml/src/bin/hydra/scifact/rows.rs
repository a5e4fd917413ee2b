//! `hydra scifact rows`: claims as groups of rows to train a reranker from.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hydra_types::RecordId;
use serde::Serialize;

use super::Data;
use super::data::Claim;
use super::first_stage::FirstStage;
use super::passages::Passages;

/// Write the training claims as rows for `hydra-train reranker`.
///
/// A group is a claim with the abstracts that it cites and with hard negatives: others of those that BM25 finds best for it.
/// Texts are the passages of the abstracts that share most with the claim. Claims that weights are chosen on go into a file
/// of their own; no abstract is cited on both sides. No development claim is in any row, nor a training claim of the same
/// words.
#[derive(clap::Args)]
pub(super) struct Rows {
    #[command(flatten)]
    pub(super) data: Data,

    /// Where the claims to learn from go
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,

    /// Where the claims to choose by go
    #[arg(long, value_name = "FILE")]
    pub(super) held_out: PathBuf,

    /// Groups of a claim to learn from, each with other negatives
    #[arg(long, default_value_t = 1)]
    pub(super) rounds: usize,

    /// Hard negatives of a group
    #[arg(long, default_value_t = 7)]
    pub(super) negatives: usize,

    /// Best abstracts that they are taken from, evenly
    #[arg(long, default_value_t = 49)]
    pub(super) depth: usize,
}

/// What `hydra-train reranker` reads.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    pub(super) query: &'a str,
    pub(super) text: &'a str,
    pub(super) label: f32,
    pub(super) group: usize,
}

/// Rows, a line each.
pub(super) struct RowFile {
    file: BufWriter<File>,
    rows: usize,
}

/// What groups are made from.
struct Source<'a> {
    first_stage: &'a FirstStage,
    passages: &'a Passages<'a>,
    negatives: usize,
    depth: usize,
}

pub(super) fn run(rows: &Rows) -> Result<()> {
    let data = rows.data.load()?;
    let first_stage = FirstStage::new(&data)?;
    let passages = Passages::new(&data)?;
    let source =
        Source { first_stage: &first_stage, passages: &passages, negatives: rows.negatives, depth: rows.depth };
    for (claims, rounds, path) in [(&data.learned, rows.rounds, &rows.out), (&data.held_out, 1, &rows.held_out)] {
        let mut file = RowFile::create(path)?;
        for (at, claim) in claims.iter().enumerate() {
            source.write(claim, at, rounds, &mut file)?;
        }
        println!("{} claims, {} rows: {}", claims.len(), file.finish()?, path.display());
    }
    Ok(())
}

impl Source<'_> {
    /// The groups of the claim at this place.
    fn write(&self, claim: &Claim, at: usize, rounds: usize, file: &mut RowFile) -> Result<()> {
        let shared = self.passages.shared(&claim.text)?;
        let misleading = self.first_stage.misleading(claim, self.depth)?;
        for round in 0..rounds {
            let group = at * rounds + round;
            let mut write = |id: RecordId, label| {
                let text = &self.passages.passage(&shared, id, None);
                file.write(&Row { query: &claim.text, text, label, group })
            };
            claim.cited.iter().try_for_each(|&id| write(id, 1.0))?;
            let mut negatives = spread(misleading.len(), self.negatives, at + round).map(|at| misleading[at]);
            negatives.try_for_each(|id| write(id, 0.0))?;
        }
        Ok(())
    }
}

impl RowFile {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), rows: 0 })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.file, row)?;
        self.file.write_all(b"\n")?;
        self.rows += 1;
        Ok(())
    }

    /// How many rows were written.
    pub(super) fn finish(mut self) -> Result<usize> {
        self.file.flush()?;
        Ok(self.rows)
    }
}

/// `wanted` places out of `all`, evenly apart; `turn` moves them on, so that groups together see every place.
pub(super) fn spread(all: usize, wanted: usize, turn: usize) -> impl Iterator<Item = usize> {
    let wanted = wanted.min(all);
    let step = all.checked_div(wanted).unwrap_or(1);
    (0..wanted).map(move |number| number * step + turn % step)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn places_are_evenly_apart_and_groups_take_turns() {
        for (all, wanted, turn, expected) in [
            (6, 3, 0, vec![0, 2, 4]),
            (6, 3, 1, vec![1, 3, 5]),
            (6, 3, 2, vec![0, 2, 4]),
            (7, 3, 1, vec![1, 3, 5]),
            (2, 3, 5, vec![0, 1]),
            (0, 3, 1, vec![]),
            (3, 0, 1, vec![]),
        ] {
            assert_eq!(spread(all, wanted, turn).collect::<Vec<_>>(), expected, "{wanted} of {all}, turn {turn}");
        }
    }
}
