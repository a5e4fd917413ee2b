//! GGUF files: every type as the Python package reads it, and files that cannot be trusted.

use hydra_export::{Gguf, GgufError, TensorType};
use hydra_testkit::{Tolerance, fixture};
use safetensors::SafeTensors;

#[test]
fn every_type_reads_as_the_python_package_reads_it() {
    let gguf = Gguf::open(&fixture("gguf/quants.gguf")).unwrap();
    let golden = std::fs::read(fixture("gguf/quants.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    assert_eq!(golden.len(), 13);
    for (name, expected) in golden.tensors() {
        let expected: Vec<f32> =
            expected.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(format!("{:?}", gguf.tensors()[&name].tensor_type), name);
        Tolerance { absolute: 1e-7, relative: 1e-6 }.assert_close(&gguf.tensor(&name).unwrap(), &expected);
    }
}

#[test]
fn every_beginning_of_a_file_is_an_error() {
    for name in ["gguf/quants.gguf", "gguf/tiny-llama.gguf"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let step = whole.len() / 4_000 + 1;
        // The last bytes are padding, which nothing needs.
        for length in (0..whole.len() - 32).step_by(step) {
            assert!(Gguf::from_bytes(whole[..length].to_vec()).is_err(), "{name}: {length}");
        }
        assert!(Gguf::from_bytes(whole).is_ok());
    }
}

#[test]
fn a_changed_byte_of_the_header_never_panics() {
    let whole = std::fs::read(fixture("gguf/quants.gguf")).unwrap();
    for at in 0..1_200 {
        for flip in [1, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            if let Ok(gguf) = Gguf::from_bytes(changed) {
                for name in gguf.tensors().keys() {
                    gguf.tensor(name).unwrap();
                }
            }
        }
    }
}

/// A header with one metadata value and one tensor, as bytes.
fn file(counts: [u64; 2], key: &str, value: &[u8], tensor: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(key.bytes());
    bytes.extend(value);
    bytes.extend(tensor);
    bytes
}

fn tensor(shape: &[u64], code: u32, offset: u64) -> Vec<u8> {
    let mut bytes = 1_u64.to_le_bytes().to_vec();
    bytes.push(b't');
    bytes.extend(u32::try_from(shape.len()).unwrap().to_le_bytes());
    bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
    bytes.extend(code.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend([0; 256]);
    bytes
}

#[test]
fn lies_about_lengths_counts_offsets_and_alignment_are_typed() {
    let number = |value: u32| [4_u32.to_le_bytes(), value.to_le_bytes()].concat();
    let with = |value: &[u8], tensor: &[u8]| Gguf::from_bytes(file([1, 1], "general.alignment", value, tensor));
    let fine = tensor(&[4], 0, 0);
    assert!(with(&number(32), &fine).is_ok());
    assert!(matches!(with(&number(3), &fine), Err(GgufError::Alignment { found: 3 })));
    assert!(matches!(with(&number(0), &fine), Err(GgufError::Alignment { found: 0 })));
    assert!(matches!(with(&number(32), &tensor(&[4], 0, 8)), Err(GgufError::Place { .. })));
    assert!(matches!(with(&number(32), &tensor(&[4], 0, u64::MAX - 31)), Err(GgufError::Place { .. })));
    assert!(matches!(with(&number(32), &tensor(&[1 << 40], 0, 0)), Err(GgufError::Place { .. })));
    assert!(matches!(with(&number(32), &tensor(&[1 << 32, 1 << 32], 0, 0)), Err(GgufError::Shape { .. })));
    assert!(matches!(with(&number(32), &tensor(&[33], 2, 0)), Err(GgufError::Shape { .. })));
    assert!(matches!(with(&number(32), &tensor(&[0], 0, 0)), Err(GgufError::Shape { .. })));
    assert!(matches!(with(&number(32), &tensor(&[4; 5], 0, 0)), Err(GgufError::Shape { .. })));
    assert!(matches!(with(&number(32), &tensor(&[4], 16, 0)), Err(GgufError::TensorType { found: 16, .. })));

    let of = |counts| Gguf::from_bytes(file(counts, "a", &number(1), &fine));
    assert!(matches!(of([u64::MAX, 1]), Err(GgufError::TooMany { .. })));
    assert!(matches!(of([1, 50_000]), Err(GgufError::Truncated { .. })));
    let list = |kind: u32, count: u64| [&9_u32.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes()].concat();
    assert!(matches!(with(&list(8, 1 << 20), &fine), Err(GgufError::Truncated { .. })));
    assert!(matches!(with(&list(0, u64::MAX), &fine), Err(GgufError::TooMany { .. })));
    // Lists in lists: a depth that nobody checks is a stack that overflows.
    assert!(matches!(with(&list(9, 1), &fine), Err(GgufError::ValueType { found: 9, .. })));
    let text = [&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat();
    assert!(matches!(with(&text, &fine), Err(GgufError::Truncated { .. })));
    assert!(matches!(Gguf::from_bytes(b"GGUF\0\0\0\x03".to_vec()), Err(GgufError::Version { .. })));
    assert!(matches!(Gguf::from_bytes(b"GGML".to_vec()), Err(GgufError::NotGguf)));
    assert_eq!(TensorType::from_code(16), None);
}
