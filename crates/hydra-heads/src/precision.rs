//! What a head's numbers are stored in.

/// How many bytes a number of a head takes, and how far it may lie from what was fitted.
///
/// For a row of a head whose largest number is `m` in size, every stored number lies within [`Precision::bound`]`(m)` of
/// the number that was packed. Biases and routing weights are few and always stay `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Four bytes, exact.
    F32,
    /// Two bytes, relative to a power of two for each row.
    F16,
    /// One byte, relative to a scale for each row.
    Int8,
}

impl Precision {
    /// Every precision, most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Int8];

    /// The farthest that a stored number lies from the original, in a row whose largest number is `row_max` in size.
    ///
    /// `f16` keeps eleven significant bits relative to the row's power of two: `row_max / 2048`. `int8` has 254 steps
    /// over twice `row_max`: `row_max / 254`, and a thousandth of that for the roundings of the scale itself. A row with
    /// nothing above 1e-35 may become zero.
    #[must_use]
    pub fn bound(self, row_max: f32) -> f32 {
        match self {
            Self::F32 => 0.0,
            Self::F16 => row_max / 2048.0 + TINY,
            Self::Int8 => row_max / 254.0 * 1.001 + TINY,
        }
    }
}

/// Rows with no larger number than this are stored as zeros by [`Precision::F16`] and [`Precision::Int8`]: their scale
/// would not be a normal `f32`.
pub(crate) const TINY: f32 = 1e-35;
