//! One tensor: type, shape, and the place where its numbers lie.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::wire::{Field, Fields, Packed};
use super::{CheckError, MAX_DIMS, MAX_EDGES, graph};

/// What a checked tensor is called, how many bytes its numbers are, and where they lie if they lie in one piece.
pub(super) struct CheckedTensor<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: u64,
    pub(super) code: u64,
    pub(super) dims: Vec<i64>,
    pub(super) place: Option<Place<'a>>,
}

/// Where the numbers of a tensor lie.
pub(super) enum Place<'a> {
    Inside(&'a [u8]),
    Beside { location: &'a str, offset: u64 },
}

/// Checks a `TensorProto`.
pub(super) fn check<'a>(
    message: Fields<'a>,
    data: &BTreeMap<String, Arc<[u8]>>,
) -> Result<CheckedTensor<'a>, CheckError> {
    let mut tensor = Tensor::default();
    for field in message {
        tensor.field(field?)?;
    }
    let (bytes, place) = tensor.verify(data)?;
    let (name, code) = (tensor.name.unwrap_or(""), tensor.code.unwrap_or(0));
    Ok(CheckedTensor { name, bytes, code, dims: tensor.dims, place })
}

#[derive(Default)]
struct Tensor<'a> {
    name: Option<&'a str>,
    code: Option<u64>,
    dims: Vec<i64>,
    raw: Option<&'a [u8]>,
    /// Numbers in the typed fields: which field, how many.
    typed: Option<(u32, u64)>,
    external: bool,
    entries: Vec<(&'a str, &'a str)>,
    has_location: bool,
}

