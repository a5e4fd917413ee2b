//! `cargo xtask`: the automation of this workspace, one module a command.
//!
//! It builds in seconds. What needs a model or a trainer is a release binary or a bench of the crate that owns it,
//! and xtask runs it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cargo;
mod ci;
mod demo;
mod door;
mod eval;
mod examples;
mod export;
mod fixtures;
mod fuzz;
mod readme;
mod setup;
mod test;
mod tidy;
mod torture;
mod train;

use clap::{Parser, Subcommand};

/// The automation of the Hydra workspace.
///
/// A newcomer needs two commands: `cargo xtask demo` shows the whole system at work on real input, and `cargo xtask test` runs
/// every test. Both fetch what is missing.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Args),
    Test(test::Args),
    Ci(ci::Args),
    ExportOnnx(export::Args),
    Train(train::Args),
    Eval(eval::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Fixtures(fixtures::Args),
    Tidy(tidy::Args),
    Torture(torture::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Setup(args) => setup::run(args),
        Command::Test(args) => test::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::ExportOnnx(args) => export::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Fixtures(args) => fixtures::run(&args),
        Command::Tidy(args) => tidy::run(&args),
        Command::Torture(args) => torture::run(&args),
    }
}
