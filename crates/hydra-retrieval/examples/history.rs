//! Finds what a user liked before, by words, by vector, and by both.
//!
//! `cargo run -p hydra-retrieval --example history`
#![allow(clippy::print_stdout)]

use std::error::Error;

use hydra_retrieval::{Entry, Filter, Fused, Fusion, History, HistoryParams, Query, Retriever, Scratch};
use hydra_types::{Record, RecordId, Scope, Time, UserId};

fn main() -> Result<(), Box<dyn Error>> {
    let films = [
        ("a girl befriends a forest spirit", "gentle fantasy"),
        ("robots learn to paint", "science fiction"),
        ("two rivals bake bread", "comedy"),
        ("a forest fire brings a village together", "drama"),
    ];
    let scope = Scope::acting_for(UserId::new(7));
    let mut history = History::new(&scope, DIMENSIONS, HistoryParams::default())?;
    let entries = (0..).zip(films).map(|(id, (plot, genre))| {
        let record = Record::new(RecordId::new(id), Time::from_unix_millis(0), plot, genre);
        Entry::new(record, letters(plot))
    });
    history.append(&scope, entries.collect())?;

    let mine = history.view(&scope)?;
    let text = "a spirit in the forest";
    let vector = letters(text);
    let query = Query::new().text(text).vector(&vector);
    let (nearest, words) = (mine.nearest(), mine.lexical());
    let both = Fused::new(Fusion::ReciprocalRank, &nearest).and(words, 1.0)?;
    let ways: [(&str, &dyn Retriever); 3] = [("vector", &nearest), ("words", words), ("both", &both)];
    for (name, retriever) in ways {
        println!("by {name}:");
        for scored in retriever.search(&query, 2, &Filter::all(), &mut Scratch::new())? {
            let record = mine.record(scored.id).ok_or("a search returns records that are there")?;
            println!("  {:.3}  {} ({})", scored.score.get(), record.input(), record.output());
        }
    }
    Ok(())
}

/// How often each letter is there: a stand-in for an encoder, which this crate does not have.
fn letters(text: &str) -> Vec<f32> {
    let count = |letter| text.chars().filter(|&c| c == letter).map(|_| 1.0).sum();
    ('a'..='z').map(count).collect()
}

const DIMENSIONS: usize = 26;
