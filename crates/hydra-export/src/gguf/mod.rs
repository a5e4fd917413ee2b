//! Reading GGUF files, which come from anywhere.
//!
//! The header is walked once within bounds: no length, count, offset or alignment is believed before it was compared
//! with the file, and nothing is allocated for what a number only claims. Tensors stay where they lie, in a mapped file,
//! until [`Gguf::tensor`] makes numbers of one.
#![allow(unsafe_code)]

mod cursor;
mod error;
mod four_bits;
mod super_block;
mod tensor_type;
mod value;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use cursor::Cursor;
pub use error::GgufError;
pub(crate) use four_bits::FourBitBlocks;
pub use tensor_type::TensorType;
pub use value::Value;

/// A GGUF file whose header holds.
pub struct Gguf {
    bytes: Bytes,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

/// Where a tensor lies and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Axes, the slowest first: a matrix is `[rows, columns]`.
    pub shape: Vec<usize>,
    /// The number type.
    pub tensor_type: TensorType,
    start: usize,
    end: usize,
}

enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Gguf {
    /// Opens a file. It is mapped, not read: nobody may change it while it is open.
    ///
    /// # Errors
    /// [`GgufError`], with the first thing that does not hold.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let io = |source| GgufError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        // SAFETY: the file is only read; that it does not change while it is open is asked of the caller, as it is for
        // every mapped model file.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Self::new(Bytes::Mapped(map))
    }

    /// Reads a file that is already in memory.
    ///
    /// # Errors
    /// [`GgufError`], with the first thing that does not hold.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, GgufError> {
        Self::new(Bytes::Owned(bytes))
    }

    /// The metadata by key.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// The tensors by name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The numbers of a tensor, row after row.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>, GgufError> {
        let info = self.tensors.get(name).ok_or_else(|| GgufError::MissingTensor { name: name.to_owned() })?;
        Ok(info.tensor_type.dequantize(&self.bytes.as_slice()[info.start..info.end]))
    }

    /// A whole number of the metadata.
    pub(crate) fn number(&self, key: &str) -> Result<usize, GgufError> {
        let value = self.metadata.get(key).and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| GgufError::Metadata { key: key.to_owned() })
    }

    /// A text of the metadata.
    pub(crate) fn text(&self, key: &str) -> Result<&str, GgufError> {
        self.metadata.get(key).and_then(Value::as_text).ok_or_else(|| GgufError::Metadata { key: key.to_owned() })
    }

    fn new(bytes: Bytes) -> Result<Self, GgufError> {
        let (metadata, tensors) = header(bytes.as_slice())?;
        Ok(Self { bytes, metadata, tensors })
    }
}

impl std::fmt::Debug for Gguf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, tensors) = (self.metadata.len(), self.tensors.len());
        f.debug_struct("Gguf").field("keys", &keys).field("tensors", &tensors).finish_non_exhaustive()
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, TensorInfo>);

fn header(bytes: &[u8]) -> Result<Header, GgufError> {
    let mut cursor = Cursor::new(bytes);
    if cursor.take(4, "the magic").ok() != Some(b"GGUF") {
        return Err(GgufError::NotGguf);
    }
    let version = cursor.u32("the version")?;
    if !matches!(version, 2 | 3) {
        return Err(GgufError::Version { found: version });
    }
    // A tensor takes 24 bytes of header at least, a key and its value 13.
    let tensor_count = cursor.count(24, MAX_ENTRIES, "tensors")?;
    let key_count = cursor.count(13, MAX_ENTRIES, "metadata keys")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..key_count {
        let key = cursor.text("a metadata key")?;
        let value = Value::read(&mut cursor, key)?;
        if metadata.insert(key.to_owned(), value).is_some() {
            return Err(GgufError::Duplicate { name: cut(key) });
        }
    }
    let alignment = alignment(&metadata)?;
    let mut found = Vec::new();
    for _ in 0..tensor_count {
        found.push(read_info(&mut cursor)?);
    }
    let start = cursor.at().next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    for (name, shape, tensor_type, offset) in found {
        let info = place(&name, shape, tensor_type, offset, start, alignment, bytes.len())?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(GgufError::Duplicate { name: cut(&name) });
        }
    }
    Ok((metadata, tensors))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<usize, GgufError> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    let found = value.as_u64().ok_or_else(|| GgufError::Metadata { key: "general.alignment".to_owned() })?;
    let allowed = usize::try_from(found).ok().filter(|a| a.is_power_of_two() && *a <= MAX_ALIGNMENT);
    allowed.ok_or(GgufError::Alignment { found })
}

fn read_info(cursor: &mut Cursor<'_>) -> Result<(String, Vec<usize>, TensorType, u64), GgufError> {
    let name = cursor.text("a tensor name")?;
    let axes = cursor.u32("a tensor's axes")?;
    if axes == 0 || axes > MAX_AXES {
        return Err(GgufError::Shape { name: cut(name) });
    }
    let size = |_| {
        let size = cursor.u64("a tensor's axes")?;
        usize::try_from(size).ok().filter(|size| *size > 0).ok_or_else(|| GgufError::Shape { name: cut(name) })
    };
    let mut shape = (0..axes).map(size).collect::<Result<Vec<_>, _>>()?;
    shape.reverse();
    let code = cursor.u32("a tensor's type")?;
    let tensor_type =
        TensorType::from_code(code).ok_or_else(|| GgufError::TensorType { name: cut(name), found: code })?;
    Ok((name.to_owned(), shape, tensor_type, cursor.u64("a tensor's offset")?))
}

fn place(
    name: &str,
    shape: Vec<usize>,
    tensor_type: TensorType,
    offset: u64,
    data_start: usize,
    alignment: usize,
    file_len: usize,
) -> Result<TensorInfo, GgufError> {
    let row = *shape.last().expect("a tensor has an axis");
    let numbers = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    let bytes = numbers.filter(|_| row.is_multiple_of(tensor_type.block_len()));
    let bytes = bytes.and_then(|n| (n / tensor_type.block_len()).checked_mul(tensor_type.block_bytes()));
    let bytes = bytes.ok_or_else(|| GgufError::Shape { name: cut(name) })?;
    let start = usize::try_from(offset).ok().filter(|at| at.is_multiple_of(alignment));
    let start = start.and_then(|at| at.checked_add(data_start));
    let end = start.and_then(|start| start.checked_add(bytes)).filter(|end| *end <= file_len);
    match (start, end) {
        (Some(start), Some(end)) => Ok(TensorInfo { shape, tensor_type, start, end }),
        _ => Err(GgufError::Place { name: cut(name) }),
    }
}

/// A name that came from a file, short enough for a message.
fn cut(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Tensors or keys; the largest published models have some thousands.
const MAX_ENTRIES: u64 = 100_000;
/// What the format allows.
const MAX_AXES: u32 = 4;
const DEFAULT_ALIGNMENT: usize = 32;
const MAX_ALIGNMENT: usize = 1 << 16;
