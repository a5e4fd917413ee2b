//! `cargo xtask eval`: a door to the release binary of `hydra-ml`.

use std::ffi::OsString;

use anyhow::Result;

use crate::cargo::{self, root};
use crate::door::{self, Handed};
use crate::export;

/// Compare HYDRA with every simpler way on a task: one table, an interval at every number.
///
/// Sets up and exports the encoder and the language model that run in this process; data with a licence of its own is fetched
/// where it is agreed to, by `cargo xtask setup --movielens`. Options: `cargo xtask eval --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    handed: Handed,
}

pub(crate) fn run(Args { handed }: &Args) -> Result<()> {
    handed.set_up()?;
    let mut own: Vec<OsString> = Vec::new();
    // A run that is repeated has its own options.
    if !handed.asks_for_help() && !given(&handed.args, "--repeat") {
        own.extend(["--root".into(), root().into()]);
        // Nothing is exported where the caller brings a model, or answers.
        if !given(&handed.args, "--encoder") {
            own.extend(["--encoder".into(), export::encoder_bundle("fp32")?.into_os_string()]);
        }
        if !ANSWERS.iter().any(|option| given(&handed.args, option)) {
            if is_as_recorded(&handed.args) {
                // It is asked for what the repository's cassette lacks on this machine.
                export::language_model_bundle("fp32")?;
            } else {
                own.extend(["--lm".into(), export::language_model_bundle("int8")?.into_os_string()]);
            }
        }
        // Other tasks say where their data is.
        if !given(&handed.args, "--data") && !given(&handed.args, "--task") {
            own.extend(["--data".into(), root().join(".hydra/movielens").into_os_string()]);
        }
    }
    cargo::run(door::binary("hydra-ml", "hydra")?.arg("eval").args(&own).args(&handed.args))
}

/// Whether an option stands there, with its value behind it or behind `=`.
fn given(args: &[OsString], option: &str) -> bool {
    args.iter().any(|arg| name(arg) == Some(option))
}

/// The option that an argument is, if it is one.
fn name(arg: &OsString) -> Option<&str> {
    arg.to_str()?.split('=').next().filter(|name| name.starts_with("--"))
}

/// Whether nothing is asked but what the repository's cassette answers: no option changes what is asked.
fn is_as_recorded(args: &[OsString]) -> bool {
    args.iter().filter_map(name).all(|option| CHANGES_NOTHING.contains(&option))
}

/// Options that say who answers.
const ANSWERS: [&str; 5] = ["--lm", "--llm-url", "--llm-model", "--cassette", "--replay"];
const CHANGES_NOTHING: [&str; 9] =
    ["--data", "--encoder", "--adapter", "--adapter-rows", "--price-in", "--price-out", "--out", "--json", "--dry-run"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_its_own_is_for_runs_that_nobody_recorded() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, as_recorded) in [
            ("--json", true),
            ("--json --out results --adapter=bundle", true),
            ("--task meals.json", false),
            ("--out=results --seed=1", false),
        ] {
            assert_eq!(is_as_recorded(&args(text)), as_recorded, "{text}");
        }
        assert!(given(&args("--out results --lm=x"), "--lm") && !given(&args("--out lm"), "--lm"));
    }
}
