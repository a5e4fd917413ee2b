//! `cargo xtask ci`: everything that must hold, cheapest first.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{cargo, fixtures, test, tidy};

/// Everything that must hold before a change lands, cheapest first; stops at the first failure.
///
/// Format, tidy, lints, docs, generated files, each feature alone, dependencies (cargo-deny), tests.
#[derive(clap::Args)]
pub(crate) struct Args {}

type Step = fn() -> Result<()>;

pub(crate) fn run(_args: &Args) -> Result<()> {
    let steps: [(&str, Step); 8] = [
        ("format", || fix("cargo fmt --all", cargo::run(&mut cargo::cargo(["fmt", "--all", "--check"])))),
        ("tidy", tidy::check),
        ("dependencies", dependencies),
        ("generated files", || fixtures::proto(true)),
        ("lints", lints),
        ("docs", docs),
        ("features, each alone", each_feature),
        ("tests", || test::run(&test::Args {})),
    ];
    let mut report = Vec::new();
    for (name, step) in steps {
        eprintln!("\n=== {name}");
        let start = Instant::now();
        step().with_context(|| format!("ci stopped at: {name}"))?;
        report.push((name, start.elapsed()));
    }
    eprintln!("\nall holds");
    for (name, time) in report {
        eprintln!("{:7.1} s  {name}", time.as_secs_f64());
    }
    Ok(())
}

fn fix(how: &'static str, result: Result<()>) -> Result<()> {
    result.with_context(|| format!("to fix: {how}"))
}

fn lints() -> Result<()> {
    let features = built_features()?.join(",");
    let clippy = ["clippy", "--workspace", "--all-targets", "--features", &features, "--", "--deny", "warnings"];
    fix("mend what clippy names, or `#[expect(.., reason = ..)]` it", cargo::run(&mut cargo::cargo(clippy)))
}

fn docs() -> Result<()> {
    let features = built_features()?.join(",");
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items", "--features", &features];
    let mut doc = cargo::cargo(doc);
    cargo::run(doc.env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links"))
}

fn dependencies() -> Result<()> {
    anyhow::ensure!(
        cargo::succeeds(&mut cargo::cargo(["deny", "--version"])),
        "cargo-deny is not installed: cargo install cargo-deny --locked"
    );
    cargo::run(&mut cargo::cargo([
        "deny",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    advisories()
}

/// The list of advisories lives in a git repository: where that cannot be reached nothing can be said, and that is said.
fn advisories() -> Result<()> {
    if cargo::succeeds(&mut cargo::cargo(["deny", "fetch", "db"])) {
        return cargo::run(&mut cargo::cargo(["deny", "--offline", "--all-features", "check", "advisories"]));
    }
    eprintln!("NOT CHECKED: advisories, their database could not be fetched (`cargo deny fetch db` says why)");
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
}

fn each_feature() -> Result<()> {
    let built = built_features()?;
    for Package { name, .. } in packages()? {
        let own = format!("{name}/");
        let alone = built.iter().filter_map(|feature| feature.strip_prefix(&own));
        for feature in std::iter::once("").chain(alone) {
            eprintln!("{name} with {}", if feature.is_empty() { "no feature" } else { feature });
            let mut check: Command = cargo::cargo(["check", "--quiet", "--no-default-features", "-p"]);
            cargo::run(check.args([name.as_str(), "--features", feature]))?;
        }
    }
    Ok(())
}

/// Every feature of every crate as `crate/feature`, but for those that are [`NOT_BUILT`].
fn built_features() -> Result<Vec<String>> {
    let of_package = |Package { name, features }: Package| {
        features.into_keys().map(move |feature| format!("{name}/{feature}")).filter(|name| !name.ends_with("/default"))
    };
    Ok(packages()?.into_iter().flat_map(of_package).filter(|name| !NOT_BUILT.contains(&name.as_str())).collect())
}

fn packages() -> Result<Vec<Package>> {
    let printed = cargo::output(&mut cargo::cargo(["metadata", "--format-version=1", "--no-deps"]))?;
    Ok(serde_json::from_slice::<Metadata>(&printed)?.packages)
}

/// The build of Burn's CUDA backend fetches a compiler from its project's releases, which is no package client.
const NOT_BUILT: [&str; 1] = ["hydra-train/cuda"];
