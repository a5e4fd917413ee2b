//! The reference against PyTorch.

use hydra_export::forward;
use hydra_testkit::Tolerance;

use crate::golden::{Golden, MODELS};

#[test]
fn the_reference_is_what_pytorch_computes_for_every_family() {
    for model in MODELS {
        let golden = Golden::open(model);
        let output = forward(&golden.folder, std::slice::from_ref(&golden.tokens)).unwrap().remove(0);
        let expected: Vec<f64> = golden.output.iter().copied().map(f64::from).collect();
        if let Err(worst) = Tolerance::absolute(1e-5).compare(output.as_slice().unwrap(), &expected) {
            panic!("{model}: {worst}");
        }
    }
}
