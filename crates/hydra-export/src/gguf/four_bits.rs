//! Blocks of 4-bit numbers as they lie in a file, for those who compute with them as they are.

use super::tensor_type::half_at;
use super::{Gguf, GgufError, TensorInfo, TensorType, super_block};

/// A tensor in blocks of 32 along its rows: a weight is `number x scale + minimum`, in the f32 sums of ggml.
#[derive(Debug, Default)]
pub(crate) struct FourBitBlocks {
    /// One weight each, 0 to 15.
    pub(crate) numbers: Vec<u8>,
    /// One for 32 weights.
    pub(crate) scales: Vec<f32>,
    /// One for 32 weights.
    pub(crate) minima: Vec<f32>,
}

impl Gguf {
    pub(crate) fn has_four_bit_blocks(&self) -> bool {
        let four_bits = |info: &TensorInfo| {
            matches!(info.tensor_type, TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4_K) && info.shape.len() == 2
        };
        self.tensors.values().any(four_bits)
    }

    /// The blocks of a tensor, if it has 4 bits a weight in blocks that 32 weights share.
    pub(crate) fn four_bit_blocks(&self, name: &str) -> Result<Option<FourBitBlocks>, GgufError> {
        let info = self.tensors.get(name).ok_or_else(|| GgufError::MissingTensor { name: name.to_owned() })?;
        let read: fn(&[u8], &mut FourBitBlocks) = match info.tensor_type {
            TensorType::Q4_0 => |b, into| {
                let scale = half_at(b, 0);
                into.push(scale, -8.0 * scale, &b[2..]);
            },
            TensorType::Q4_1 => |b, into| into.push(half_at(b, 0), half_at(b, 2), &b[4..]),
            TensorType::Q4_K => |b, into| {
                for group in 0..8 {
                    let (scale, minimum) = super_block::scale_and_minimum(b, &b[4..16], group);
                    let low = b[16..].chunks_exact(32).nth(group / 2).expect("a block has four times 32 bytes");
                    into.scales.push(scale);
                    into.minima.push(-minimum);
                    into.numbers.extend(low.iter().map(|byte| byte >> (4 * (group % 2)) & 15));
                }
            },
            _ => return Ok(None),
        };
        let mut blocks = FourBitBlocks::default();
        for block in self.bytes.as_slice()[info.start..info.end].chunks_exact(info.tensor_type.block_bytes()) {
            read(block, &mut blocks);
        }
        Ok(Some(blocks))
    }
}

impl FourBitBlocks {
    /// A block whose first 16 numbers lie in the low halves of the bytes.
    fn push(&mut self, scale: f32, minimum: f32, bytes: &[u8]) {
        self.scales.push(scale);
        self.minima.push(minimum);
        self.numbers.extend(bytes.iter().map(|byte| byte & 15));
        self.numbers.extend(bytes.iter().map(|byte| byte >> 4));
    }
}

#[cfg(test)]
mod tests {
    use hydra_testkit::fixture;

    use super::*;

    /// What `tensor` reads is held to the package `gguf` by the tests of this crate.
    #[test]
    fn blocks_are_the_numbers_that_they_stand_for() {
        let gguf = Gguf::open(&fixture("gguf/quants.gguf")).unwrap();
        for name in ["Q4_0", "Q4_1", "Q4_K"] {
            let blocks = gguf.four_bit_blocks(name).unwrap().unwrap();
            let scales = blocks.scales.iter().zip(&blocks.minima);
            let weights = blocks.numbers.chunks_exact(32).zip(scales).flat_map(|(numbers, (scale, minimum))| {
                numbers.iter().map(move |number| f32::from(*number) * scale + minimum)
            });
            assert_eq!(weights.collect::<Vec<_>>(), gguf.tensor(name).unwrap(), "{name}");
        }
        for name in ["F32", "Q5_0", "Q8_0", "Q6_K"] {
            assert!(gguf.four_bit_blocks(name).unwrap().is_none(), "{name}");
        }
    }
}
