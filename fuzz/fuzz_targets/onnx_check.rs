//! Any bytes are an ONNX file that is checked or refused, in time and memory that the file's length bounds.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_onnx::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let data = BTreeMap::from([("model.onnx.data".to_owned(), Arc::from([0_u8; 4096]))]);
    if let Ok(model) = Model::with_data(file, data) {
        assert_eq!(model.graph(), file);
        assert!(model.facts().nodes <= file.len());
    }
});
