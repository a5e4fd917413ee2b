//! Models to files: bytes go from where the weights lie straight to the disk.

mod encode;
mod partial;

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use encode::{Encoded, Place};
use partial::PartialFile;

use crate::error::GraphError;
use crate::model::Model;

/// Where large constants go when they do not go into the model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalData {
    /// Constants of at least this many bytes go to the data file. Shapes and axes must stay in the model file, where
    /// ONNX Runtime needs them to plan.
    pub threshold: u64,
}

impl Default for ExternalData {
    /// 64 KiB: below it, the alignment would take more room than the constant.
    fn default() -> Self {
        Self { threshold: ALIGNMENT }
    }
}

/// Why a model was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The model does not pass [`Model::check`].
    #[error("the model is not valid, so nothing is written")]
    Graph(#[from] GraphError),
    /// Protobuf ends at 2 GiB.
    #[error("a model file of {bytes} bytes is above the limit of 2 GiB: save the weights as external data")]
    TooLarge {
        /// Bytes that the model file would have.
        bytes: u64,
    },
    /// A path without a file name in UTF-8.
    #[error("a model file needs a name in UTF-8, because its data file is named after it: {path}")]
    FileName {
        /// Path that was given.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {path}")]
    Io {
        /// File that was being written.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl Model<'_> {
    /// Checks the model and writes it to one file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`SaveError`]; [`SaveError::TooLarge`] from 2 GiB on.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        self.check()?;
        let encoded = Encoded::new(self, &vec![None; self.initializers.len()], "");
        fits(&encoded)?;
        write_file(path, |out| encoded.write(out))
    }

    /// Checks the model and writes it to `path`, its large constants to `path` with `.data` behind it, each at a
    /// multiple of 64 KiB so that it can be mapped. Returns the path of the data file, which is written first.
    ///
    /// # Errors
    /// [`SaveError`]; [`SaveError::TooLarge`] when what stays in the model file takes 2 GiB.
    pub fn save_external(&self, path: &Path, external: ExternalData) -> Result<PathBuf, SaveError> {
        self.check()?;
        let name = path.file_name().and_then(OsStr::to_str);
        let name = name.ok_or_else(|| SaveError::FileName { path: path.to_owned() })?;
        let location = format!("{name}.data");
        let places = self.places(external);
        let encoded = Encoded::new(self, &places, &location);
        fits(&encoded)?;
        let data = path.with_file_name(&location);
        write_file(&data, |out| self.write_data(&places, out))?;
        write_file(path, |out| encoded.write(out))?;
        Ok(data)
    }

    /// The bytes of the model in one piece, for a session in memory.
    ///
    /// # Errors
    /// [`SaveError::Graph`], [`SaveError::TooLarge`].
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SaveError> {
        self.check()?;
        let encoded = Encoded::new(self, &vec![None; self.initializers.len()], "");
        fits(&encoded)?;
        let mut bytes = Vec::with_capacity(usize::try_from(encoded.len()).expect("below 2 GiB"));
        encoded.write(&mut bytes).expect("memory takes every byte");
        Ok(bytes)
    }

    /// Where each initializer goes in the data file; `None` for those that stay in the model file.
    fn places(&self, external: ExternalData) -> Vec<Option<Place>> {
        let mut end = 0_u64;
        let place = |len: u64| {
            (len >= external.threshold.max(1)).then(|| {
                let offset = end.next_multiple_of(ALIGNMENT);
                end = offset + len;
                Place { offset, len }
            })
        };
        self.initializers.iter().map(|initializer| initializer.tensor.bytes().len() as u64).map(place).collect()
    }

    fn write_data(&self, places: &[Option<Place>], out: &mut dyn Write) -> io::Result<()> {
        let mut end = 0_u64;
        for (initializer, place) in self.initializers.iter().zip(places) {
            let Some(place) = place else { continue };
            let gap = usize::try_from(place.offset - end).expect("a gap is below the alignment");
            out.write_all(&vec![0; gap])?;
            out.write_all(initializer.tensor.bytes())?;
            end = place.offset + place.len;
        }
        Ok(())
    }
}

fn fits(encoded: &Encoded<'_>) -> Result<(), SaveError> {
    let bytes = encoded.len();
    if bytes < PROTOBUF_LIMIT { Ok(()) } else { Err(SaveError::TooLarge { bytes }) }
}

fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), SaveError> {
    PartialFile::create(path)
        .and_then(|mut file| {
            write(file.writer())?;
            file.finish()
        })
        .map_err(|source| SaveError::Io { path: path.to_owned(), source })
}

/// What `mmap` wants of an offset on every system that ONNX Runtime runs on.
const ALIGNMENT: u64 = 64 * 1024;

/// A protobuf message is shorter than this.
const PROTOBUF_LIMIT: u64 = 1 << 31;

#[cfg(test)]
mod tests;
