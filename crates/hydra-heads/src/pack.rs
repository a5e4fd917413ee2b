//! Heads as bytes: a bincode header, the numbers in little-endian order, a checksum.
//!
//! ```text
//! header   bincode 2, legacy configuration: magic, format version, kind, precision, body, checksum of the shared
//!          numbers, owner, generation, width of the features, two dimensions of the kind
//! numbers  the kind's matrices in order; each: one f32 factor a row unless it is f32, then its numbers row by row
//! check    the first eight bytes of the SHA-256 of all that stands before
//! ```
//!
//! Reading never allocates more than the bytes it was given justify: the header is of one size, and the numbers must be
//! exactly as many bytes as the header's shape says before any of them is read. The checksum is for accidents;
//! whether bytes are *authentic* is the business of whoever stores them.

use half::f16;
use hydra_types::{Fingerprint, Generation, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::head::Head;
use crate::matrix::{Matrix, Numbers};
use crate::precision::Precision;
use crate::weights::{Block, Kind, Weights, WeightsError};

/// Whose head it is, and for which state of that user's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Whose.
    pub user: UserId,
    /// The generation of the user's data that the head was fitted on.
    pub generation: Generation,
}

/// A user's head as bytes, in the precision that it has.
///
/// # Panics
/// If a dimension of the head is above 65,536.
#[must_use]
pub fn pack(head: &Head, stamp: Stamp) -> Vec<u8> {
    let owner = Owner { shared: false, user: stamp.user.get(), generation: stamp.generation.get() };
    write(head.weights(), head.body(), head.base(), owner)
}

/// A prior head or facets as bytes.
///
/// # Panics
/// If a dimension is above 65,536.
#[must_use]
pub fn pack_shared(weights: &Weights, body: Fingerprint) -> Vec<u8> {
    let owner = Owner { shared: true, user: 0, generation: 0 };
    write(weights, body, 0, owner)
}

/// A user's head from bytes that [`pack`] made.
///
/// # Errors
/// [`UnpackError`] for anything else. Nothing is allocated that is larger than `bytes`.
pub fn unpack(bytes: &[u8]) -> Result<(Stamp, Head), UnpackError> {
    let (header, weights) = read(bytes)?;
    if header.owner.shared {
        return Err(UnpackError::Owner);
    }
    let stamp = Stamp { user: UserId::new(header.owner.user), generation: Generation::new(header.owner.generation) };
    Ok((stamp, Head::bound(weights, Fingerprint::new(header.body), header.base)))
}

/// A prior head or facets, and their body, from bytes that [`pack_shared`] made.
///
/// # Errors
/// [`UnpackError`] for anything else. Nothing is allocated that is larger than `bytes`.
pub fn unpack_shared(bytes: &[u8]) -> Result<(Fingerprint, Weights), UnpackError> {
    let (header, weights) = read(bytes)?;
    if !header.owner.shared {
        return Err(UnpackError::Owner);
    }
    Ok((Fingerprint::new(header.body), weights))
}

/// Bytes that are no head, or none that this version can read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// Cut off, or longer than the head.
    #[error("a packed head of this shape has {expected} bytes, got {got}: write it again")]
    Length {
        /// Of a head of the shape in the header, or of the smallest head where there is not even a header.
        expected: usize,
        /// As given.
        got: usize,
    },
    /// Not a head at all.
    #[error("these bytes are no packed head")]
    Magic,
    /// From another time.
    #[error("a packed head of format {got}, this version reads {VERSION}: pack it again")]
    Version {
        /// As written.
        got: u16,
    },
    /// Damaged on the way.
    #[error("a packed head's checksum does not hold: restore it or fit it again")]
    Checksum,
    /// The header does not read as one.
    #[error("a packed head's header does not read")]
    Header(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A kind, precision or shape that this version does not know.
    #[error("a packed head with an unknown {what} ({got}): a newer version may have written it")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// As written.
        got: u32,
    },
    /// A user's head where a shared one is expected, or the other way round.
    #[error(
        "a user's head and a shared one were mixed up: users' heads are read by `unpack`, shared ones by `unpack_shared`"
    )]
    Owner,
    /// Numbers that are no head.
    #[error("a packed head's numbers are no head")]
    Weights(#[from] WeightsError),
}

