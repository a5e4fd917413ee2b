//! One store, one process.

use std::path::Path;
use std::process::Command;

use hydra_store::{OpenError, Store};

use super::{key, place};

const FOLDER: &str = "HYDRA_STORE_SECOND_PROCESS";

/// Not a test by itself: the second process of the test below.
#[test]
fn a_second_process_opens_the_store() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let answer = Store::open(Path::new(&folder), &key());
    println!("answer: {}", answer.map_or_else(|error| error.to_string(), |_| "opened".into()));
}

fn second_process(folder: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["processes::a_second_process_opens_the_store", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let answer = output.lines().find_map(|line| line.split_once("answer: "));
    answer.expect("an answer").1.to_owned()
}

#[test]
fn a_store_that_is_open_is_refused_to_everybody_else() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    let expected =
        format!("the store is open elsewhere, and a store has one writer: close it there first: {}", folder.display());
    assert_eq!(second_process(&folder), expected);
    assert!(matches!(Store::open(&folder, &key()), Err(OpenError::AlreadyOpen { .. })));
    let copy = folder.with_file_name("copy");
    assert!(matches!(Store::restore(&folder, &copy, &key()), Err(OpenError::AlreadyOpen { .. })));
    drop(store);
    assert_eq!(second_process(&folder), "opened");
    Store::open(&folder, &key()).unwrap();
}
