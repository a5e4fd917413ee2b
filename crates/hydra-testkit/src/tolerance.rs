//! How near is near enough.

use std::fmt;

/// Two numbers agree if they differ by at most `absolute + relative * |expected|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Allowed whatever the size of the number.
    pub absolute: f64,
    /// Allowed in proportion to the expected number.
    pub relative: f64,
}

/// The place where two slices differ most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Where.
    pub index: usize,
    /// What was computed there.
    pub got: f64,
    /// What stands in the other slice.
    pub expected: f64,
}

impl Tolerance {
    /// At most `absolute` apart.
    #[must_use]
    pub const fn absolute(absolute: f64) -> Self {
        Self { absolute, relative: 0.0 }
    }

    /// At most `relative` times the expected number apart.
    #[must_use]
    pub const fn relative(relative: f64) -> Self {
        Self { absolute: 0.0, relative }
    }

    /// Compares number by number.
    ///
    /// # Errors
    /// The worst place, if any number is farther from the expected one than allowed, or is NaN.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn compare<T: Into<f64> + Copy>(self, got: &[T], expected: &[T]) -> Result<(), Difference> {
        assert_eq!(got.len(), expected.len(), "lengths differ");
        let excess = |got: f64, expected: f64| {
            let excess = (got - expected).abs() - self.absolute - self.relative * expected.abs();
            if excess.is_nan() { f64::INFINITY } else { excess }
        };
        let worst = got
            .iter()
            .zip(expected)
            .enumerate()
            .map(|(index, (&got, &expected))| Difference { index, got: got.into(), expected: expected.into() })
            .max_by(|a, b| excess(a.got, a.expected).total_cmp(&excess(b.got, b.expected)));
        match worst {
            Some(worst) if excess(worst.got, worst.expected) > 0.0 => Err(worst),
            _ => Ok(()),
        }
    }

    /// Panics at the place that called if [`compare`](Self::compare) finds a difference.
    ///
    /// # Panics
    /// If a number is farther from the expected one than allowed, or the lengths differ.
    #[track_caller]
    pub fn assert_close<T: Into<f64> + Copy>(self, got: &[T], expected: &[T]) {
        if let Err(worst) = self.compare(got, expected) {
            panic!("{worst}, allowed {self:?}");
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, got, expected } = self;
        write!(f, "at {index}: got {got}, expected {expected}, apart by {:.3e}", (got - expected).abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_place_is_named() {
        let worst = Tolerance::absolute(0.1).compare(&[1.0, 2.5, 3.2], &[1.0, 2.0, 3.0]).unwrap_err();
        assert_eq!(worst.index, 1);
        assert!(Tolerance::relative(0.25).compare(&[1.0, 2.5, 3.2], &[1.0, 2.0, 3.0]).is_ok());
    }

    #[test]
    fn nan_is_never_close() {
        assert!(Tolerance::absolute(1e9).compare(&[f32::NAN], &[0.0]).is_err());
        assert!(Tolerance::absolute(1e9).compare(&[f32::NAN], &[f32::NAN]).is_err());
    }
}
