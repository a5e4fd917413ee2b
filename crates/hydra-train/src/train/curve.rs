//! The losses of a run, as a table and as a picture.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Which step, from 1.
    pub step: u64,
    /// The loss of the step's rows.
    pub loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The loss of the held-out rows, where it was computed.
    pub held_out: Option<f64>,
}

/// The losses of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    points: Vec<CurvePoint>,
}

/// A curve that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError {
    /// There is no step yet.
    #[error("no step has been made: train first")]
    Empty,
    /// The file could not be written.
    #[error("cannot write the curve: check the folder")]
    Io(#[source] io::Error),
}

impl Curve {
    /// One point a step.
    #[must_use]
    pub fn points(&self) -> &[CurvePoint] {
        &self.points
    }

    pub(super) fn push(&mut self, point: CurvePoint) {
        self.points.push(point);
    }

    /// `step,loss,learning_rate,held_out`, one line a step; the last is empty where it was not computed.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut csv = "step,loss,learning_rate,held_out\n".to_owned();
        for CurvePoint { step, loss, learning_rate, held_out } in &self.points {
            let held_out = held_out.map(|loss| loss.to_string()).unwrap_or_default();
            writeln!(csv, "{step},{loss},{learning_rate},{held_out}").expect("writing to a string cannot fail");
        }
        csv
    }

    /// Draws the loss of every step and of the held-out rows.
    ///
    /// # Errors
    /// [`CurveError`] if there is no step, or the file cannot be written.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), CurveError> {
        let svg = self.to_svg()?;
        std::fs::write(path, svg).map_err(CurveError::Io)
    }

    fn to_svg(&self) -> Result<String, CurveError> {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Err(CurveError::Empty);
        };
        let every: Vec<(u64, f64)> = self.points.iter().map(|point| (point.step, point.loss)).collect();
        let held_out: Vec<(u64, f64)> =
            self.points.iter().filter_map(|point| Some((point.step, point.held_out?))).collect();
        let highest = every.iter().chain(&held_out).map(|(_, loss)| *loss).fold(f64::MIN_POSITIVE, f64::max);
        let line = |points: &[(u64, f64)]| {
            let place = |(step, loss): &(u64, f64)| {
                let along = (step - first.step) as f64 / (last.step - first.step).max(1) as f64;
                format!("{:.1},{:.1}", LEFT + along * WIDTH, TOP + (1.0 - loss / highest) * HEIGHT)
            };
            points.iter().map(place).collect::<Vec<_>>().join(" ")
        };
        let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
        let (steps, middle) = (last.step, f64::midpoint(LEFT, right));
        let label = bottom + 24.0;
        Ok(format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 480" font-family="sans-serif" font-size="13">
<rect width="800" height="480" fill="#fff"/>
<path d="M{LEFT},{TOP} V{bottom} H{right}" fill="none" stroke="#444"/>
<text x="{LEFT}" y="{label}">{}</text><text x="{right}" y="{label}" text-anchor="end">{steps}</text>
<text x="{middle}" y="{label}" text-anchor="middle">step</text>
<text x="8" y="{TOP}">{highest:.3}</text><text x="8" y="{bottom}">0</text>
<text x="{right}" y="{TOP}" text-anchor="end" fill="#c85028">held-out loss</text>
<text x="{}" y="{TOP}" text-anchor="end" fill="#7090c0">loss</text>
<polyline fill="none" stroke="#7090c0" points="{}"/>
<polyline fill="none" stroke="#c85028" stroke-width="2" points="{}"/>
</svg>
"##,
            first.step,
            right - 110.0,
            line(&every),
            line(&held_out)
        ))
    }
}

const LEFT: f64 = 56.0;
const TOP: f64 = 24.0;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_table_and_a_picture() {
        let mut curve = Curve::default();
        assert!(matches!(curve.to_svg(), Err(CurveError::Empty)));
        curve.push(CurvePoint { step: 1, loss: 0.75, learning_rate: 0.001, held_out: None });
        curve.push(CurvePoint { step: 2, loss: 0.5, learning_rate: 0.0005, held_out: Some(0.625) });
        assert_eq!(curve.to_csv(), "step,loss,learning_rate,held_out\n1,0.75,0.001,\n2,0.5,0.0005,0.625\n");
        let svg = curve.to_svg().unwrap();
        // From the left edge to the right one; 0.5 lies a third below the top, where 0.75 is.
        assert!(svg.contains(r#"points="56.0,24.0 776.0,157.3""#), "{svg}");
        assert!(svg.contains(r#"points="776.0,90.7""#), "{svg}");
    }
}
