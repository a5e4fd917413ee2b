//! Reading forward through bytes that cannot be trusted.

use super::GgufError;

/// A place in the file. Every read is checked against the end; nothing is allocated for what a length only claims.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], GgufError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(GgufError::Truncated { what, length: self.bytes.len() })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        Ok(self.take(N, what)?.try_into().expect("as many as were taken"))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A count of things of which each takes `least` bytes or more.
    pub(super) fn count(&mut self, least: usize, limit: u64, what: &'static str) -> Result<usize, GgufError> {
        let found = self.u64(what)?;
        if found > limit {
            return Err(GgufError::TooMany { what, found, limit });
        }
        let fits =
            usize::try_from(found).ok().filter(|count| count.checked_mul(least).is_some_and(|b| b <= self.left()));
        fits.ok_or(GgufError::Truncated { what, length: self.bytes.len() })
    }

    pub(super) fn text(&mut self, what: &'static str) -> Result<&'a str, GgufError> {
        let length = self.count(1, u64::MAX, what)?;
        std::str::from_utf8(self.take(length, what)?).map_err(|_| GgufError::NotUtf8 { what })
    }
}
