//! The rooms of the map and who may depend on whom.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use super::Complaint;
use crate::cargo;

/// `(room, rooms that it may depend on)`: the table of `ARCHITECTURE.md`. Arrows only go down.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "hydra-ml",
        &[
            "eval",
            "train",
            "export",
            "adapter",
            "rerank",
            "lm",
            "openai",
            "llm",
            "retrieval",
            "store",
            "heads",
            "onnx",
            "graph",
            "types",
        ],
    ),
    ("hydra-eval", &["types", "llm"]),
    ("hydra-train", &["types", "heads", "llm"]),
    ("hydra-export", &["types", "graph", "onnx"]),
    ("hydra-adapter", &["types", "heads", "onnx"]),
    ("hydra-rerank", &["types", "heads", "onnx"]),
    ("hydra-lm", &["types", "onnx", "llm"]),
    ("hydra-openai", &["llm"]),
    ("hydra-llm", &["types"]),
    ("hydra-retrieval", &["types", "store"]),
    ("hydra-store", &["types"]),
    ("hydra-heads", &["types"]),
    ("hydra-onnx", &["types"]),
    ("hydra-graph", &[]),
    ("hydra-types", &[]),
    ("hydra-testkit", &["types"]),
    ("xtask", &[]),
];

/// `(room, room that its tests and benches may use besides)`, with the reason.
const IN_TESTS: &[(&str, &str)] = &[
    // The bench of heads reads them from where an application keeps them.
    ("hydra-heads", "hydra-store"),
    // The suite of rerankers runs on every family's exported classifier.
    ("hydra-rerank", "hydra-export"),
    // Client and server prove each other.
    ("hydra-lm", "hydra-openai"),
];

/// `(dependency, the only rooms that may name it)`.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("ort", &["hydra-onnx"]),
    // hydra-train's command line alone: rows come as texts.
    ("tokenizers", &["hydra-onnx", "hydra-lm", "hydra-export", "hydra-train"]),
    ("hnsw_rs", &["hydra-retrieval"]),
    ("burn", &["hydra-train"]),
    ("redb", &["hydra-store"]),
    ("bincode", &["hydra-heads"]),
    ("prost", &["hydra-graph"]),
    ("anyhow", &["xtask"]),
    // Sockets.
    ("reqwest", &["hydra-openai"]),
    ("ureq", &["hydra-openai"]),
    ("hyper", &["hydra-openai"]),
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    description: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
    optional: bool,
}

/// Complaints about the packages of the workspace.
pub(super) fn check() -> Result<Vec<Complaint>> {
    let printed = cargo::output(&mut cargo::cargo(["metadata", "--format-version=1", "--no-deps", "--locked"]))?;
    let metadata: Metadata = serde_json::from_slice(&printed)?;
    let all = metadata.packages.iter();
    Ok(all.flat_map(|package| check_dependencies(package).into_iter().chain(check_manifest(package))).collect())
}

fn complaint(package: &Package, what: impl Into<String>) -> Complaint {
    let manifest = &package.manifest_path;
    Complaint { path: manifest.strip_prefix(cargo::root()).unwrap_or(manifest).to_owned(), line: 1, what: what.into() }
}

/// Arrows only go down, and what is kept in one room is named in no other.
fn check_dependencies(package: &Package) -> Vec<Complaint> {
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == package.name) else {
        return vec![complaint(
            package,
            format!("{} is no room of the map: add it to ARCHITECTURE.md and to tidy", package.name),
        )];
    };
    let allowed: BTreeSet<String> = allowed.iter().map(|room| format!("hydra-{room}")).collect();
    let mut complaints = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let of_ours = ROOMS.iter().any(|(room, _)| *room == name);
        let is_dev = dependency.kind.as_deref() == Some("dev");
        let in_tests = is_dev && (name == "hydra-testkit" || IN_TESTS.contains(&(package.name.as_str(), name)));
        let itself = name == package.name && is_dev;
        if of_ours && !in_tests && !itself && !allowed.contains(name) {
            complaints
                .push(complaint(package, format!("{} must not depend on {name}: arrows only go down", package.name)));
        }
        let keepers = KEPT_IN.iter().find(|(kept, _)| *kept == name).map(|(_, keepers)| *keepers);
        // A binary behind a feature may report errors with `anyhow`.
        let in_a_binary = name == "anyhow" && dependency.optional;
        if !is_dev && !in_a_binary && keepers.is_some_and(|keepers| !keepers.contains(&package.name.as_str())) {
            complaints.push(complaint(package, format!("only {keepers:?} may name {name}")));
        }
    }
    complaints
}

/// Every crate says what it is and takes the workspace's lints.
fn check_manifest(package: &Package) -> Vec<Complaint> {
    let manifest = &package.manifest_path;
    let mut complaints = Vec::new();
    if package.description.as_deref().is_none_or(str::is_empty) {
        complaints.push(complaint(package, "no description: say the crate's one idea"));
    }
    let folder = manifest.parent().expect("a manifest lies in a folder");
    if !matches!(package.name.as_str(), "xtask" | "hydra-testkit") && !folder.join("README.md").exists() {
        complaints.push(complaint(package, "no README.md beside it: ten lines"));
    }
    if !std::fs::read_to_string(manifest).is_ok_and(|text| text.contains("[lints]\nworkspace = true")) {
        complaints.push(complaint(package, "does not take the workspace's lints: [lints] workspace = true"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let dependency = Dependency { name: dependency.into(), kind: kind.map(Into::into), optional: false };
        Package {
            name: name.into(),
            description: Some("one idea".into()),
            manifest_path: cargo::root().join("crates").join(name).join("Cargo.toml"),
            dependencies: vec![dependency],
        }
    }

    fn complaints(package: &Package) -> String {
        check_dependencies(package).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_arrow_up_and_a_leaked_dependency_are_found() {
        assert!(complaints(&package("hydra-types", "hydra-onnx", None)).contains("must not depend on hydra-onnx"));
        assert!(complaints(&package("hydra-types", "hydra-onnx", Some("dev"))).contains("must not depend on"));
        assert!(complaints(&package("hydra-graph", "ort", None)).contains("may name ort"));
        assert!(complaints(&package("hydra-lm", "hydra-openai", None)).contains("must not depend on hydra-openai"));
        assert!(complaints(&package("hydra-nonsense", "serde", None)).contains("no room of the map"));
    }

    #[test]
    fn what_the_map_allows_is_allowed() {
        assert_eq!(complaints(&package("hydra-onnx", "ort", None)), "");
        assert_eq!(complaints(&package("hydra-onnx", "hydra-testkit", Some("dev"))), "");
        assert_eq!(complaints(&package("hydra-heads", "hydra-store", Some("dev"))), "");
        assert!(complaints(&package("hydra-heads", "hydra-store", None)).contains("must not depend on"));
    }

    #[test]
    fn the_map_has_no_arrow_up() {
        for (index, (room, allowed)) in ROOMS.iter().enumerate() {
            for name in *allowed {
                let below = ROOMS[index + 1..].iter().any(|(lower, _)| *lower == format!("hydra-{name}"));
                assert!(below || *room == "hydra-testkit", "{room} -> {name}");
            }
        }
    }
}