impl<'a> Tensor<'a> {
    fn field(&mut self, field: Field<'a>) -> Result<(), CheckError> {
        match field.number {
            DIMS => field.ints(&mut self.dims, MAX_DIMS)?,
            DATA_TYPE => graph::once(&mut self.code, field.varint()?, "a tensor's type")?,
            SEGMENT => return Err(CheckError::Unsupported { what: "tensors in segments" }),
            FLOAT_DATA => self.typed(field, Packed::Fixed32)?,
            DOUBLE_DATA => self.typed(field, Packed::Fixed64)?,
            INT32_DATA | INT64_DATA | UINT64_DATA => self.typed(field, Packed::Varints)?,
            STRING_DATA => return Err(CheckError::Unsupported { what: "tensors of strings" }),
            NAME => graph::once(&mut self.name, graph::name(field)?, "a tensor's name")?,
            RAW_DATA => graph::once(&mut self.raw, field.bytes()?, "a tensor's bytes")?,
            EXTERNAL_DATA => {
                if self.entries.len() == MAX_EDGES {
                    return Err(CheckError::TooMany { what: "external entries of one tensor", limit: MAX_EDGES });
                }
                self.entries.push(entry(field.message()?)?);
            }
            DATA_LOCATION => {
                if self.has_location {
                    return Err(CheckError::Repeated { what: "a tensor's data location" });
                }
                self.has_location = true;
                self.external = match field.varint()? {
                    0 => false,
                    1 => true,
                    _ => return Err(CheckError::Unsupported { what: "an unknown data location" }),
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn typed(&mut self, field: Field<'a>, packed: Packed) -> Result<(), CheckError> {
        let count = field.count(packed)?;
        match &mut self.typed {
            Some((number, so_far)) if *number == field.number => *so_far += count,
            Some(_) => return Err(CheckError::TensorStorage { tensor: self.display() }),
            none => *none = Some((field.number, count)),
        }
        Ok(())
    }

    fn verify(&self, data: &BTreeMap<String, Arc<[u8]>>) -> Result<(u64, Option<Place<'a>>), CheckError> {
        let code = self.code.ok_or(CheckError::Missing { what: "type of a tensor" })?;
        let (bits, field) = storage(code).ok_or_else(|| CheckError::TensorType { tensor: self.display(), code })?;
        let numbers = self
            .dims
            .iter()
            .try_fold(1_u64, |product, &dim| product.checked_mul(u64::try_from(dim).ok()?))
            .ok_or_else(|| CheckError::TensorShape { tensor: self.display() })?;
        let expected = numbers
            .checked_mul(bits)
            .and_then(|bits| bits.checked_add(7))
            .map(|bits| bits / 8)
            .ok_or_else(|| CheckError::TensorShape { tensor: self.display() })?;
        let found = match (self.external, self.raw, self.typed) {
            (true, None, None) => return self.external(expected, data).map(|place| (expected, Some(place))),
            (false, Some(raw), None) if self.entries.is_empty() => raw.len() as u64,
            // Numbers in typed fields are compared by count; two 4-bit numbers share one entry.
            (false, None, Some((number, count))) if self.entries.is_empty() && number == field => {
                let entries = if bits == 4 { numbers.div_ceil(2) } else { numbers };
                if count == entries { expected } else { count.saturating_mul(bits.max(8) / 8) }
            }
            (false, None, None) if self.entries.is_empty() => 0,
            _ => return Err(CheckError::TensorStorage { tensor: self.display() }),
        };
        if found == expected {
            Ok((expected, self.raw.map(Place::Inside)))
        } else {
            Err(CheckError::TensorLength { tensor: self.display(), expected, found })
        }
    }

    fn external(&self, expected: u64, data: &BTreeMap<String, Arc<[u8]>>) -> Result<Place<'a>, CheckError> {
        let refused = || CheckError::ExternalEntry { tensor: self.display() };
        let (mut location, mut offset, mut length) = (None, None, None);
        for &(key, value) in &self.entries {
            let slot = match key {
                "location" => &mut location,
                "offset" => &mut offset,
                "length" => &mut length,
                // A hash that somebody else wrote; ours is in the manifest.
                "checksum" => continue,
                _ => return Err(refused()),
            };
            if slot.replace(value).is_some() {
                return Err(refused());
            }
        }
        let number = |text: Option<&str>, default| match text {
            None => Ok(default),
            // `u64::from_str` takes a plus sign, other parsers do not.
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().map_err(|_| refused()),
            Some(_) => Err(refused()),
        };
        let location = location.ok_or_else(refused)?;
        if !is_file_name(location) {
            return Err(CheckError::ExternalPath { tensor: self.display() });
        }
        let file = data
            .get(location)
            .ok_or_else(|| CheckError::ExternalFile { tensor: self.display(), location: location.to_owned() })?;
        let file = file.len() as u64;
        let offset = number(offset, 0)?;
        let length = number(length, file.saturating_sub(offset))?;
        if offset.checked_add(length).is_none_or(|end| end > file) {
            return Err(CheckError::ExternalRange { tensor: self.display(), offset, length, file });
        }
        if length != expected {
            return Err(CheckError::TensorLength { tensor: self.display(), expected, found: length });
        }
        Ok(Place::Beside { location, offset })
    }

    fn display(&self) -> String {
        self.name.unwrap_or("without a name").to_owned()
    }
}

/// A plain file name on every platform: no separator, no drive, no way up.
pub(crate) fn is_file_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn entry(message: Fields<'_>) -> Result<(&str, &str), CheckError> {
    let (mut key, mut value) = (None, None);
    for field in message {
        let field = field?;
        match field.number {
            1 => graph::once(&mut key, graph::name(field)?, "the key of an entry")?,
            2 => graph::once(&mut value, graph::name(field)?, "the value of an entry")?,
            _ => {}
        }
    }
    Ok((key.unwrap_or(""), value.unwrap_or("")))
}

/// Bits of a number, and the typed field that may hold such numbers.
///
/// # Source
/// `onnx.proto` of ONNX 1.23, `TensorProto.DataType` and the comments on its data fields.
const fn storage(code: u64) -> Option<(u64, u32)> {
    Some(match code {
        1 => (32, FLOAT_DATA),
        2 | 3 | 9 => (8, INT32_DATA),
        4 | 5 | 10 | 16 => (16, INT32_DATA),
        6 => (32, INT32_DATA),
        7 => (64, INT64_DATA),
        11 => (64, DOUBLE_DATA),
        12 => (32, UINT64_DATA),
        13 => (64, UINT64_DATA),
        21 | 22 => (4, INT32_DATA),
        _ => return None,
    })
}

// Field numbers of `TensorProto`.
const DIMS: u32 = 1;
const DATA_TYPE: u32 = 2;
const SEGMENT: u32 = 3;
const FLOAT_DATA: u32 = 4;
const INT32_DATA: u32 = 5;
const STRING_DATA: u32 = 6;
const INT64_DATA: u32 = 7;
const NAME: u32 = 8;
const RAW_DATA: u32 = 9;
const DOUBLE_DATA: u32 = 10;
const UINT64_DATA: u32 = 11;
const EXTERNAL_DATA: u32 = 13;
const DATA_LOCATION: u32 = 14;
