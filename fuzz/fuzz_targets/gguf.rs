//! Any bytes are a GGUF file that is read or refused; every tensor of one that is read gives its numbers.
#![no_main]
#![allow(dead_code, unused_imports, reason = "the reader's file has more than this target calls")]

use libfuzzer_sys::fuzz_target;

// The file itself and not its crate, which would build ONNX Runtime's bindings and the tokenizers with counters.
#[path = "../../crates/hydra-export/src/gguf/mod.rs"]
mod gguf;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = gguf::Gguf::from_bytes(bytes.to_vec()) else { return };
    for (name, info) in file.tensors() {
        let numbers = file.tensor(name).expect("a tensor that is listed");
        assert_eq!(numbers.len(), info.shape.iter().product::<usize>());
    }
});
