//! Texts of realistic lengths.

use std::path::Path;

use anyhow::{Context, Result};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// The name of the corpus and `count` texts of it: half claims, half abstracts, shuffled. The same every time.
pub(super) fn texts(scifact: Option<&Path>, count: usize) -> Result<(&'static str, Vec<String>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let halves = [count.div_ceil(2), count / 2];
    let (name, mut texts) = match scifact {
        Some(dir) => {
            let claims = column(&dir.join("claims_train.csv"), "claim")?;
            let abstracts = column(&dir.join("corpus_train.csv"), "abstract")?;
            ("scifact", [every(&claims, halves[0]), every(&abstracts, halves[1])].concat())
        }
        None => ("generated", [made(&CLAIM, halves[0], &mut rng), made(&ABSTRACT, halves[1], &mut rng)].concat()),
    };
    texts.shuffle(&mut rng);
    Ok((name, texts))
}

/// `count` texts spread evenly over the file.
fn every(texts: &[String], count: usize) -> Vec<String> {
    (0..count).map(|at| texts[at * texts.len() / count].clone()).collect()
}

/// Texts of words whose number is drawn between neighbouring deciles.
fn made(deciles: &[usize; 11], count: usize, rng: &mut ChaCha8Rng) -> Vec<String> {
    let text = |rng: &mut ChaCha8Rng| {
        let decile = rng.random_range(0..10);
        let words = rng.random_range(deciles[decile]..=deciles[decile + 1]);
        (0..words).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(|_| text(rng)).collect()
}

/// One column of a CSV file with quoted fields.
fn column(path: &Path, name: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut rows = records(&text).into_iter();
    let header = rows.next().context("an empty file")?;
    let at = header.iter().position(|field| field == name).with_context(|| format!("no column {name}"))?;
    Ok(rows.filter_map(|mut row| (at < row.len()).then(|| row.swap_remove(at))).collect())
}

/// RFC 4180: a quoted field may hold commas, line breaks and doubled quotes.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut field)),
            ('\r', false) => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            (c, _) => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// Deciles of the number of words of SciFact's claims.
const CLAIM: [usize; 11] = [3, 7, 8, 9, 10, 12, 13, 14, 16, 19, 39];
/// Deciles of the number of words of SciFact's abstracts.
const ABSTRACT: [usize; 11] = [26, 116, 140, 151, 169, 193, 209, 236, 257, 297, 1524];
const WORDS: [&str; 12] =
    ["patients", "the", "of", "expression", "with", "cells", "treatment", "in", "protein", "associated", "and", "risk"];
