//! What came out, to read and to keep.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use hydra_eval::{Curve, Interval, Row, Standing, Table};
use hydra_ml::experiment::{ExperimentResult, Further, LabelCost, PersonalGain, Unanswered};
use serde::Serialize;

use super::manifest::{self, Manifest};

/// What is printed, and the files that hold it.
pub(crate) struct Report {
    json: String,
    text: String,
    /// By name, without the manifest.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// The table's own fields, and what stands below it.
#[derive(Serialize)]
struct Fields<'r> {
    #[serde(flatten)]
    table: &'r Table,
    labels: LabelCost,
    own_heads: OwnHeads,
    unanswered: &'r [Unanswered],
    further: &'r [Further],
    personal: &'r [PersonalGain],
    curves: &'r [Curve],
}

/// Of how many test users; the others have the prior head.
#[derive(Serialize)]
struct OwnHeads {
    rerankers: usize,
    adapters: usize,
}

impl Report {
    pub(crate) fn new(result: &ExperimentResult) -> Result<Self> {
        let ExperimentResult { table, labels, unanswered, further, personal, curves, .. } = result;
        let own_heads = OwnHeads { rerankers: result.own_rerankers, adapters: result.own_adapters };
        let text = [
            format!("{table}\n"),
            taken(labels, &own_heads, table.users),
            without_answer(unanswered),
            relative(&table.rows),
            gained(table, personal),
            below(further),
            String::from("\n"),
            curves.iter().map(|curve| format!("{curve}\n")).collect(),
        ];
        let fields = Fields { table, labels: *labels, own_heads, unanswered, further, personal, curves };
        let (json, text) = (serde_json::to_string_pretty(&fields)?, text.concat());
        let mut files = BTreeMap::from([
            ("table.json".to_owned(), json.clone().into_bytes()),
            ("table.txt".to_owned(), text.clone().into_bytes()),
            ("table.csv".to_owned(), table.to_csv().into_bytes()),
        ]);
        for (place, metric) in table.metrics.iter().enumerate() {
            let picture = table.to_svg(place).map(|svg| (format!("{}.svg", file_name(&metric.name)), svg.into_bytes()));
            files.extend(picture);
        }
        for curve in curves {
            let name = file_name(&format!("{} by {}", curve.metric.name, curve.grows));
            files.insert(format!("{name}.svg"), curve.to_svg().into_bytes());
        }
        Ok(Self { json, text, files })
    }

    pub(crate) fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", self.json);
        } else {
            print!("{}", self.text);
        }
    }

    /// Writes the files of this run in the place of those of the run before, whose manifest lies there. Where there is a
    /// manifest, all that it names is there.
    pub(crate) fn write(&self, mut manifest: Manifest, out: &Path) -> Result<()> {
        let unwritten = || format!("cannot write to {}", out.display());
        fs::create_dir_all(out).with_context(unwritten)?;
        let earlier = Manifest::read(&out.join(MANIFEST)).map(|earlier| earlier.outputs).unwrap_or_default();
        let is_name = |name: &&String| Path::new(name).file_name().is_some_and(|only| only == name.as_str());
        remove(&out.join(MANIFEST)).with_context(unwritten)?;
        for name in earlier.keys().filter(is_name) {
            remove(&out.join(name)).with_context(unwritten)?;
        }
        for (name, bytes) in &self.files {
            put(out, name, bytes).with_context(unwritten)?;
        }
        manifest.outputs = self.files.iter().map(|(name, bytes)| (name.clone(), manifest::sha256(bytes))).collect();
        put(out, MANIFEST, serde_json::to_string_pretty(&manifest)?.as_bytes()).with_context(unwritten)?;
        eprintln!("wrote {}", out.display());
        Ok(())
    }
}

fn remove(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Written beside, synced, renamed.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let beside = folder.join(format!(".{name}.part"));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, folder.join(name))
}

fn taken(labels: &LabelCost, own: &OwnHeads, users: usize) -> String {
    let LabelCost { calls, failed, tokens, rerank_rows, rerank_positives, adapt_rows, adapt_positives, .. } = labels;
    format!(
        "\nBefore, labels took {calls} calls, {failed} of them without an answer, and {tokens} tokens: {rerank_positives} of {rerank_rows} rows of the reranker positive, {adapt_positives} of {adapt_rows} of the adapter\nHeads of their own: {} rerankers, {} adapters of {users} test users; the others have the prior head\n",
        own.rerankers, own.adapters
    )
}

fn without_answer(unanswered: &[Unanswered]) -> String {
    if unanswered.is_empty() {
        return String::new();
    }
    let all: Vec<String> = unanswered.iter().map(|one| format!("{}: {}", one.method, one.calls)).collect();
    format!("Calls without an answer, each counted as one that cannot be read: {}\n", all.join(", "))
}

/// One line a system.
fn relative(rows: &[Row]) -> String {
    let mut text = "\nGain over the best baselines as a share of theirs, mean of the metrics:\n".to_owned();
    for row in rows.iter().filter(|row| row.standing == Standing::System) {
        if let Some(Interval { mean, low, high }) = row.mean_relative_gain {
            text.push_str(&format!("{}: {mean:+.3} [{low:+.3}, {high:+.3}]\n", row.name));
        }
    }
    text
}

/// One line a comparison.
fn gained(table: &Table, gains: &[PersonalGain]) -> String {
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

const MANIFEST: &str = "manifest.json";

#[cfg(test)]
mod tests {
    use hydra_ml::experiment::ExperimentPlan;
    use hydra_train::Split;

    use super::*;

    #[test]
    fn files_of_the_run_before_are_gone_and_those_of_others_stay() {
        let (folder, split) = (tempfile::tempdir().unwrap(), Split { train: Vec::new(), test: Vec::new() });
        let out = folder.path().join("out");
        let write = |names: &[&str]| {
            let files = names.iter().map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect();
            let manifest = Manifest::new("films", &ExperimentPlan::default(), "a-model", &split, []).unwrap();
            Report { json: String::new(), text: String::new(), files }.write(manifest, &out).unwrap();
        };
        write(&["table.json", "mae-by-training-users.svg"]);
        fs::write(out.join("notes.txt"), "mine").unwrap();
        write(&["table.json"]);
        let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["manifest.json", "notes.txt", "table.json"]);
    }

    #[test]
    fn metrics_have_names_that_files_can_have() {
        assert_eq!(
            ["MAE", "accuracy, lenient", "ROUGE-1 by training users"].map(file_name),
            ["mae", "accuracy-lenient", "rouge-1-by-training-users"]
        );
    }
}
