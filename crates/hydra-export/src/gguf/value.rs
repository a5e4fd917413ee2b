//! Metadata values.

use super::GgufError;
use super::cursor::Cursor;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Any of the unsigned types.
    Unsigned(u64),
    /// Any of the signed types.
    Signed(i64),
    /// Either float type.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
}

impl Value {
    /// The number, if it is one that is whole and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The float, if it is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Float(value) = self { Some(*value) } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    /// The texts, if it is a list of them.
    #[must_use]
    pub fn as_texts(&self) -> Option<&[String]> {
        if let Self::Texts(values) = self { Some(values) } else { None }
    }

    /// The whole numbers, if it is a list of them.
    #[must_use]
    pub fn as_integers(&self) -> Option<&[i64]> {
        if let Self::Integers(values) = self { Some(values) } else { None }
    }

    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, GgufError> {
        let kind = cursor.u32("a value type")?;
        match kind {
            TEXT => Ok(Self::Text(cursor.text("a metadata value")?.to_owned())),
            ARRAY => Self::read_array(cursor, key),
            _ => scalar(cursor, key, kind),
        }
    }

    fn read_array(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, GgufError> {
        let kind = cursor.u32("a value type")?;
        if kind == TEXT {
            // A text takes at least its length's eight bytes in the file, so the list is bounded by the file.
            let count = cursor.count(8, MAX_ELEMENTS, "list elements")?;
            let text = |_| cursor.text("a metadata value").map(str::to_owned);
            return (0..count).map(text).collect::<Result<_, _>>().map(Self::Texts);
        }
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            _ => return Err(GgufError::ValueType { key: super::cut(key), found: kind }),
        };
        let count = cursor.count(size, MAX_ELEMENTS, "list elements")?;
        if matches!(kind, 6 | 12) {
            let mut float = |_| scalar(cursor, key, kind).map(|value| value.as_f64().unwrap_or_default());
            #[allow(clippy::cast_possible_truncation, reason = "lists of doubles are kept as floats")]
            return (0..count).map(|at| float(at).map(|v| v as f32)).collect::<Result<_, _>>().map(Self::Floats);
        }
        let whole = |_| {
            scalar(cursor, key, kind).map(|value| match value {
                Self::Unsigned(value) => i64::try_from(value).unwrap_or(i64::MAX),
                Self::Signed(value) => value,
                other => i64::from(other == Self::Bool(true)),
            })
        };
        (0..count).map(whole).collect::<Result<_, _>>().map(Self::Integers)
    }
}

fn scalar(cursor: &mut Cursor<'_>, key: &str, kind: u32) -> Result<Value, GgufError> {
    let what = "a metadata value";
    Ok(match kind {
        0 => Value::Unsigned(u8::from_le_bytes(cursor.array(what)?).into()),
        1 => Value::Signed(i8::from_le_bytes(cursor.array(what)?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(cursor.array(what)?).into()),
        3 => Value::Signed(i16::from_le_bytes(cursor.array(what)?).into()),
        4 => Value::Unsigned(cursor.u32(what)?.into()),
        5 => Value::Signed(i32::from_le_bytes(cursor.array(what)?).into()),
        6 => Value::Float(f32::from_le_bytes(cursor.array(what)?).into()),
        7 => Value::Bool(cursor.array::<1>(what)? != [0]),
        10 => Value::Unsigned(cursor.u64(what)?),
        11 => Value::Signed(i64::from_le_bytes(cursor.array(what)?)),
        12 => Value::Float(f64::from_le_bytes(cursor.array(what)?)),
        found => return Err(GgufError::ValueType { key: super::cut(key), found }),
    })
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;
/// The largest vocabularies have some hundred thousand entries.
const MAX_ELEMENTS: u64 = 1 << 24;