#[derive(Serialize, Deserialize)]
struct Header {
    magic: [u8; 4],
    version: u16,
    kind: u8,
    precision: u8,
    body: [u8; 32],
    base: u64,
    owner: Owner,
    hidden: u32,
    dimensions: [u32; 2],
}

#[derive(Serialize, Deserialize)]
struct Owner {
    shared: bool,
    user: u128,
    generation: u64,
}

/// Appends the factors and numbers of all matrices.
pub(crate) fn write_numbers(weights: &Weights, bytes: &mut Vec<u8>) {
    for matrix in weights.matrices() {
        match matrix.numbers() {
            Numbers::F32(numbers) => write_f32(numbers, bytes),
            Numbers::F16(numbers, scales) => {
                write_f32(scales, bytes);
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Numbers::Int8(numbers, scales) => {
                write_f32(scales, bytes);
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
    }
}

fn write(weights: &Weights, body: Fingerprint, base: u64, owner: Owner) -> Vec<u8> {
    let (kind, dimensions) = code_of(weights.kind());
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        kind,
        precision: match weights.precision() {
            Precision::F32 => 0,
            Precision::F16 => 1,
            Precision::Int8 => 2,
        },
        body: *body.as_bytes(),
        base,
        owner,
        hidden: dimension(weights.hidden()),
        dimensions: dimensions.map(dimension),
    };
    let mut bytes = bincode::serde::encode_to_vec(&header, bincode::config::legacy())
        .expect("a header of plain numbers is always encoded");
    debug_assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.reserve_exact(weights.bytes() + CHECK_BYTES);
    write_numbers(weights, &mut bytes);
    let check = check(&bytes);
    bytes.extend(check);
    bytes
}

fn read(bytes: &[u8]) -> Result<(Header, Weights), UnpackError> {
    let (Some(head), Some(magic)) = (bytes.get(..HEADER_BYTES), bytes.get(..MAGIC.len())) else {
        let expected = HEADER_BYTES + CHECK_BYTES;
        let got = bytes.len();
        return Err(UnpackError::Length { expected, got });
    };
    if magic != MAGIC {
        return Err(UnpackError::Magic);
    }
    let config = bincode::config::legacy().with_limit::<HEADER_BYTES>();
    let (header, _): (Header, usize) =
        bincode::serde::decode_from_slice(head, config).map_err(|error| UnpackError::Header(Box::new(error)))?;
    if header.version != VERSION {
        return Err(UnpackError::Version { got: header.version });
    }
    let (kind, hidden) = kind_of(&header)?;
    let precision = match header.precision {
        0 => Precision::F32,
        1 => Precision::F16,
        2 => Precision::Int8,
        got => return Err(unknown("precision", got.into())),
    };
    let blocks = kind.blocks(hidden);
    let payload: usize = blocks.iter().map(|&block| bytes_of(block, precision)).sum();
    let expected = HEADER_BYTES + payload + CHECK_BYTES;
    if bytes.len() != expected {
        let got = bytes.len();
        return Err(UnpackError::Length { expected, got });
    }
    let (content, stored) = bytes.split_at(bytes.len() - CHECK_BYTES);
    if check(content) != stored {
        return Err(UnpackError::Checksum);
    }
    let mut rest = &content[HEADER_BYTES..];
    let matrices = blocks.into_iter().map(|block| {
        let (numbers, after) = rest.split_at(bytes_of(block, precision));
        rest = after;
        read_matrix(block, precision, numbers)
    });
    let matrices = matrices.collect();
    Ok((header, Weights::checked(kind, hidden, matrices)?))
}

fn read_matrix(block: Block, precision: Precision, bytes: &[u8]) -> Matrix {
    let numbers = match stored_as(block, precision) {
        Precision::F32 => Numbers::F32(read_f32(bytes)),
        Precision::F16 => {
            let (scales, halves) = bytes.split_at(block.n_rows * 4);
            let halves = halves.as_chunks().0.iter().map(|&two| f16::from_le_bytes(two));
            Numbers::F16(halves.collect(), read_f32(scales))
        }
        Precision::Int8 => {
            let (scales, codes) = bytes.split_at(block.n_rows * 4);
            let codes = codes.iter().map(|&one| i8::from_le_bytes([one]));
            Numbers::Int8(codes.collect(), read_f32(scales))
        }
    };
    Matrix::new(block.n_rows, block.cols, numbers)
}

fn write_f32(numbers: &[f32], bytes: &mut Vec<u8>) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn read_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

fn stored_as(block: Block, precision: Precision) -> Precision {
    if block.compresses { precision } else { Precision::F32 }
}

fn bytes_of(block: Block, precision: Precision) -> usize {
    let numbers = block.n_rows * block.cols;
    match stored_as(block, precision) {
        Precision::F32 => numbers * 4,
        Precision::F16 => numbers * 2 + block.n_rows * 4,
        Precision::Int8 => numbers + block.n_rows * 4,
    }
}

fn code_of(kind: Kind) -> (u8, [usize; 2]) {
    match kind {
        Kind::TwoLayer { inner } => (1, [inner, 0]),
        Kind::Linear => (2, [0, 0]),
        Kind::LowRank { inner, rank } => (3, [inner, rank]),
        Kind::Routing { facets } => (4, [facets, 0]),
        Kind::Facets { facets } => (5, [facets, 0]),
    }
}

/// The kind and the width, each dimension within bounds that keep every product of two far from overflow.
fn kind_of(header: &Header) -> Result<(Kind, usize), UnpackError> {
    let [first, second] = header.dimensions;
    let bounded = |what, dimension: u32| match usize::try_from(dimension) {
        Ok(fits) if (1..=MAX_DIMENSION).contains(&fits) => Ok(fits),
        _ => Err(unknown(what, dimension)),
    };
    let unused = |dimension: u32| match dimension {
        0 => Ok(()),
        got => Err(unknown("dimension", got)),
    };
    let hidden = bounded("width", header.hidden)?;
    let kind = match header.kind {
        1 => Kind::TwoLayer { inner: bounded("inner width", first)? },
        2 => {
            unused(first)?;
            Kind::Linear
        }
        3 => Kind::LowRank { inner: bounded("inner width", first)?, rank: bounded("rank", second)? },
        4 => Kind::Routing { facets: bounded("number of facets", first)? },
        5 => Kind::Facets { facets: bounded("number of facets", first)? },
        got => return Err(unknown("kind", got.into())),
    };
    if !matches!(kind, Kind::LowRank { .. }) {
        unused(second)?;
    }
    Ok((kind, hidden))
}

fn unknown(what: &'static str, got: u32) -> UnpackError {
    UnpackError::Unknown { what, got }
}

fn dimension(number: usize) -> u32 {
    assert!(number <= MAX_DIMENSION, "dimensions of a head are at most {MAX_DIMENSION}");
    u32::try_from(number).expect("bounded above")
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    digest[..CHECK_BYTES].try_into().expect("a SHA-256 has 32 bytes")
}

const MAGIC: [u8; 4] = *b"HYHD";
const VERSION: u16 = 1;
/// All fields of [`Header`], which the legacy configuration writes in fixed sizes.
const HEADER_BYTES: usize = 4 + 2 + 1 + 1 + 32 + 8 + (1 + 16 + 8) + 4 + 8;
const CHECK_BYTES: usize = 8;
/// Two of these multiplied, times four bytes, are far below the largest `usize` of 64 bits.
const MAX_DIMENSION: usize = 65_536;

#[cfg(test)]
mod tests;
