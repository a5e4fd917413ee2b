//! What came out, to read and to keep.

use std::fs;
use std::path::Path;

use anyhow::Result;
use hydra_eval::{Curve, Table};
use hydra_ml::experiment::{ExperimentResult, Further, PersonalGain};
use hydra_train::Split;
use serde::Serialize;

use super::manifest::Manifest;

/// The table's own fields, and what stands below it.
#[derive(Serialize)]
struct Report<'r> {
    #[serde(flatten)]
    table: &'r Table,
    further: &'r [Further],
    personal: &'r [PersonalGain],
    curves: &'r [Curve],
}

/// Prints the table, and writes it to a folder if there is one.
pub(crate) fn write(
    result: &ExperimentResult,
    split: &Split,
    manifest: &Manifest,
    out: Option<&Path>,
    as_json: bool,
) -> Result<()> {
    let labels = result.labels;
    eprintln!(
        "labels: {} calls, {} failed, {} tokens; reranker {} of {} rows positive, adapter {} of {}",
        labels.calls,
        labels.failed,
        labels.tokens,
        labels.rerank_positives,
        labels.rerank_rows,
        labels.adapt_positives,
        labels.adapt_rows
    );
    eprintln!(
        "heads of their own: {} rerankers, {} adapters of {} test users; the others have the prior head",
        result.own_rerankers,
        result.own_adapters,
        split.test.len()
    );
    let json = serde_json::to_string_pretty(&Report {
        table: &result.table,
        further: &result.further,
        personal: &result.personal,
        curves: &result.curves,
    })?;
    let personal = personal(&result.table, &result.personal);
    let mut text = format!("{}\n{personal}{}\n", result.table, below(&result.further));
    result.curves.iter().for_each(|curve| text.push_str(&format!("{curve}\n")));
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        fs::write(out.join("table.json"), &json)?;
        fs::write(out.join("table.txt"), &text)?;
        fs::write(out.join("table.csv"), result.table.to_csv())?;
        for (place, metric) in result.table.metrics.iter().enumerate() {
            if let Some(svg) = result.table.to_svg(place) {
                fs::write(out.join(format!("{}.svg", file_name(&metric.name))), svg)?;
            }
        }
        for curve in &result.curves {
            let name = file_name(&format!("{} by {}", curve.metric.name, curve.grows));
            fs::write(out.join(format!("{name}.svg")), curve.to_svg())?;
        }
        fs::write(out.join("manifest.json"), serde_json::to_string_pretty(manifest)?)?;
        eprintln!("wrote {}", out.display());
    }
    if as_json {
        println!("{json}");
    } else {
        print!("{text}");
    }
    Ok(())
}

/// One line a comparison.
fn personal(table: &Table, gains: &[PersonalGain]) -> String {
    let mut text = "\nWhat is personal, on the same candidates:\n".to_owned();
    for PersonalGain { system, over, gains, .. } in gains {
        text.push_str(&format!("{system} over {over}:"));
        for (metric, gain) in table.metrics.iter().zip(gains) {
            text.push_str(&format!("  {} {:+.3} [{:+.3}, {:+.3}]", metric.name, gain.mean, gain.low, gain.high));
        }
        text.push('\n');
    }
    text
}

/// One line a method.
fn below(further: &[Further]) -> String {
    let Some(first) = further.first() else { return String::new() };
    let metrics: Vec<&str> =
        further.iter().take_while(|number| number.method == first.method).map(|number| number.metric).collect();
    let wide = further.iter().map(|number| number.method.chars().count()).max().unwrap_or(0);
    let mut text =
        format!("\nNo means over queries, or of another reading, and so without intervals:\n{:wide$}", "method");
    metrics.iter().for_each(|metric| text.push_str(&format!("  {metric:>17}")));
    for of_method in further.chunks(metrics.len()) {
        text.push_str(&format!("\n{:wide$}", of_method[0].method));
        of_method.iter().for_each(|number| text.push_str(&format!("  {:>17.3}", number.value)));
    }
    text.push('\n');
    text
}

/// `accuracy-lenient` for `accuracy, lenient`.
fn file_name(metric: &str) -> String {
    let words = metric.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_that_files_can_have() {
        assert_eq!(
            ["MAE", "accuracy, lenient", "ROUGE-1 by training users"].map(file_name),
            ["mae", "accuracy-lenient", "rouge-1-by-training-users"]
        );
    }
}
