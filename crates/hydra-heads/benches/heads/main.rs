//! What heads cost: `cargo bench -p hydra-heads --bench heads -- [--json] [--users N]`.
//!
//! Prints a table, or with `--json` one JSON object. Times are processor time of one thread; every ratio is of times
//! taken in turn in the same run.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on says where")]
#![allow(clippy::print_stdout, reason = "the report is the output")]

mod batch;
mod fit;
mod measure;
#[path = "../../tests/it/population.rs"]
mod population;
mod size;

use measure::Report;

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let mut report = Report::default();
    // One thread, so that the time of this thread is the time of the work.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
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
