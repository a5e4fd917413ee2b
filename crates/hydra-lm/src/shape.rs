//! The cache of a graph, read off its inputs.

use hydra_onnx::{Dim, Element, TensorSpec};

use crate::LmError;

/// Names and sizes of the cache of a graph.
pub(crate) struct CacheShape {
    /// `(past, present)` for keys and values of each layer.
    pub(crate) names: Vec<(String, String)>,
    /// Heads of keys and values.
    pub(crate) shared: usize,
    /// Numbers of a head's vector.
    pub(crate) head_size: usize,
}

impl CacheShape {
    pub(crate) fn new(inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<Self, LmError> {
        let unfit = |what| LmError::Unfit { what };
        for name in ["input_ids", "position_ids", "attention_bias", "last_positions", "total_length", "logit_rows"] {
            if !inputs.iter().any(|input| input.name == name) {
                return Err(unfit("its graph lacks an input"));
            }
        }
        let (mut names, mut sizes) = (Vec::new(), None);
        for input in inputs.iter().filter(|input| input.name.starts_with("past.")) {
            let present = format!("present.{}", &input.name["past.".len()..]);
            if !outputs.iter().any(|output| output.name == present) || input.element != Element::F32 {
                return Err(unfit("its graph does not give back its cache"));
            }
            let [_, Dim::Fixed(shared), _, Dim::Fixed(size)] = input.shape[..] else {
                return Err(unfit("its cache has another shape"));
            };
            if *sizes.get_or_insert((shared, size)) != (shared, size) {
                return Err(unfit("its layers have caches of different shapes"));
            }
            names.push((input.name.clone(), present));
        }
        let (shared, head_size) = sizes.ok_or_else(|| unfit("its graph has no cache"))?;
        let size = |size: u64| usize::try_from(size).map_err(|_| unfit("its cache has another shape"));
        Ok(Self { names, shared: size(shared)?, head_size: size(head_size)? })
    }
}
