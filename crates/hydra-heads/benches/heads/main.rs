//! What heads cost: `cargo bench -p hydra-heads --bench heads -- [--json] [--users N]`.
//!
//! Prints a table, or with `--json` one JSON object. Times are processor time of one thread, but for those of heads on
//! disk; every ratio is of times taken in turn in the same run. `--users` (100,000) is how many heads lie on disk.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says where")]
#![allow(clippy::print_stdout, reason = "the report is the output")]

mod batch;
mod disk;
mod fit;
mod measure;
#[path = "../../tests/it/population.rs"]
mod population;
mod size;

use measure::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let users = arguments.iter().position(|argument| argument == "--users").map(|at| {
        arguments.get(at + 1).and_then(|value| value.parse().ok()).expect("--users takes a number, at least 4")
    });
    let mut report = Report::default();
    // One thread, so that the time of this thread is the time of the work.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        // First, while the process holds nothing else.
        disk::measure(&mut report, users.unwrap_or(100_000));
        batch::measure(&mut report);
        fit::measure(&mut report);
        size::measure(&mut report);
    });
    if json {
        println!("{}", report.to_json());
    } else {
        report.print();
    }
}
