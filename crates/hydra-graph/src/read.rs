//! Files to models: only for tensors, nodes and attributes of the kinds that this crate writes.

mod decode;

use std::io;
use std::path::{Component, Path, PathBuf};

use prost::Message as _;

use crate::model::Model;
use crate::proto::ModelProto;
use crate::tensor::LengthMismatch;

/// Why bytes are no model that this crate can hold. What they mean is for [`Model::check`] to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are no protobuf message of this kind.
    #[error("not an ONNX file")]
    Decode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something that ONNX has and this crate does not.
    #[error(
        "{what} of {name:?} cannot be read: only dense tensors of f32, f16, i64, i32, i8, u8 and bool, known ranks and plain nodes can"
    )]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// Name of the value, node or attribute that has it.
        name: String,
    },
    /// Something that every model has is not there.
    #[error("{what} is missing")]
    Missing {
        /// What is not there.
        what: &'static str,
    },
    /// A number that cannot be what it stands for.
    #[error("{what} of {name:?} is {value}, which is out of range")]
    Range {
        /// What it stands for.
        what: &'static str,
        /// Name of the value.
        name: String,
        /// The number.
        value: i64,
    },
    /// A constant whose bytes do not fit its shape.
    #[error("the constant {name:?} does not fit its shape")]
    Length {
        /// Name of the constant.
        name: String,
        /// Expected and got.
        source: LengthMismatch,
    },
    /// External data that is not a part of a file beside the model.
    #[error("external data of {name:?}: {problem}")]
    ExternalData {
        /// Name of the constant.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// File that was being read.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl Model<'static> {
    /// The model in `bytes`, which must hold all constants.
    ///
    /// Nodes without a name are named by their place, axes without a size by their value.
    ///
    /// # Errors
    /// [`ReadError`]. What is read is not checked: call [`Model::check`].
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let refuse = |name: &str, _: &decode::External| {
            Err(ReadError::ExternalData {
                name: name.to_owned(),
                problem: "a model in memory has none, load it by path",
            })
        };
        decode::model(parse(bytes)?, &refuse)
    }

    /// The model at `path` with its external data, all read into memory.
    ///
    /// # Errors
    /// [`ReadError`]; a data file is refused unless it lies in the folder of the model. What is read is not checked:
    /// call [`Model::check`].
    pub fn load(path: &Path) -> Result<Self, ReadError> {
        let bytes = std::fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        let load = |name: &str, external: &decode::External| load_external(path, name, external);
        decode::model(parse(&bytes)?, &load)
    }
}

fn parse(bytes: &[u8]) -> Result<ModelProto, ReadError> {
    ModelProto::decode(bytes).map_err(|error| ReadError::Decode(Box::new(error)))
}

fn load_external(model: &Path, name: &str, external: &decode::External) -> Result<Vec<u8>, ReadError> {
    use std::io::{Read as _, Seek as _, SeekFrom};

    let error = |problem| ReadError::ExternalData { name: name.to_owned(), problem };
    let mut components = Path::new(&external.location).components();
    if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
        return Err(error("its location must be the name of a file in the folder of the model"));
    }
    let path = model.with_file_name(&external.location);
    let io = |source| ReadError::Io { path: path.clone(), source };
    let mut file = std::fs::File::open(&path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let len = external.len.unwrap_or_else(|| size.saturating_sub(external.offset));
    if external.offset.checked_add(len).is_none_or(|end| end > size) {
        return Err(error("it lies behind the end of its file"));
    }
    file.seek(SeekFrom::Start(external.offset)).map_err(io)?;
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| error("it is longer than memory"))?];
    file.read_exact(&mut bytes).map_err(io)?;
    Ok(bytes)
}
