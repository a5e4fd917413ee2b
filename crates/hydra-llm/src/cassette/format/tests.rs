use proptest::prelude::*;

use super::*;
use crate::{Choice, Usage};

fn response(text: &str) -> Response {
    Response::new(vec![Choice::new(text)], Usage::reported(3, 4))
}

/// A file with these answers, and where each record ends.
fn file(texts: &[String]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = HEADER.to_vec();
    let mut ends = vec![bytes.len()];
    for (i, text) in texts.iter().enumerate() {
        let key = RequestKey::new([u8::try_from(i).unwrap(); 32]);
        bytes.extend(encode_record(&key, &encode_body(&response(text)).unwrap()));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn read(bytes: &[u8]) -> Result<Contents, Fault> {
    scan(bytes, bytes.len() as u64)
}

fn three() -> (Vec<u8>, Vec<usize>) {
    file(&["drama".to_owned(), "comedy, comedy, comedy".to_owned(), String::new()])
}

#[test]
fn every_cut_keeps_the_whole_records_before_it() {
    let (bytes, ends) = three();
    for cut in 0..=bytes.len() {
        let contents = read(&bytes[..cut]).unwrap_or_else(|fault| panic!("cut at {cut}: {fault:?}"));
        let whole = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
        assert_eq!(contents.bodies.len(), whole, "cut at {cut}");
        assert_eq!(contents.end + contents.dropped, cut as u64, "cut at {cut}");
    }
}

#[test]
fn zeros_that_a_crash_leaves_are_dropped() {
    let (bytes, ends) = three();
    for cut in ends[1]..bytes.len() {
        // The system had made the file longer, but the last bytes never came.
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        let whole = ends.iter().filter(|&&end| end <= cut).count() - 1;
        match read(&torn) {
            Ok(contents) => assert_eq!(contents.bodies.len(), whole, "cut at {cut}"),
            // Zeros over a record that is not the last are no crash of ours.
            Err(Fault::Corrupt(at)) => assert!(ends.contains(&usize::try_from(at).unwrap()), "cut at {cut}"),
            Err(fault) => panic!("cut at {cut}: {fault:?}"),
        }
    }
    let mut longer = bytes.clone();
    longer.extend([0; 5000]);
    assert_eq!(read(&longer).unwrap().bodies.len(), 3);
}

#[test]
fn every_flipped_bit_is_found() {
    let (bytes, ends) = three();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let record = ends.iter().rev().find(|&&end| end <= at).map(|&end| end as u64);
            match (read(&changed), at) {
                (Err(Fault::NotACassette), 0..8 | 12..16) | (Err(Fault::Version(_)), 8..12) => {}
                (Err(Fault::Corrupt(found)), 16..) => assert_eq!(Some(found), record, "byte {at}, bit {bit}"),
                (other, _) => panic!("byte {at}, bit {bit}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_body_that_would_grow_without_end_is_refused() {
    let bomb = compress_to_vec_zlib(&vec![b' '; MAX_BODY + 1], COMPRESSION);
    assert!(bomb.len() < 100_000);
    assert_eq!(decode_body(&bomb), None);
}

/// The bytes of a record written by hand with Python's `zlib` and `hashlib`.
#[test]
fn a_file_written_by_another_program_is_read() {
    let bytes = include_bytes!("by_python.cassette");
    let contents = read(bytes).unwrap();
    let (key, span) = contents.bodies.first_key_value().unwrap();
    assert_eq!(key.as_bytes(), &[7; 32]);
    let start = usize::try_from(span.offset).unwrap();
    let response = decode_body(&bytes[start..start + span.len]).unwrap();
    assert_eq!(response.text(), "drame d’été");
    assert_eq!(response.usage.prompt_tokens, 12);
}

proptest! {
    #[test]
    fn what_is_written_is_read(texts in prop::collection::vec(".*", 0..8)) {
        let (bytes, _) = file(&texts);
        let contents = read(&bytes).unwrap();
        prop_assert_eq!(contents.dropped, 0);
        for (i, text) in texts.iter().enumerate() {
            let span = contents.bodies[&RequestKey::new([u8::try_from(i).unwrap(); 32])];
            let start = usize::try_from(span.offset).unwrap();
            prop_assert_eq!(decode_body(&bytes[start..start + span.len]), Some(response(text)));
        }
    }

    #[test]
    fn garbage_is_refused_or_dropped_and_never_read(garbage in prop::collection::vec(any::<u8>(), 1..200)) {
        let (mut bytes, ends) = three();
        bytes.extend(&garbage);
        match read(&bytes) {
            Ok(contents) => prop_assert_eq!(contents.bodies.len(), 3),
            Err(Fault::Corrupt(at)) => prop_assert_eq!(at, ends[3] as u64),
            Err(fault) => prop_assert!(false, "{:?}", fault),
        }
    }
}
