//! Three users, one body, three rankings of the same records: `cargo run -p hydra-heads --example three_users`.
//!
//! Features would come from a body on ONNX Runtime; here they are three numbers that can be read: how much a record is
//! about work, about food and about music.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use anyhow::Result;
use hydra_heads::{ClassWeights, Features, Fit, FitRows, HeadBank, HeadName, Shared, Strength, Weights};
use hydra_types::ndarray::{Array2, array};
use hydra_types::{Fingerprint, RecordId, Score, Scored, UserId};

fn main() -> Result<()> {
    let body = Fingerprint::new([1; 32]);
    // Most people are helped by records about work a little more than by others.
    let shared = Arc::new(Shared::new(body, Weights::linear(&[0.4, 0.0, 0.0], 0.0)?)?);
    let mut bank = HeadBank::new(Arc::clone(&shared));

    let history =
        array![[0.9, 0.1, 0.0], [0.8, 0.0, 0.2], [0.1, 0.9, 0.0], [0.0, 0.8, 0.1], [0.1, 0.0, 0.9], [0.0, 0.2, 0.8]];
    let users = [
        ("the cook", UserId::new(1), [false, false, true, true, false, false]),
        ("the singer", UserId::new(2), [false, false, false, false, true, true]),
        ("the clerk", UserId::new(3), [true, true, false, false, false, false]),
    ];
    for (_, user, helped) in users {
        let rows = FitRows::new(Features::new(body, &history)?, &helped, ClassWeights::Equal)?;
        // Six rows are too few to hold some out for the choice of a strength.
        let fitted = Fit::linear().strength(Strength::Fixed(0.1)).run(&shared, &rows)?;
        bank.insert(user, fitted.head)?;
    }

    let records = array![[1.0, 0.1, 0.1], [0.1, 1.0, 0.1], [0.1, 0.1, 1.0]];
    for (name, user, _) in users {
        println!("{name}: {}", ranking(&bank, HeadName::User(user), body, &records)?);
    }
    println!("a stranger: {}", ranking(&bank, HeadName::Prior, body, &records)?);
    Ok(())
}

/// The records, best first.
fn ranking(bank: &HeadBank, name: HeadName, body: Fingerprint, records: &Array2<f32>) -> Result<String> {
    let scores = bank.scores(&[name; 3], &Features::new(body, records)?)?;
    let mut ranking = Vec::new();
    for (id, score) in (0..).zip(scores) {
        ranking.push(Scored::new(RecordId::new(id), Score::new(score)?));
    }
    ranking.sort_unstable();
    let names = ["work", "food", "music"];
    let shown = ranking.iter().map(|scored| {
        let record = names[usize::try_from(scored.id.get())?];
        Ok(format!("{record} {:.2}", scored.score.get()))
    });
    Ok(shown.collect::<Result<Vec<_>>>()?.join(", "))
}
