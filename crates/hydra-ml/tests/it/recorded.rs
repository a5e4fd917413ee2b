//! What the cassette of MovieLens in the repository may hold: ratings and profiles of a closed list, and nothing of the films.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The answers of a cassette, read as hydra-llm's `cassette` module documents the format.
fn responses(bytes: &[u8]) -> Vec<Value> {
    assert_eq!(&bytes[..8], b"hydracas");
    let (mut rest, mut responses) = (&bytes[16..], Vec::new());
    while let Some((length, _)) = rest.split_first_chunk::<4>() {
        let body = &rest[40..][..u32::from_le_bytes(*length) as usize];
        let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(body, 1 << 20).unwrap();
        responses.push(serde_json::from_slice(&json).unwrap());
        rest = &rest[40 + body.len() + 16..];
    }
    responses
}

#[test]
fn the_cassette_of_movielens_holds_no_text_of_films() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/movielens/answers.cassette");
    let responses = responses(&fs::read(path).unwrap());
    assert!(responses.len() > 6_000);
    let (mut keys, mut genres) = (BTreeSet::new(), BTreeSet::new());
    for response in &responses {
        keys.extend(response.as_object().unwrap().keys().cloned());
        for choice in response["choices"].as_array().unwrap() {
            let said: Value = serde_json::from_str(choice["text"].as_str().unwrap()).unwrap();
            let said = said.as_object().unwrap();
            let rating = said.get("rating").or(said.get("usual_rating")).unwrap();
            assert!((1..=5).contains(&rating.as_u64().unwrap()));
            genres.extend(said.get("likes").map(|genre| genre.as_str().unwrap().to_owned()));
            assert!(
                said.len() <= 2 && said.keys().all(|key| ["rating", "usual_rating", "likes"].contains(&key.as_str()))
            );
        }
    }
    assert!(keys.iter().all(|key| ["choices", "usage", "model"].contains(&key.as_str())), "{keys:?}");
    // One word each: a list of ours, written into the request's schema.
    assert!(genres.len() <= 18 && genres.iter().all(|genre| !genre.contains(' ')), "{genres:?}");
}
