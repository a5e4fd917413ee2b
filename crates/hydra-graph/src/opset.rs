//! The versions of the operators that this crate knows.

use crate::error::GraphError;

/// The first opset with `LayerNormalization`, which every runtime takes.
pub(crate) const DEFAULT: u32 = 17;

/// The last whose operators were compared with the rules in [`op`](crate::op).
const LAST: u32 = 21;

/// The file format that came with [`LAST`].
const LAST_IR: i64 = 10;

/// That the operators of this opset are known.
pub(crate) fn check(opset: u32) -> Result<(), GraphError> {
    if (DEFAULT..=LAST).contains(&opset) {
        Ok(())
    } else {
        Err(GraphError::Opset { opset, first: DEFAULT, last: LAST })
    }
}

/// The oldest file format that has this opset.
///
/// # Source
/// `docs/Versioning.md` of onnx 1.23.2, table "Released Versions".
pub(crate) fn ir_version(opset: u32) -> i64 {
    match opset {
        ..=18 => 8,
        19 | 20 => 9,
        _ => 10,
    }
}

/// That the file format has this opset and is known.
pub(crate) fn check_ir(ir_version: i64, opset: u32) -> Result<(), GraphError> {
    let least = self::ir_version(opset);
    if (least..=LAST_IR).contains(&ir_version) {
        Ok(())
    } else {
        Err(GraphError::IrVersion { ir_version, opset, least, most: LAST_IR })
    }
}
