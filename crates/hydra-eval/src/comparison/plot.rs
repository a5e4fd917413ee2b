//! A forest plot: one line a system, its mean and interval.

use std::fmt::Write as _;

use super::{Standing, Table};

const LEFT: f64 = 230.0;
const WIDTH: f64 = 500.0;
const TOP: f64 = 46.0;
const STEP: f64 = 24.0;

pub(super) fn forest(table: &Table, metric: usize) -> String {
    let values = || table.rows.iter().map(|row| row.cells[metric].value);
    let low = values().map(|value| value.low).fold(f64::INFINITY, f64::min);
    let high = values().map(|value| value.high).fold(f64::NEG_INFINITY, f64::max);
    let span = (high - low).max(f64::MIN_POSITIVE);
    let along = |value: f64| LEFT + (value - low) / span * WIDTH;
    let bottom = TOP + table.rows.len() as f64 * STEP;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {:.0}" font-family="sans-serif" font-size="13">
<rect width="800" height="{:.0}" fill="#fff"/>
<text x="12" y="24" font-weight="bold">{}, {} queries of {} users</text>
"##,
        bottom + 40.0,
        bottom + 40.0,
        escaped(&table.metrics[metric].name),
        table.queries,
        table.users
    );
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(svg, "{text}").expect("writing to a string cannot fail");
    if let Some(best) = table.row(&table.best_baselines[metric]) {
        let x = along(best.cells[metric].value.mean);
        line(format_args!(r##"<path d="M{x:.1},{TOP} V{bottom}" stroke="#999" stroke-dasharray="4 3"/>"##));
    }
    for (place, row) in table.rows.iter().enumerate() {
        let y = TOP + (place as f64 + 0.5) * STEP;
        let color = match row.standing {
            Standing::Baseline => "#7090c0",
            Standing::Reference => "#888",
            Standing::System => "#c85028",
            Standing::Control => "#b0a020",
        };
        let value = row.cells[metric].value;
        let (from, at, to) = (along(value.low), along(value.mean), along(value.high));
        let text = y + 4.0;
        line(format_args!(r##"<text x="{}" y="{text}" text-anchor="end">{}</text>"##, LEFT - 12.0, escaped(&row.name)));
        line(format_args!(r##"<path d="M{from:.1},{y} H{to:.1}" stroke="{color}" stroke-width="2"/>"##));
        line(format_args!(r##"<circle cx="{at:.1}" cy="{y}" r="4" fill="{color}"/>"##));
        line(format_args!(r##"<text x="{}" y="{text}" fill="{color}">{:.3}</text>"##, LEFT + WIDTH + 10.0, value.mean));
    }
    let label = bottom + 20.0;
    line(format_args!(r##"<text x="{LEFT}" y="{label}">{low:.3}</text>"##));
    line(format_args!(r##"<text x="{}" y="{label}" text-anchor="end">{high:.3}</text>"##, LEFT + WIDTH));
    line(format_args!("</svg>"));
    svg
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
