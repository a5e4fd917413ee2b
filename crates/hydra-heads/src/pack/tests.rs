use hydra_types::ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::Shared;

const BODY: Fingerprint = Fingerprint::new([7; 32]);
const STAMP: Stamp = Stamp { user: UserId::new(42), generation: Generation::new(3) };

fn weights(kind: Kind, hidden: usize, number: impl Fn(usize) -> f32) -> Weights {
    let parameters: Vec<f32> = (0..kind.parameters(hidden)).map(number).collect();
    Weights::from_parameters(kind, hidden, &parameters).unwrap()
}

fn user_kinds(inner: usize, rank: usize) -> [Kind; 4] {
    [Kind::TwoLayer { inner }, Kind::Linear, Kind::LowRank { inner, rank }, Kind::Routing { facets: rank + 1 }]
}

fn shared(hidden: usize, inner: usize, facets: usize) -> Shared {
    let prior = weights(Kind::TwoLayer { inner }, hidden, |i| if i % 2 == 0 { 0.25 } else { -0.5 });
    let facets = Weights::facets(&Array2::ones((facets, hidden)), &vec![0.0; facets]).unwrap();
    Shared::new(BODY, prior).unwrap().with_facets(facets).unwrap()
}

/// A small head of every kind in every precision, packed.
fn packed_heads() -> Vec<Vec<u8>> {
    let shared = shared(5, 3, 3);
    let mut all = Vec::new();
    for kind in user_kinds(3, 2) {
        for precision in Precision::ALL {
            let weights = weights(kind, 5, |i| f32::from(u8::try_from(i).unwrap()).sin());
            all.push(pack(&shared.head(weights.to_precision(precision)).unwrap(), STAMP));
        }
    }
    all
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        hidden in 1usize..9, inner in 1usize..6, rank in 1usize..4, numbers in prop::collection::vec(-1e3f32..1e3, 97),
    ) {
        let shared = shared(hidden, inner, rank + 1);
        for kind in user_kinds(inner, rank) {
            for precision in Precision::ALL {
                let weights = weights(kind, hidden, |i| numbers[i % numbers.len()]).to_precision(precision);
                let head = shared.head(weights).unwrap();
                let (stamp, back) = unpack(&pack(&head, STAMP)).unwrap();
                prop_assert_eq!(stamp, STAMP);
                prop_assert_eq!(&back, &head);
                prop_assert!(shared.check(&back).is_ok());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(unpack(&bytes).is_err());
    }

    /// Past the checksum: what reads the shape must hold by itself.
    #[test]
    fn arbitrary_headers_under_a_right_checksum_never_panic(at in 0usize..HEADER_BYTES, to: u8, which in 0usize..12) {
        let mut bytes = packed_heads()[which].clone();
        bytes[at] = to;
        let content = bytes.len() - CHECK_BYTES;
        let right = check(&bytes[..content]);
        bytes[content..].copy_from_slice(&right);
        // Some fields may take any value; what reads must then be whole.
        if let Ok((_, head)) = unpack(&bytes) {
            prop_assert_eq!(head.weights().parameters().len(), head.kind().parameters(head.weights().hidden()));
        }
    }
}

#[test]
fn every_prefix_is_refused() {
    for bytes in packed_heads() {
        for len in 0..bytes.len() {
            assert!(unpack(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(matches!(unpack(&longer), Err(UnpackError::Length { .. })));
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for bytes in packed_heads() {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(unpack(&flipped).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_shape_that_would_fill_the_memory_is_refused_before_anything_is_allocated() {
    let mut bytes = packed_heads()[0].clone();
    let shape = HEADER_BYTES - 12;
    for field in 0..2 {
        bytes[shape + 4 * field..][..4].copy_from_slice(&65_536u32.to_le_bytes());
    }
    assert!(matches!(unpack(&bytes), Err(UnpackError::Length { expected, .. }) if expected > 1 << 34));
    bytes[shape..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(unpack(&bytes), Err(UnpackError::Unknown { what: "width", .. })));
}

#[test]
fn a_shared_head_is_no_users_head_and_the_other_way_round() {
    let shared = shared(4, 4, 2);
    for weights in [shared.prior(), shared.facets().unwrap()] {
        let bytes = pack_shared(weights, BODY);
        assert_eq!(unpack_shared(&bytes).unwrap(), (BODY, weights.clone()));
        assert!(matches!(unpack(&bytes), Err(UnpackError::Owner)));
    }
    let head = shared.head(weights(Kind::Linear, 4, |_| 1.0)).unwrap();
    assert!(matches!(unpack_shared(&pack(&head, STAMP)), Err(UnpackError::Owner)));
}

#[test]
fn another_format_is_named() {
    let mut bytes = packed_heads()[0].clone();
    bytes[4] = 9;
    assert!(matches!(unpack(&bytes), Err(UnpackError::Version { got: 9 })));
    bytes[0] = b'?';
    assert!(matches!(unpack(&bytes), Err(UnpackError::Magic)));
}

/// What the README says of heads on 384 features.
#[test]
fn packed_heads_take_no_more_bytes_than_promised() {
    let shared = shared(384, 384, 2);
    let bytes = |kind| {
        let weights = weights(kind, 384, |i| (i as f32).sin()).to_precision(Precision::Int8);
        pack(&shared.head(weights).unwrap(), STAMP).len()
    };
    let linear = bytes(Kind::Linear);
    assert!(linear < 1024, "{linear}");
    let low_rank = bytes(Kind::LowRank { inner: 384, rank: 4 });
    assert!((3500..4096).contains(&low_rank), "{low_rank}");
}
