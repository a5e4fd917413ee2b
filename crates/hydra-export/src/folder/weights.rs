//! Weight files, mapped into memory.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::error::FolderError;
use super::read_file;

/// The tensors of a checkpoint: one file or several shards.
pub(super) struct Weights {
    shards: Vec<Shard>,
    /// Which shard each tensor is in.
    tensors: BTreeMap<String, usize>,
}

struct Shard {
    file: String,
    map: Mmap,
    metadata: Metadata,
    /// Where the numbers begin: behind the length of the header and the header.
    start: usize,
}

impl Weights {
    /// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub(super) fn open(folder: &Path) -> Result<Self, FolderError> {
        if folder.join(SINGLE).is_file() || !folder.join(INDEX).is_file() {
            let shard = Shard::open(folder, SINGLE)?;
            let tensors = shard.metadata.offset_keys().into_iter().map(|name| (name, 0)).collect();
            return Ok(Self { shards: vec![shard], tensors });
        }
        let index: Index = serde_json::from_slice(&read_file(folder, INDEX, MAX_INDEX)?)
            .map_err(|source| FolderError::Json { file: INDEX.to_owned(), source })?;
        let mut shards: Vec<Shard> = Vec::new();
        let mut tensors = BTreeMap::new();
        for (tensor, file) in index.weight_map {
            let at = match shards.iter().position(|shard| shard.file == file) {
                Some(at) => at,
                None => {
                    if !is_shard_name(&file) {
                        return Err(FolderError::ShardName { shard: file });
                    }
                    shards.push(Shard::open(folder, &file)?);
                    shards.len() - 1
                }
            };
            tensors.insert(tensor, at);
        }
        for (tensor, at) in &tensors {
            if shards[*at].metadata.info(tensor).is_none() {
                return Err(FolderError::NotInShard { tensor: tensor.clone(), shard: shards[*at].file.clone() });
            }
        }
        Ok(Self { shards, tensors })
    }

    pub(super) fn contains(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// Shape and number type, without reading a number.
    ///
    /// # Panics
    /// If the tensor is not there.
    pub(super) fn describe(&self, tensor: &str) -> &TensorInfo {
        let shard = &self.shards[self.tensors[tensor]];
        shard.metadata.info(tensor).expect("open found every tensor in its shard")
    }

    /// The numbers, widened to `f32`, which is exact.
    ///
    /// # Panics
    /// If the tensor is not there.
    pub(super) fn read(&self, tensor: &str) -> Result<Vec<f32>, FolderError> {
        let shard = &self.shards[self.tensors[tensor]];
        let info = self.describe(tensor);
        let (start, end) = info.data_offsets;
        let bytes = &shard.map[shard.start..][start..end];
        let numbers: Vec<f32> = match info.dtype {
            Dtype::F32 => chunks(bytes).map(f32::from_le_bytes).collect(),
            Dtype::F16 => chunks(bytes).map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::BF16 => chunks(bytes).map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
            other => return Err(FolderError::NumberType { tensor: tensor.to_owned(), got: format!("{other:?}") }),
        };
        if numbers.iter().all(|number| number.is_finite()) {
            Ok(numbers)
        } else {
            Err(FolderError::NotFinite { tensor: tensor.to_owned() })
        }
    }
}

impl Shard {
    fn open(folder: &Path, file: &str) -> Result<Self, FolderError> {
        let path = folder.join(file);
        if !path.is_file() {
            return Err(FolderError::MissingFile { file: file.to_owned(), folder: folder.to_owned() });
        }
        // SAFETY: the map is read-only and dropped with this value. Another process that cuts the file short while it
        // is mapped ends this one (SIGBUS), and one that writes to it changes numbers, never a length that was checked:
        // lengths and offsets are read once, here.
        let map = File::open(&path).and_then(|open| unsafe { Mmap::map(&open) });
        let map = map.map_err(|source| FolderError::Io { path, source })?;
        // Reading the header also holds every offset against the length of the file.
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|source| FolderError::Weights { file: file.to_owned(), source })?;
        Ok(Self { file: file.to_owned(), map, metadata, start: size_of::<u64>() + header })
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Whether it is a file of the same folder, whatever the operating system.
fn is_shard_name(file: &str) -> bool {
    file.ends_with(".safetensors") && !file.contains(['/', '\\', ':', '\0']) && !file.starts_with('.')
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|chunk| chunk.try_into().expect("chunks_exact gives N bytes"))
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const MAX_INDEX: u64 = 16 << 20;
