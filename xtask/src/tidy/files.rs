//! Lengths, names and heads of files, and what must not stand in any.

use super::{Complaint, Source};

/// Longer files are split by topic, or say in their module docs why not.
const MOST_LINES: usize = 500;

/// The module docs of a longer file hold this and the reason.
const EXCUSE: &str = "Over 500 lines";

/// Generated files are nobody's style.
const GENERATED: &[&str] = &["crates/hydra-graph/src/proto/onnx.rs"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Complaints about one file.
pub(super) fn check(source: &Source) -> Vec<Complaint> {
    if GENERATED.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let mut complaints = machine_traces(source);
    let parts = source.path.trim_end_matches(".rs").split('/');
    if let Some(name) = parts.into_iter().find(|part| EMPTY_NAMES.contains(part)) {
        complaints.push(source.complaint(0, format!("`{name}` says nothing: name the thing")));
    }
    if source.is_rust() {
        complaints.extend(rust(source));
    }
    complaints
}

fn rust(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines = source.text.lines().count();
    let docs: String = source.text.lines().filter(|line| line.starts_with("//!")).collect();
    let is_test_module = source.path.ends_with("/tests.rs");
    if lines > MOST_LINES && !docs.contains(EXCUSE) {
        let what = format!("{lines} lines: split by topic, or write `{EXCUSE} because ...` in the module docs");
        complaints.push(source.complaint(0, what));
    }
    if docs.is_empty() && !is_test_module {
        complaints.push(source.complaint(0, "no module docs: begin with `//!` and what the file is"));
    }
    for (index, line) in source.text.lines().enumerate() {
        let code = line.trim_start();
        if source.path.ends_with("/lib.rs") && source.path.starts_with("crates/") && is_logic(line) {
            complaints.push(source.complaint(index, "lib.rs is docs, modules and re-exports: move this into a module"));
        }
        if code.starts_with("#[ignore") {
            complaints
                .push(source.complaint(index, "no ignored tests: what cannot run everywhere says so and is run in ci"));
        }
        if ["todo!(", "unimplemented!("].iter().any(|stub| code.contains(stub)) && !source.path.starts_with("xtask/") {
            complaints.push(source.complaint(index, "no stubs: build it, or leave it out"));
        }
    }
    complaints
}

fn is_logic(line: &str) -> bool {
    ["fn ", "pub fn ", "impl ", "impl<", "pub(crate) fn ", "struct ", "pub struct ", "enum ", "pub enum "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Paths of somebody's machine, and hosts that only a package client should know.
fn machine_traces(source: &Source) -> Vec<Complaint> {
    if source.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    // Written in two pieces, so that this file does not complain about itself.
    let traces = [
        (concat!("/ho", "me/"), "a machine path"),
        (concat!("/ro", "ot/"), "a machine path"),
        (concat!("/Us", "ers/"), "a machine path"),
        (concat!("C:", "\\Users"), "a machine path"),
        (concat!("pypi", ".org"), "a registry's host"),
        (concat!("pythonhosted", ".org"), "a registry's host"),
        (concat!("static.crates", ".io"), "a registry's host"),
        (concat!("npmjs", ".org"), "a registry's host"),
    ];
    let mut complaints = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for (trace, what) in traces {
            if line.contains(trace) {
                complaints.push(source.complaint(index, format!("{what}: {trace}")));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> String {
        let source = Source { path: path.into(), text: text.into() };
        check(&source).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_a_reviewer_would_nag_about_is_found() {
        for (path, text, expected) in [
            ("crates/a/src/x.rs", "fn f() {}", "1: no module docs"),
            ("crates/a/src/x.rs", &format!("//! X.\n{}", "\n".repeat(MOST_LINES)), "501 lines"),
            ("crates/a/src/utils.rs", "//! X.", "`utils` says nothing"),
            ("crates/a/src/lib.rs", "//! X.\npub fn f() {}", "2: lib.rs is docs"),
            ("crates/a/src/x.rs", "//! X.\n#[ignore]", "2: no ignored tests"),
            ("crates/a/src/x.rs", "//! X.\ntodo!()", "2: no stubs"),
            ("docs/x.md", concat!("see /ho", "me/me/x"), "a machine path"),
            (".github/x.yml", concat!("url: pypi", ".org"), "a registry's host"),
        ] {
            let found = complaints(path, text);
            assert!(found.contains(expected), "{path}: expected {expected:?}, found {found:?}");
        }
    }

    #[test]
    fn a_long_file_with_a_reason_and_a_test_module_without_docs_pass() {
        let long = format!("//! X.\n//! Over 500 lines because it is one table.\n{}", "\n".repeat(MOST_LINES));
        assert_eq!(complaints("crates/a/src/x.rs", &long), "");
        assert_eq!(complaints("crates/a/src/x/tests.rs", "use super::*;"), "");
    }
}
