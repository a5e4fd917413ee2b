//! A history that outlives the process, and that nothing outlives once its user is forgotten.
//!
//! `cargo run -p hydra-retrieval --features store --example stored_history`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use hydra_retrieval::{Entry, Filter, HistoryParams, Query, Retriever, Scratch, StoredHistory};
use hydra_store::{Store, StoreKey};
use hydra_types::{Record, RecordId, Scope, Time, UserId};

fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("store");
    let key = StoreKey::create_file(&place.path().join("store.key"))?;
    let ada = Scope::acting_for(UserId::new(1));
    let bob = Scope::acting_for(UserId::new(2));
    let open =
        |store: &Arc<Store>, scope| StoredHistory::open(Arc::clone(store), scope, DIMENSIONS, HistoryParams::default());

    let store = Arc::new(Store::create(&folder, &key)?);
    for (scope, films) in [
        (&ada, ["a girl befriends a forest spirit", "robots learn to paint"]),
        (&bob, ["two rivals bake bread", "a forest fire brings a village together"]),
    ] {
        let entries = (0..).zip(films).map(|(id, plot)| {
            let record = Record::new(RecordId::new(id), Time::from_unix_millis(0), plot, "seen");
            Entry::new(record, letters(plot))
        });
        open(&store, scope)?.append(scope, entries.collect())?;
    }
    drop(store);

    let store = Arc::new(Store::open(&folder, &key)?);
    let text = "a spirit in the forest";
    let vector = letters(text);
    for (name, scope) in [("ada", &ada), ("bob", &bob)] {
        let history = open(&store, scope)?;
        let mine = history.view(scope)?;
        let query = Query::new().text(text).vector(&vector);
        let best = mine.nearest().search(&query, 1, &Filter::all(), &mut Scratch::new())?;
        let record = mine.record(best[0].id).ok_or("a search returns records that are there")?;
        println!("{name}, nearest to `{text}`: {}", record.input());
    }

    let history = open(&store, &ada)?;
    store.forget(&ada)?;
    println!("ada after being forgotten: {} records", history.view(&ada)?.len());
    println!("ada's history, asked for by bob: {}", history.view(&bob).err().ok_or("refused")?);
    println!("the store: {}", store.check()?);
    Ok(())
}

/// How often each letter is there: a stand-in for an encoder, which this crate does not have.
fn letters(text: &str) -> Vec<f32> {
    let count = |letter| text.chars().filter(|&c| c == letter).map(|_| 1.0).sum();
    ('a'..='z').map(count).collect()
}

const DIMENSIONS: usize = 26;
