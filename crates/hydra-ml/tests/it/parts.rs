//! Parts that the application brings: what they say about themselves is kept to.

use std::convert::Infallible;

use hydra_ml::llm::block_on;
use hydra_ml::types::ndarray::Array2;
use hydra_ml::{Answer, Ask, Retrieval, TextEncoder};

use crate::toy::{Place, answering, day, record, scope};

/// Vectors that say how many bytes all texts of the call have, as an encoder with one scale a batch leaks it.
struct Leaky;

impl TextEncoder for Leaky {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        2
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        let all: usize = texts.iter().map(|text| text.len()).sum();
        Ok(Array2::from_shape_fn((texts.len(), 2), |(row, column)| [texts[row].len(), all][column] as f32))
    }
}

#[test]
fn where_rows_of_the_encoder_interact_nobody_changes_what_is_found_for_anybody_else() {
    let place = Place::new();
    let hydra = place.plain(answering(4, &["wet"])).encoder(Leaky).retrieve(Retrieval::Meaning, 10).build().unwrap();
    for user in [1, 2] {
        block_on(hydra.learn(&scope(user), vec![record(1, "rain"), record(2, "rain and sun")])).unwrap();
    }
    let ask = |user, words: &str| Ask::new(&scope(user), words, day(9));
    let found = |answer: Answer| answer.trace.retrieved;
    let alone = found(block_on(hydra.answer(ask(1, "rain"))).unwrap());
    assert_eq!(alone.len(), 2);
    // The other user stands on both sides, so that no order hides them.
    let asks = vec![ask(2, "a long question about rain"), ask(1, "rain"), ask(2, "sun")];
    let beside = block_on(hydra.answer_many(asks)).swap_remove(1);
    assert_eq!(found(beside.unwrap()), alone);
}
