//! Records to bytes and back, without files.

use std::collections::BTreeMap;
use std::io::{self, Read};

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use sha2::{Digest, Sha256};

use crate::{RequestKey, Response};

/// Version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
/// The most bytes of a body, compressed or not.
pub(super) const MAX_BODY: usize = 64 << 20;
/// What a file begins with.
pub(super) const HEADER: [u8; 16] = *b"hydracas\x01\0\0\0\0\0\0\0";

/// Where a body lies in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) bodies: BTreeMap<RequestKey, Span>,
    /// Where the last whole record ends; 0 if not even the header is whole.
    pub(super) end: u64,
    /// How much an unfinished record leaves behind it.
    pub(super) dropped: u64,
}

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Fault {
    NotACassette,
    Version(u32),
    Corrupt(u64),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A response as a body, or its size if it is too large.
pub(super) fn encode_body(response: &Response) -> Result<Vec<u8>, usize> {
    let json = serde_json::to_vec(response).expect("a response is plain data");
    if json.len() > MAX_BODY {
        return Err(json.len());
    }
    let body = compress_to_vec_zlib(&json, COMPRESSION);
    if body.len() > MAX_BODY { Err(body.len()) } else { Ok(body) }
}

/// The response of a body; none if it is damaged.
pub(super) fn decode_body(body: &[u8]) -> Option<Response> {
    let json = decompress_to_vec_zlib_with_limit(body, MAX_BODY).ok()?;
    serde_json::from_slice(&json).ok()
}

/// A whole record.
pub(super) fn encode_record(key: &RequestKey, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("a body is at most 64 MiB");
    let mut record = Vec::with_capacity(BEFORE_BODY + body.len() + SUM);
    record.extend(len.to_le_bytes());
    record.extend((!len).to_le_bytes());
    record.extend(key.as_bytes());
    record.extend(body);
    let sum = checksum(&record);
    record.extend(sum);
    record
}

/// Where the body lies in a record that begins at `offset`.
pub(super) fn span_of(offset: u64, body: &[u8]) -> Span {
    Span { offset: offset + BEFORE_BODY as u64, len: body.len() }
}

/// Reads and checks a file of `len` bytes.
pub(super) fn scan(mut file: impl Read, len: u64) -> Result<Contents, Fault> {
    let mut contents = Contents { bodies: BTreeMap::new(), end: 0, dropped: 0 };
    let mut header = vec![0; HEADER.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    file.read_exact(&mut header)?;
    if header.len() < HEADER.len() {
        let torn = HEADER.starts_with(&header) || header.iter().all(|&byte| byte == 0);
        contents.dropped = len;
        return if torn { Ok(contents) } else { Err(Fault::NotACassette) };
    }
    check_header(&header)?;
    contents.end = HEADER.len() as u64;
    loop {
        let (at, left) = (contents.end, len - contents.end);
        if left == 0 {
            return Ok(contents);
        }
        match read_record(&mut file, at, left)? {
            Some((key, span, end)) => {
                contents.bodies.entry(key).or_insert(span);
                contents.end = end;
            }
            None => {
                contents.dropped = left;
                return Ok(contents);
            }
        }
    }
}

fn check_header(header: &[u8]) -> Result<(), Fault> {
    if header[..8] != HEADER[..8] || header[12..] != HEADER[12..] {
        return Err(Fault::NotACassette);
    }
    match u32_at(header, 8) {
        VERSION => Ok(()),
        other => Err(Fault::Version(other)),
    }
}

/// The record at `at`, with `left` bytes to the end of the file; none if a crash cut it off.
fn read_record(file: &mut impl Read, at: u64, left: u64) -> Result<Option<(RequestKey, Span, u64)>, Fault> {
    if left < LENGTHS as u64 {
        return Ok(None);
    }
    let mut record = vec![0; LENGTHS];
    file.read_exact(&mut record)?;
    let (len, flipped) = (u32_at(&record, 0), u32_at(&record, 4));
    if flipped != !len || len as usize > MAX_BODY {
        let all_zero = record.iter().all(|&byte| byte == 0) && rest_is_zero(file)?;
        return if all_zero { Ok(None) } else { Err(Fault::Corrupt(at)) };
    }
    let whole = BEFORE_BODY + len as usize + SUM;
    if left < whole as u64 {
        return Ok(None);
    }
    record.resize(whole, 0);
    file.read_exact(&mut record[LENGTHS..])?;
    let (before, sum) = record.split_at(whole - SUM);
    if checksum(before) != sum {
        let cut_off = left == whole as u64 && sum.iter().all(|&byte| byte == 0);
        return if cut_off { Ok(None) } else { Err(Fault::Corrupt(at)) };
    }
    let key: [u8; 32] = record[LENGTHS..BEFORE_BODY].try_into().expect("a key has 32 bytes");
    let body = &record[BEFORE_BODY..whole - SUM];
    Ok(Some((RequestKey::new(key), span_of(at, body), at + whole as u64)))
}

fn rest_is_zero(file: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            n if buffer[..n].iter().any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn checksum(bytes: &[u8]) -> [u8; SUM] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    *digest.first_chunk().expect("a digest has 32 bytes")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the caller has read four more bytes"))
}

/// Both lengths.
const LENGTHS: usize = 8;
/// Lengths and key.
const BEFORE_BODY: usize = LENGTHS + 32;
/// The checksum.
const SUM: usize = 16;
/// Of 0 to 10; more costs time and saves little on texts of this size.
const COMPRESSION: u8 = 6;

#[cfg(test)]
mod tests;
