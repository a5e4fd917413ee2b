//! Rows are read back as they were written, and nothing else is read.

use hydra_store::{Batch, Scan, Store, StoreKey};
use hydra_types::{Scope, UserId};
use proptest::prelude::*;

use super::*;

const DIMENSIONS: usize = 3;

fn entry_of(id: u64, millis: i64, tags: u64, input: &str, output: &str) -> Entry {
    let record = Record::new(RecordId::new(id), Time::from_unix_millis(millis), input, output);
    Entry::new(record, vec![0.5, f32::MIN_POSITIVE, -2.0]).tagged(Tags::from_bits(tags))
}

/// The rows of the three tables, as a store gives them back.
fn stored(entries: &[Entry]) -> Vec<Vec<Row>> {
    let place = tempfile::tempdir().unwrap();
    let store = Store::create(&place.path().join("store"), &StoreKey::from_bytes([1; 32])).unwrap();
    let scope = Scope::acting_for(UserId::new(1));
    let header = Header { dimensions: DIMENSIONS, encoder: None, changes: 1 };
    let batch = Batch::new(&scope).put(HISTORY, HEADER_SLOT, header.write());
    store.commit(&entries.iter().fold(batch, put)).unwrap();
    store.scan_many(&[HISTORY, RECORDS, VECTORS].map(|table| Scan::new(&scope, table))).unwrap()
}

#[test]
fn a_record_is_stored_in_a_form_that_people_can_read() {
    let rows = stored(&[entry_of(258, -7, 0b1001, "a \"quiet\" drama\n", "liked")]);
    let header = r#"{"format":1,"dimensions":3,"changes":1}"#;
    let record = r#"{"unix_millis":-7,"tags":[0,3],"input":"a \"quiet\" drama\n","output":"liked"}"#;
    assert_eq!(rows[0], [(b"header".to_vec(), header.into())]);
    assert_eq!(rows[1], [(vec![0, 0, 0, 0, 0, 0, 1, 2], record.into())]);
    let vector = [0, 0, 0, 0x3f, 0, 0, 0x80, 0, 0, 0, 0, 0xc0];
    assert_eq!(rows[2], [(vec![0, 0, 0, 0, 0, 0, 1, 2], vector.to_vec())]);
}

#[test]
fn a_header_names_its_encoder() {
    let header = Header { dimensions: 3, encoder: Some(Fingerprint::new([10; 32])), changes: 1 };
    let text = format!(r#"{{"format":2,"dimensions":3,"encoder":"{}","changes":1}}"#, "0a".repeat(32));
    assert_eq!(header.write(), text.as_bytes());
    assert_eq!(Header::read(text.as_bytes()).unwrap(), header);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn what_was_written_is_read(
        texts in prop::collection::btree_map(any::<u64>(), (any::<i64>(), any::<u64>(), any::<String>(), any::<String>()), 0..20),
    ) {
        let entries: Vec<Entry> =
            texts.iter().map(|(&id, (millis, tags, input, output))| entry_of(id, *millis, *tags, input, output)).collect();
        let (header, read) = read(stored(&entries), DIMENSIONS, None).unwrap().unwrap();
        prop_assert_eq!(header, Header { dimensions: DIMENSIONS, encoder: None, changes: 1 });
        prop_assert_eq!(read, entries);
    }
}

#[test]
fn every_prefix_and_every_flipped_bit_is_an_error_or_a_history() {
    let rows = stored(&[entry_of(1, 0, 2, "in", "out"), entry_of(2, 1, 0, "other", "")]);
    let mut errors = 0;
    let mut try_with = |table: usize, nth: usize, change: &dyn Fn(&mut Row)| {
        let mut rows = rows.clone();
        change(&mut rows[table][nth]);
        match read(rows, DIMENSIONS, None) {
            Ok(Some((_, entries))) => assert_eq!(entries.len(), 2),
            Ok(None) => panic!("there are rows"),
            Err(_) => errors += 1,
        }
    };
    for (table, nth) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)] {
        let (slot, value) = &rows[table][nth];
        for length in 0..value.len() {
            try_with(table, nth, &|row| row.1.truncate(length));
        }
        for bit in 0..value.len() * 8 {
            try_with(table, nth, &|row| row.1[bit / 8] ^= 1 << (bit % 8));
        }
        for bit in 0..slot.len() * 8 {
            try_with(table, nth, &|row| row.0[bit / 8] ^= 1 << (bit % 8));
        }
        try_with(table, nth, &|row| row.1.push(b' '));
        try_with(table, nth, &|row| row.0.push(0));
    }
    assert!(errors > 500, "{errors}");
}

#[test]
fn what_is_wrong_is_said() {
    let rows = stored(&[entry_of(1, 0, 0, "secret", "")]);
    let error = |change: &dyn Fn(&mut Vec<Vec<Row>>)| {
        let mut rows = rows.clone();
        change(&mut rows);
        read(rows, DIMENSIONS, None).unwrap_err().to_string()
    };
    let impossible = |part: &str| {
        format!(
            "the stored history has an impossible {part}: leave its tables to it, and restore a snapshot of the store"
        )
    };
    let header = |text: &str| error(&|rows| rows[0][0].1 = text.into());
    let record = |text: &str| error(&|rows| rows[1][0].1 = text.into());

    assert_eq!(error(&|rows| rows[0].clear()), impossible("header"));
    assert_eq!(header(r#"{"format":1,"dimensions":3,"changes":18446744073709551615}"#), impossible("header"));
    assert_eq!(header(r#"{"format":0,"dimensions":3,"changes":1}"#), impossible("header"));
    assert_eq!(header(r#"{"format":2,"dimensions":3,"changes":1}"#), impossible("header"));
    assert_eq!(header(r#"{"format":2,"dimensions":3,"encoder":"00","changes":1}"#), impossible("header"));
    assert_eq!(
        header(r#"{"format":3,"something":"new"}"#),
        "the stored history has format 3 and this version reads up to 2: update hydra-retrieval"
    );
    assert_eq!(
        header(r#"{"format":1,"dimensions":384,"changes":1}"#),
        "the stored vectors have 384 dimensions, not 3: use their encoder, or encode the records again"
    );
    assert_eq!(error(&|rows| rows[2].clear()), impossible("number of vectors"));
    assert_eq!(error(&|rows| rows[2][0].0[0] = 1), impossible("number of vectors"));
    assert_eq!(error(&|rows| rows[2][0].1.truncate(11)), impossible("vector"));
    for text in [
        "",
        "[]",
        r#"{"unix_millis":0,"input":"secret"}"#,
        r#"{"unix_millis":0,"input":"secret","output":"","more":1}"#,
        r#"{"unix_millis":0,"tags":[64],"input":"secret","output":""}"#,
        r#"{"unix_millis":0.5,"input":"secret","output":""}"#,
    ] {
        assert_eq!(record(text), impossible("record"));
    }
    let nested = "[".repeat(1 << 20);
    assert_eq!(record(&nested), impossible("record"));
    assert_eq!(
        error(&|rows| {
            rows[1][0].0.pop();
            rows[2][0].0.pop();
        }),
        impossible("slot")
    );
}
