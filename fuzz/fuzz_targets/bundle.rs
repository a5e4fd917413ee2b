//! Any bytes are a manifest that is read or refused; what is read is written and read again as the same manifest; and
//! any bytes beside an honest manifest are refused by their hash.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::LazyLock;

use hydra_onnx::{Bundle, Manifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::from_json(bytes) {
        let written = manifest.to_json();
        assert_eq!(Manifest::from_json(&written).expect("what was written is read"), manifest);
    }
    // A small first byte chooses the file that the rest replaces; most inputs stay in memory and are fast.
    let Some((&which, rest)) = bytes.split_first() else { return };
    let Some(&name) = FILES.get(usize::from(which)) else { return };
    let (path, whole) = (FOLDER.join(name), fs::read(TINY.join(name)).expect("a fixture"));
    fs::write(&path, rest).expect("a temporary file");
    let opened = Bundle::open(&FOLDER);
    fs::write(&path, &whole).expect("a temporary file");
    if let Ok(bundle) = opened {
        assert!(name == "manifest.json" || rest == whole, "a file was exchanged unnoticed");
        assert_eq!(bundle.fingerprint(), Bundle::open(&TINY).expect("a fixture").fingerprint());
    }
});

const FILES: [&str; 4] = ["manifest.json", "model.onnx", "model.onnx.data", "tokenizer.json"];

static TINY: LazyLock<PathBuf> =
    LazyLock::new(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/bundles/tiny-external")));

/// A copy of the fixture, where git does not look.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts")).join(format!("folder-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder for artifacts");
    for name in FILES {
        fs::write(folder.join(name), fs::read(TINY.join(name)).expect("a fixture")).expect("a temporary file");
    }
    folder
});
