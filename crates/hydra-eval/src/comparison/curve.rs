//! How a system does as something grows.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::Metric;
use super::plot::escaped;
use crate::Interval;

/// A metric as something grows: with how much a system must be fed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// Which system.
    pub system: String,
    /// What is measured.
    pub metric: Metric,
    /// What grows, in words: `training users`.
    pub grows: String,
    /// In the order of what grows.
    pub points: Vec<CurvePoint>,
}

/// One place of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// How much.
    pub at: usize,
    /// The mean over queries.
    pub value: Interval,
}

impl Curve {
    /// A picture: means with their intervals, places evenly apart, since they usually double.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let low = self.points.iter().map(|point| point.value.low).fold(f64::INFINITY, f64::min);
        let high = self.points.iter().map(|point| point.value.high).fold(f64::NEG_INFINITY, f64::max);
        let span = (high - low).max(f64::MIN_POSITIVE);
        let step = WIDTH / self.points.len().max(2).saturating_sub(1) as f64;
        let up = |value: f64| TOP + (high - value) / span * HEIGHT;
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 320" font-family="sans-serif" font-size="13">
<rect width="560" height="320" fill="#fff"/>
<text x="12" y="24" font-weight="bold">{} of {}, by {}</text>
<text x="12" y="{:.0}">{high:.3}</text>
<text x="12" y="{:.0}">{low:.3}</text>
"##,
            escaped(&self.metric.name),
            escaped(&self.system),
            escaped(&self.grows),
            TOP + 4.0,
            TOP + HEIGHT + 4.0,
        );
        let mut line = String::new();
        for (place, point) in self.points.iter().enumerate() {
            let (x, y) = (LEFT + place as f64 * step, up(point.value.mean));
            let command = if place == 0 { 'M' } else { 'L' };
            write!(line, "{command}{x:.1},{y:.1} ").expect("writing to a string cannot fail");
            writeln!(
                svg,
                r##"<path d="M{x:.1},{:.1} V{:.1}" stroke="#c85028" stroke-width="1.5"/><circle cx="{x:.1}" cy="{y:.1}" r="4" fill="#c85028"/>
<text x="{x:.1}" y="{:.0}" text-anchor="middle">{}</text>"##,
                up(point.value.low),
                up(point.value.high),
                TOP + HEIGHT + 30.0,
                point.at,
            )
            .expect("writing to a string cannot fail");
        }
        svg + &format!("<path d=\"{}\" fill=\"none\" stroke=\"#c85028\"/>\n</svg>\n", line.trim_end())
    }
}

impl fmt::Display for Curve {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, by {}:", self.metric.name, self.system, self.grows)?;
        for CurvePoint { at, value: Interval { mean, low, high } } in &self.points {
            write!(f, "  {at}: {mean:.3} [{low:.3}, {high:.3}]")?;
        }
        Ok(())
    }
}

const LEFT: f64 = 70.0;
const WIDTH: f64 = 450.0;
const TOP: f64 = 50.0;
const HEIGHT: f64 = 210.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Better;

    #[test]
    fn every_point_stands_in_the_line_and_in_the_picture() {
        let point = |at, mean| CurvePoint { at, value: Interval { mean, low: mean - 0.1, high: mean + 0.1 } };
        let curve = Curve {
            system: "ours & theirs".into(),
            metric: Metric { name: "MAE".into(), better: Better::Lower },
            grows: "training users".into(),
            points: vec![point(10, 1.0), point(100, 0.5)],
        };
        assert_eq!(
            curve.to_string(),
            "MAE of ours & theirs, by training users:  10: 1.000 [0.900, 1.100]  100: 0.500 [0.400, 0.600]"
        );
        let svg = curve.to_svg();
        assert!(svg.contains("ours &amp; theirs") && svg.matches("<circle").count() == 2 && svg.ends_with("</svg>\n"));
        // One point, or none, is a picture too.
        let few = Curve { points: vec![point(10, 1.0)], ..curve };
        assert!(!few.to_svg().contains("NaN") && !Curve { points: Vec::new(), ..few }.to_svg().contains("NaN"));
    }
}
