//! The command line of the whole system: `cargo xtask eval` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line answers on standard output")]

mod demo;
mod eval;
mod progress;
mod recorded;
mod scifact;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The whole system, from the command line.
#[derive(Parser)]
#[command(name = "hydra", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Eval(Box<eval::Eval>),
    Scifact(scifact::Scifact),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo(demo) => demo::run(&demo),
        Command::Eval(eval) => eval::run(&eval),
        Command::Scifact(scifact) => scifact::run(&scifact),
    }
}
