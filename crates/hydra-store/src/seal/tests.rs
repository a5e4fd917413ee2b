use super::*;

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn the_published_vector_comes_out() {
    let key: [u8; 32] = std::array::from_fn(|i| 0x80 + u8::try_from(i).unwrap());
    let nonce: Nonce = std::array::from_fn(|i| 0x40 + u8::try_from(i).unwrap());
    let context = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let sealed = Cipher::new(&key).seal(&nonce, &context, plain);
    assert_eq!(sealed[..24], nonce);
    assert_eq!(sealed[24..32], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
    let tag = [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
    assert_eq!(sealed[24 + plain.len()..], tag);
    assert_eq!(Cipher::new(&key).open(&context, sealed).unwrap(), plain);
}

#[test]
fn one_other_bit_and_nothing_opens() {
    let keys = UserKeys::random([1; 16], UserId::new(2)).unwrap();
    let sealed = keys.seal(&[3; 24], b"row", b"value");
    assert_eq!(keys.open(b"row", sealed.clone()).unwrap(), b"value");
    for bit in 0..8 * sealed.len() {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.open(b"row", bad).is_none(), "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(keys.open(b"row", sealed[..len].to_vec()).is_none(), "{len} bytes");
    }
    assert!(keys.open(b"rov", sealed.clone()).is_none());
    let secret = Zeroizing::new(keys.secret().to_vec());
    for (store, user) in [([0; 16], 2), ([1; 16], 3)] {
        let other = UserKeys::new(store, UserId::new(user), secret.clone());
        assert!(other.open(b"row", sealed.clone()).is_none());
    }
}

#[test]
fn a_mark_follows_the_value_and_the_key() {
    let keys = UserKeys::random([1; 16], UserId::new(2)).unwrap();
    let sealed = keys.seal(&[3; 24], b"row", b"value");
    assert_eq!(keys.mark(&sealed), keys.mark(&sealed));
    assert_ne!(keys.mark(&sealed), keys.mark(&keys.seal(&[3; 24], b"row", b"valuf")));
    assert_ne!(keys.mark(&sealed), keys.mark(&keys.seal(&[4; 24], b"row", b"value")));
    let other = UserKeys::random([1; 16], UserId::new(2)).unwrap();
    assert_ne!(keys.mark(&sealed), other.mark(&sealed));
    assert_eq!(keys.mark(&sealed[..20]), None);
}
