//! The protobuf wire format, read in place.
//!
//! Nothing is copied and nothing is allocated: a claimed length is compared with the bytes that are there before it is
//! used, so that a hostile file costs no more than its own size.

use super::CheckError;

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// What a field holds, as far as the wire format tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of one message, in the order in which they stand. Ends after the first error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, CheckError> {
        let tag = varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| CheckError::FieldNumber)?;
        if number == 0 || number > MAX_FIELD_NUMBER {
            return Err(CheckError::FieldNumber);
        }
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => {
                take(&mut self.rest, 8)?;
                Value::Fixed64
            }
            2 => {
                let len = usize::try_from(varint(&mut self.rest)?).map_err(|_| CheckError::Truncated)?;
                Value::Bytes(take(&mut self.rest, len)?)
            }
            5 => {
                take(&mut self.rest, 4)?;
                Value::Fixed32
            }
            // Groups have been obsolete since before ONNX existed; 6 and 7 were never given out.
            _ => return Err(CheckError::WireType { field: number }),
        };
        Ok(Field { number, value })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, CheckError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    pub(super) fn varint(self) -> Result<u64, CheckError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(CheckError::WireType { field: self.number }),
        }
    }

    /// A signed 64-bit number, which protobuf writes in two's complement.
    pub(super) fn int(self) -> Result<i64, CheckError> {
        self.varint().map(u64::cast_signed)
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], CheckError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(CheckError::WireType { field: self.number }),
        }
    }

    pub(super) fn message(self) -> Result<Fields<'a>, CheckError> {
        self.bytes().map(Fields::new)
    }

    /// How many numbers a repeated field adds: one, or as many as are packed in it.
    pub(super) fn count(self, packed: Packed) -> Result<u64, CheckError> {
        let wrong = CheckError::WireType { field: self.number };
        match (self.value, packed) {
            (Value::Varint(_), Packed::Varints)
            | (Value::Fixed32, Packed::Fixed32)
            | (Value::Fixed64, Packed::Fixed64) => Ok(1),
            (Value::Bytes(bytes), Packed::Varints) => {
                let (mut rest, mut count) = (bytes, 0);
                while !rest.is_empty() {
                    varint(&mut rest)?;
                    count += 1;
                }
                Ok(count)
            }
            (Value::Bytes(bytes), Packed::Fixed32) if bytes.len() % 4 == 0 => Ok(bytes.len() as u64 / 4),
            (Value::Bytes(bytes), Packed::Fixed64) if bytes.len() % 8 == 0 => Ok(bytes.len() as u64 / 8),
            _ => Err(wrong),
        }
    }

    /// Appends the numbers of a repeated integer field, at most until `into` holds `limit` of them.
    pub(super) fn ints(self, into: &mut Vec<i64>, limit: usize) -> Result<(), CheckError> {
        let mut push = |value: u64| {
            if into.len() == limit {
                return Err(CheckError::TooMany { what: "dimensions", limit });
            }
            into.push(value.cast_signed());
            Ok(())
        };
        match self.value {
            Value::Varint(value) => push(value),
            Value::Bytes(mut rest) => {
                while !rest.is_empty() {
                    push(varint(&mut rest)?)?;
                }
                Ok(())
            }
            _ => Err(CheckError::WireType { field: self.number }),
        }
    }
}

/// How the numbers of a repeated field stand when they are packed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packed {
    Varints,
    Fixed32,
    Fixed64,
}

fn varint(rest: &mut &[u8]) -> Result<u64, CheckError> {
    let mut value = 0_u64;
    for (at, &byte) in rest.iter().enumerate().take(MAX_VARINT_BYTES) {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if at == MAX_VARINT_BYTES - 1 && bits > 1 {
            return Err(CheckError::Varint);
        }
        value |= bits << (7 * at);
        if byte & 0x80 == 0 {
            *rest = &rest[at + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < MAX_VARINT_BYTES { CheckError::Truncated } else { CheckError::Varint })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], CheckError> {
    let (taken, left) = rest.split_at_checked(len).ok_or(CheckError::Truncated)?;
    *rest = left;
    Ok(taken)
}

const MAX_VARINT_BYTES: usize = 10;
const MAX_FIELD_NUMBER: u32 = (1 << 29) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Result<Field<'_>, CheckError>]) {
        let got: Vec<_> = Fields::new(bytes).collect();
        assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }

    // Published vectors: protobuf.dev/programming-guides/encoding.
    #[test]
    fn the_examples_of_the_encoding_guide() {
        check(&[0x08, 0x96, 0x01], &[Ok(Field { number: 1, value: Value::Varint(150) })]);
        check(
            &[0x12, 0x07, b't', b'e', b's', b't', b'i', b'n', b'g'],
            &[Ok(Field { number: 2, value: Value::Bytes(b"testing") })],
        );
        let packed = Fields::new(&[0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]).next().unwrap().unwrap();
        let mut numbers = Vec::new();
        packed.ints(&mut numbers, 3).unwrap();
        assert_eq!(numbers, [3, 270, 86942]);
        assert_eq!(packed.count(Packed::Varints).unwrap(), 3);
        assert!(packed.ints(&mut Vec::new(), 2).is_err());
    }

    #[test]
    fn what_is_no_message_ends_with_one_error() {
        check(&[0x08], &[Err(CheckError::Truncated)]);
        check(&[0x12, 0x05, 1], &[Err(CheckError::Truncated)]);
        check(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &[Err(CheckError::Truncated)]);
        check(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], &[Err(CheckError::Varint)]);
        check(&[0x00, 0x00], &[Err(CheckError::FieldNumber)]);
        check(&[0x0b], &[Err(CheckError::WireType { field: 1 })]);
        check(&[0x09, 1, 2, 3], &[Err(CheckError::Truncated)]);
    }

    #[test]
    fn minus_one_is_ten_bytes() {
        let bytes = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Fields::new(&bytes).next().unwrap().unwrap().int().unwrap(), -1);
    }
}
