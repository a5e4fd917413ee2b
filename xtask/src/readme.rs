//! The README's example: it is an example of `hydra-onnx`, and it prints what the README says.

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, root};

const EXAMPLE: &str = "crates/hydra-onnx/examples/embed.rs";

/// Fails if the README's code is not the example, or the example does not print what the README shows.
///
/// The example reads a bundle by a path from the root of the checkout, where doc tests do not run.
pub(crate) fn check() -> Result<()> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let example = std::fs::read_to_string(root().join(EXAMPLE))?;
    let code: String =
        example.lines().filter(|line| !line.starts_with("//!")).map(|line| format!("{line}\n")).collect();
    ensure!(block(&readme, "rust")? == code.trim_start(), "the README's code is not {EXAMPLE}: copy it over");

    let run = ["run", "--quiet", "--release", "-p", "hydra-onnx", "--example", "embed"];
    let printed = String::from_utf8(cargo::output(&mut cargo::cargo(run))?)?;
    let shown = block(&readme, "text")?;
    ensure!(printed == shown, "{EXAMPLE} prints\n{printed}and the README shows\n{shown}");
    Ok(())
}

/// The first fenced block of this language.
fn block<'a>(readme: &'a str, language: &str) -> Result<&'a str> {
    let fence = format!("```{language}\n");
    let start = readme.find(&fence).with_context(|| format!("the README has no {language} block"))? + fence.len();
    let length = readme[start..].find("```").context("the README's block has no end")?;
    Ok(&readme[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn a_block_is_what_stands_between_its_fences() {
        let readme = "a\n```sh\nls\n```\n```text\nb\nc\n```\n";
        assert_eq!(block(readme, "text").unwrap(), "b\nc\n");
        assert!(block(readme, "rust").is_err());
        assert!(block("```text\nb", "text").is_err());
    }
}
