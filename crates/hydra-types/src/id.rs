//! Ids: who, which record, which version of a user's data.

use std::fmt;
use std::str::FromStr;

/// Whose data it is: 128 bits, so that a UUID is an id as it stands.
///
/// There is no default user and no conversion from a bare number: an id is always written out as one.
/// Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(u128);

impl UserId {
    /// The id with this number.
    #[must_use]
    pub const fn new(id: u128) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

impl FromStr for UserId {
    type Err = ParseUserIdError;

    /// Reads 32 hexadecimal digits, with or without the four dashes of a UUID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = match text.len() {
            32 => text.to_owned(),
            36 if [8, 13, 18, 23].iter().all(|&at| text.as_bytes()[at] == b'-') => text.replace('-', ""),
            _ => return Err(ParseUserIdError),
        };
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseUserIdError);
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| ParseUserIdError)
    }
}

/// A text that is not a [`UserId`]. The text itself is not kept: it may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a user id: write 32 hexadecimal digits, or a uuid")]
pub struct ParseUserIdError;

/// Which record of a user's history; unique within that history only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordId(u64);

impl RecordId {
    /// The id with this number.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many times a user's data was replaced: what was made for an older generation is stale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generation(u64);

impl Generation {
    /// The generation of a user about whom something was stored for the first time.
    pub const FIRST: Self = Self(1);

    /// The generation with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after this.
    ///
    /// # Panics
    /// After 2^64 - 1 generations.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("fewer than 2^64 generations"))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_a_user_id() {
        let id: UserId = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_no_user_id_is_refused() {
        for text in [
            "",
            "7",
            "+0112233445566778899aabbccddeeff",
            "0011223344556677-8899-aabbccddeeff--",
            "é0112233445566778899aabbccddeef",
        ] {
            assert_eq!(text.parse::<UserId>(), Err(ParseUserIdError), "{text}");
        }
    }

    #[test]
    fn generations_grow() {
        assert!(Generation::FIRST.next() > Generation::FIRST);
        assert_eq!(Generation::new(41).next().get(), 42);
    }
}
