//! A child process that is killed in the middle of its work.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a child says when it has done the work with this number; see [`kill_after`].
///
/// # Panics
/// If nobody listens.
pub fn acknowledge(number: u64) {
    let mut out = std::io::stdout();
    out.write_all(format!("ack {number}\n").as_bytes()).expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// Starts the test `name` of this executable again with these variables, waits until it has said so many lines and then for
/// `moment`, kills it, and returns the last number that it [acknowledged](acknowledge), if it did any.
///
/// # Panics
/// If the child cannot be started, or ended by itself.
pub fn kill_after(name: &str, variables: &[(&str, String)], lines: usize, moment: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().expect("a test knows its executable"))
        .args([name, "--exact", "--nocapture"])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .spawn()
        .expect("a test can start itself");
    let said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut acknowledged = said.map_while(Result::ok).map(|line| {
        line.split_once("ack ").map(|(_, number)| number.parse::<u64>().expect("a number is acknowledged"))
    });
    // Few lines: also before the first number.
    let before = acknowledged.by_ref().take(lines).flatten().last();
    let moment = Instant::now() + moment;
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    child.kill().expect("a child can be killed");
    let last = acknowledged.flatten().last().or(before);
    let status = child.wait().expect("a child that was killed ends");
    assert!(status.code().is_none(), "the child ended by itself: {status}");
    last
}
